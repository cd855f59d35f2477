#!/usr/bin/env bash
# Find, retrieve, push and register what a PACS has, with one command: PACS_QR.sh -x
set -euo pipefail

# institution_set NAME : what is known of a PACS, and where its images go. To add yours, copy a block and change it.
#
# PACSIP, PACSPORT, AEC   the PACS: host, port and AE title
# AET                     our own AE title, which the PACS has to know
# SWIFTKEY, CUBEKEY       keys of the storage and of the CUBE, as --SWIFTHOST and the like have set them
# SWIFTPACS               the name of this PACS in storage and in CUBE
institution_set() {
    case $1 in
        orthanc)    # an Orthanc on this machine, such as that of compose.yaml
            PACSIP=127.0.0.1 PACSPORT=4242 AEC=ORTHANC AET=CHRISLOCAL
            SWIFTKEY=local CUBEKEY=local SWIFTPACS=orthanc
            ;;
        demo)       # the PACS of bin/demo --keep, with invented patients
            PACSIP=127.0.0.1 PACSPORT=11112 AEC=ARCHIVE AET=CHRISLOCAL
            SWIFTKEY=local CUBEKEY=local SWIFTPACS=demo
            ;;
        hospital)   # an example
            PACSIP=pacs.example.org PACSPORT=104 AEC=THEIRS AET=MYSELF
            SWIFTKEY=local CUBEKEY=local SWIFTPACS=hospital
            ;;
        research)   # an example, with a storage and a CUBE of its own
            PACSIP=research.example.org PACSPORT=11112 AEC=RESEARCH AET=MYSELF
            SWIFTKEY=research CUBEKEY=research SWIFTPACS=research
            ;;
        *) return 1 ;;
    esac
}

# What is not said otherwise.
INSTITUTION=orthanc
CONTAINER=pypx
BASEMOUNT=${BASEMOUNT:-$HOME/dicom}
# The network of this machine: what it reaches is reached, and a PACS can send to it (C-MOVE).
CONTAINER_OPTIONS=(--rm --network host)
# Those that are set go with a tool into its container; their values stand on no command line.
CONTAINER_VARIABLES=(PYPX_SMDB_URL PYPX_SWIFT_LOGIN PYPX_SWIFT_KEY PYPX_CUBE_PASSWORD NO_COLOR)

print_help() {
    cat <<END
Usage: PACS_QR.sh [OPTIONS] -- SEARCH

  Find what a PACS has and show it; with --do, retrieve it, push it into
  storage, register it with CUBE. The tools of pypx run in a container.

  SEARCH is one text, "--PatientID 7654321 --StudyDate 19990909", in which
  quotes hold together what has blanks: "--PatientName 'Lovelace^Ada *'".
  Nothing else in it has a meaning. Several words are taken as they are.

  It has the options of px-find that say what to look for; also --StudyOnly,
  --QueryReturnTags, --limit, --jobs, --timeout, --verbosity and
  --intraSeriesRetrieveDelay.

What to do:
  --env NAME            The PACS, and all that belongs to it: one of
                        $(institutions).  [default: $INSTITUTION]
  --do VERB,...         With each series found, in this order: retrieve,
                        status, push, register, report.
  --report FORM         Show tabular, rawText, csv, json, tree or html;
                        options of px-report may follow:
                        --report 'csv --csvPrintHeaders'  [default: tabular]
  --withoutFeedBack     With --do: do not tell of each series as it goes.

Instead of what --env knows:
  --PACSIP HOST, --PACSport N, --AEC AET      The PACS, and its AE title.
  --AET AET                                   Our own AE title.
  --SWIFTKEY KEY, --SWIFTPACS NAME            The storage to push into, and the
                                              name of the PACS there.
  --CUBEKEY KEY                               The CUBE to register with.

Set what is behind a key, and do nothing else; what is not given stays:
  --SWIFTHOST HOST, --SWIFTPORT N             Of --SWIFTKEY.
  --SWIFTLOGIN LOGIN                          account:user, or @FILE.
  --CUBEURL URL, --CUBEuser NAME              Of --CUBEKEY.
  --CUBEpassword WORD                         Or @FILE. A terminal is asked.

How:
  --baseMount DIR       The BASEMOUNT.  [default: \$BASEMOUNT, else ~/dicom]
  --runtime NAME        docker, podman, or local, for tools that are installed
                        here.  [default: docker]
  --container IMAGE     The image.  [default: $CONTAINER]
  --non-interactive     Ask nothing, and give containers no terminal.
  --debug               Run the sources of this checkout.
  -v                    Show the commands.
  -F                    Means nothing: there is no check of host and user any
                        more that it could leave out.
  -x, -h, --help        Show this.

Examples:
  PACS_QR.sh --env orthanc -- "--PatientID 7654321"
  PACS_QR.sh --env orthanc --report csv -- "--PatientID 7654321" > found.csv
  PACS_QR.sh --do retrieve,status -- "--PatientID 7654321 --Modality MR"
  PACS_QR.sh --do push,register --SWIFTPACS BCH -- "--PatientID 7654321"
  PACS_QR.sh --SWIFTKEY local --SWIFTHOST swift.example.org \\
      --SWIFTPORT 8080 --SWIFTLOGIN @swift.login
  PACS_QR.sh --CUBEKEY local --CUBEURL https://cube.example.org/api/v1/ \\
      --CUBEuser chris --CUBEpassword @chris.password
END
}

# institutions : the names of the blocks.
institutions() {
    local line names=''
    while IFS= read -r line; do
        if [[ $line =~ ^\ +([[:alnum:]_.-]+)\)$ ]]; then
            names+=${names:+, }${BASH_REMATCH[1]}
        fi
    done < <(declare -f institution_set)
    printf '%s' "$names"
}

# fail STATUS SENTENCE
fail() {
    printf 'PACS_QR.sh: %s\n' "$2" >&2
    exit "$1"
}

wrong_usage() { fail 2 "$1 See PACS_QR.sh -x."; }

# take_options ARGUMENT… : fill "given", option to value ("yes" where it takes none), and what to search for.
declare -A given=()
search=()
take_options() {
    while (($#)); do
        case $1 in
            --) search=("${@:2}"); return ;;
            -x | -h | --help | --desc) print_help; exit 0 ;;
            -F | -v | --debug | --non-interactive | --withoutFeedBack) given[$1]=yes; shift ;;
            --env | --do | --report | --PACSIP | --PACSport | --AET | --AEC | --baseMount | --container | --runtime | \
                --SWIFTKEY | --SWIFTHOST | --SWIFTPORT | --SWIFTLOGIN | --SWIFTPACS | \
                --CUBEKEY | --CUBEURL | --CUBEuser | --CUBEpassword)
                [[ ${2---} != -- ]] || wrong_usage "$1 needs a value."
                given[$1]=$2; shift 2
                ;;
            --?*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
            -*) wrong_usage "There is no option ${1@Q}." ;;
            *) wrong_usage "${1@Q} is no option; what to search for stands after --." ;;
        esac
    done
}

# is_given OPTION… : whether one of them was, with a value that is not empty.
is_given() {
    local option
    for option; do
        [[ -z ${given[$option]-} ]] || return 0
    done
    return 1
}

# is_at_terminal : whether somebody can be asked, and sees how far it is.
is_at_terminal() { ! is_given --non-interactive && [[ -t 0 && -t 1 && -t 2 ]]; }

# know_institution : set all that is known of it, or what the options say instead.
know_institution() {
    local name=${given[--env]:-$INSTITUTION}
    PACSIP='' PACSPORT='' AEC='' AET='' SWIFTKEY='' CUBEKEY='' SWIFTPACS=''
    institution_set "$name" || wrong_usage "There is no institution ${name@Q}. The known ones are: $(institutions)."
    PACSIP=${given[--PACSIP]:-$PACSIP} PACSPORT=${given[--PACSport]:-$PACSPORT}
    AEC=${given[--AEC]:-$AEC} AET=${given[--AET]:-$AET}
    SWIFTKEY=${given[--SWIFTKEY]:-$SWIFTKEY} CUBEKEY=${given[--CUBEKEY]:-$CUBEKEY}
    SWIFTPACS=${given[--SWIFTPACS]:-$SWIFTPACS}
    BASEMOUNT=${given[--baseMount]:-$BASEMOUNT}
}

# prepare_runner : what stands before the name of a tool; what has to be between, for one with a terminal or with stdin.
runner=()
on_terminal=()
with_input=()
image=()
prepare_runner() {
    local runtime=${given[--runtime]:-docker}
    case $runtime in
        local) prepare_local ;;
        docker | podman) prepare_container "$runtime" ;;
        *) wrong_usage "There is no runtime ${runtime@Q}: it is docker, podman or local." ;;
    esac
}

prepare_local() {
    # Behind all others: beside the tools there may be programs that have the names of DCMTK's.
    PATH=$PATH:$here/.venv/bin
    command -v px-find >/dev/null || fail 1 "The tools of pypx are not on the PATH. Install them, or run bin/demo once."
    ! is_given --debug || runner=(env "PYTHONPATH=$here/src")
}

# prepare_container ENGINE
prepare_container() {
    local variable
    command -v "$1" >/dev/null || fail 1 "$1 is not on the PATH. Install it, or choose another --runtime."
    mkdir -p -- "$BASEMOUNT"
    BASEMOUNT=$(cd -- "$BASEMOUNT" && pwd)
    runner=("$1" run "${CONTAINER_OPTIONS[@]}" --user "$(id -u):$(id -g)")
    [[ $1 != podman || $EUID -eq 0 ]] || runner+=(--userns keep-id)
    # Where it is here it is there, too, so that paths in answers are right.
    runner+=(--mount "$(mount_of "$BASEMOUNT" "$BASEMOUNT")")
    if is_given --debug; then
        runner+=(--mount "$(mount_of "$here/src" /usr/src/pypx)" --env PYTHONPATH=/usr/src/pypx)
    fi
    for variable in "${CONTAINER_VARIABLES[@]}"; do
        [[ ! -v $variable ]] || runner+=(--env "$variable")
    done
    with_input=(--interactive)
    ! is_at_terminal || on_terminal=(--interactive --tty)
    image=("${given[--container]:-$CONTAINER}")
}

# mount_of SOURCE TARGET : for --mount, which takes it for a line of CSV.
mount_of() {
    local field text=type=bind
    for field in "source=$1" "target=$2"; do
        [[ $field != *[,\"$'\n']* ]] || field=\"${field//\"/\"\"}\"
        text+=,$field
    done
    printf '%s' "$text"
}

# show COMMAND WORD… : with -v, as a shell takes it.
show() {
    local word text=''
    if is_given -v; then
        for word; do
            [[ $word =~ ^[[:alnum:]_@%+=:,./-]+$ ]] || word=${word@Q}
            text+="$word "
        done
        printf '%s\n' "${text% }" >&2
    fi
}

# set_keys : write what the options say of a storage and of a CUBE.
set_keys() {
    local login password
    login=$(secret_of --SWIFTLOGIN)
    password=$(secret_of --CUBEpassword)
    if is_given --CUBEURL --CUBEuser && [[ -z $password ]] && is_at_terminal; then
        IFS= read -rsp "The password in CUBE (nothing leaves it as it is): " password
        echo >&2
    fi
    prepare_runner
    if is_given --SWIFTHOST --SWIFTPORT --SWIFTLOGIN; then
        set_key swift "$SWIFTKEY" ip "${given[--SWIFTHOST]-}" port "${given[--SWIFTPORT]-}" login "$login"
    fi
    if is_given --CUBEURL --CUBEuser --CUBEpassword; then
        set_key CUBE "$CUBEKEY" url "${given[--CUBEURL]-}" username "${given[--CUBEuser]-}" password "$password"
    fi
}

# secret_of OPTION : its value, or the first line of the file that it names as @FILE.
secret_of() {
    local value=${given[$1]-} file
    if [[ $value == @* ]]; then
        file=${value:1}
        file=${file/#\~\//$HOME/}
        value=''
        { IFS= read -r value <"$file" || [[ -n $value ]]; } 2>/dev/null ||
            fail 1 "${file@Q}, which $1 names, cannot be read, or is empty."
    fi
    printf '%s' "$value"
}

# set_key SERVICE KEY FIELD VALUE… : through standard input, since everybody can read a command line.
set_key() {
    local service=$1 key=$2 fields='' command
    shift 2
    while (($#)); do
        [[ -z $2 ]] || fields+="${fields:+, }$(json_string "$1"): $(json_string "$2")"
        shift 2
    done
    command=("${runner[@]}" "${with_input[@]}" "${image[@]}" px-smdb --db "$BASEMOUNT/log" \
        --action "$service" --actionArgs @-)
    show "${command[@]}"
    printf '{%s: {%s}}\n' "$(json_string "$key")" "$fields" | "${command[@]}"
}

# json_string TEXT
json_string() {
    local text=$1 code character escaped
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    for code in {1..31}; do
        printf -v escaped '\\u%04x' "$code"
        printf -v character '%b' "${escaped/u00/x}"
        text=${text//"$character"/"$escaped"}
    done
    printf '"%s"' "$text"
}

# split TEXT : fill "words" with its words. Quotes hold a word together; nothing else has a meaning.
words=()
split() {
    local rest=$1 word='' is_begun='' plain quote
    words=()
    while [[ -n $rest ]]; do
        plain=${rest%%[$' \t\r\n\'"']*}
        word+=$plain
        is_begun+=$plain
        rest=${rest:${#plain}}
        case $rest in
            \'*\'* | \"*\"*)
                quote=${rest:0:1}
                rest=${rest:1}
                word+=${rest%%"$quote"*}
                rest=${rest#*"$quote"}
                is_begun=yes
                ;;
            [\'\"]*) wrong_usage "A quotation mark is alone in ${1@Q}; one that is meant stands in the other kind." ;;
            *)
                rest=${rest:1}
                [[ -z $is_begun ]] || words+=("$word")
                word='' is_begun=''
                ;;
        esac
    done
    [[ -z $is_begun ]] || words+=("$word")
}

# check_search WORD… : only what to look for may be there, not what to do with it, or by which program.
check_search() {
    while (($#)); do
        case ${1%%=*} in
            --AccessionNumber | --PatientID | --PatientName | --PatientSex | --PatientBirthDate | \
                --StudyDate | --StudyDescription | --StudyInstanceUID | --SeriesDescription | \
                --SeriesInstanceUID | --Modality | --ModalitiesInStudy | --PerformedStationAETitle | \
                --ProtocolName | --AcquisitionProtocolName | --AcquisitionProtocolDescription | --query | \
                --QueryReturnTags | --limit | --jobs | --timeout | --verbosity | --intraSeriesRetrieveDelay)
                if [[ $1 != *=* ]]; then
                    (($# > 1)) || wrong_usage "$1 needs a value."
                    shift
                fi
                ;;
            --StudyOnly) [[ $1 != *=* ]] || wrong_usage "--StudyOnly takes no value." ;;
            -*) wrong_usage "${1@Q} does not say what to look for. What PACS_QR.sh itself takes stands before --." ;;
            *) wrong_usage "${1@Q} is no option. What has blanks in it needs quotation marks around it." ;;
        esac
        shift
    done
}

# query : find, and do what is to be done.
query() {
    local do=${given[--do]-} arguments
    case ${#search[@]} in
        0) ;;
        1) split "${search[0]}" ;;
        *) words=("${search[@]}") ;;
    esac
    ((${#words[@]})) || wrong_usage "What is to be searched for? Say so after --, as in -- \"--PatientID 7654321\"."
    check_search "${words[@]}"
    arguments=(--aec "$AEC" --aet "$AET" --serverIP "$PACSIP" --serverPort "$PACSPORT" --db "$BASEMOUNT/log"
        "${words[@]}")
    do=${do//[[:blank:]]/}
    if [[ -n $do ]]; then
        arguments+=(--then "$do")
        is_given --withoutFeedBack || arguments+=(--withFeedBack)
        [[ ,$do, != *,push,* ]] || arguments+=(--swift "$SWIFTKEY")
        [[ ,$do, != *,register,* ]] || arguments+=(--CUBE "$CUBEKEY")
        [[ ! ,$do, =~ ,(push|register), ]] || arguments+=(--swiftServicesPACS "$SWIFTPACS")
    fi
    split "${given[--report]:-tabular}"
    [[ ${words[0]-} == -* ]] || words=(--printReport "${words[@]}")
    prepare_runner
    if ! is_given --report && { [[ -n $do ]] || is_at_terminal; }; then
        # Reports to a person and JSON to a program are its own affair.
        runner+=("${on_terminal[@]}" "${image[@]}" px-find "${arguments[@]}")
        show "${runner[@]}"
        exec "${runner[@]}"
    fi
    find_and_report "${runner[@]}" "${image[@]}" px-find --json "${arguments[@]}"
}

# find_and_report COMMAND… : have px-report, with the words in "words", show what the command finds.
find_and_report() {
    local report found status=0
    report=("${runner[@]}" "${with_input[@]}" "${image[@]}" px-report "${words[@]}")
    show "$@"
    found=$("$@") || status=$?
    # What was found before something failed is worth a report, too.
    if [[ $status -eq 0 || $found == *'"data": [{'* ]]; then
        show "${report[@]}"
        printf '%s\n' "$found" | "${report[@]}" || status=$((status ? status : $?))
    fi
    exit "$status"
}

main() {
    here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
    take_options "$@"
    know_institution
    if is_given --SWIFTHOST --SWIFTPORT --SWIFTLOGIN --CUBEURL --CUBEuser --CUBEpassword; then
        [[ -z ${search[*]-} ]] || printf 'PACS_QR.sh: Keys are set, and nothing is searched for.\n' >&2
        set_keys
    else
        query
    fi
}

main "$@"
