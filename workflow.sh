#!/usr/bin/env bash
# A walk through the tools of pypx, in the order in which images go: from files
# and from a PACS into a tidy folder, from there into storage and to CUBE.
#
#   workflow.sh --demo   at a PACS, a storage and a CUBE that it starts itself
#   workflow.sh          at yours: set what follows here, or in the environment
#
# What stands between "run <<'END'" and "END" can be copied into a shell that has
# these variables.
set -euo pipefail

# The PACS, and our own AE title, which it has to know.
export PACSIP=${PACSIP:-}                 # pacs.example.org
export PACSPORT=${PACSPORT:-104}
export AEC=${AEC:-}                       # THEIRS
export AET=${AET:-CHRISLOCAL}

# A patient whom it knows. All images are retrieved.
export PATIENT=${PATIENT:-}               # 7654321

# Where images go, with all that is known of them.
export BASEMOUNT=${BASEMOUNT:-$HOME/dicom}

# Each of these is left out where it is empty:
# Files of yours, to be packed.
export FILES=${FILES:-}                   # /media/cd
# A patient whose images the PACS sends to px-listen, and the port that it has
# for our AE title.
export SENT_PATIENT=${SENT_PATIENT:-}     # 7654322
export LISTEN_PORT=${LISTEN_PORT:-11112}
# The storage of ChRIS, a mounted filesystem (docs/storage.rst has Swift), and
# the name of the PACS in there.
export STORE=${STORE:-}                   # /mnt/chris
export SWIFTPACS=${SWIFTPACS:-$AEC}
# The CUBE of that ChRIS.
export CUBEURL=${CUBEURL:-}               # https://cube.example.org/api/v1/
export CUBEUSER=${CUBEUSER:-chris}
export CUBEPASSWORD=${CUBEPASSWORD:-}

# What is done with all that is found, in the end.
export VERBS=retrieve,status${STORE:+,push${CUBEURL:+,register}}

# ------------------------------------------------------------------------------
# How the walk is shown. It begins below.

print_help() {
    cat <<'END'
Usage: workflow.sh [--demo]

  A walk through the tools of pypx, in the order in which images go: px-repack,
  px-smdb, px-echo, px-find, px-report, px-move, px-status, px-listen, px-push,
  pfstorage, px-register, px-do. Each command is shown before what it says.

  --demo           Walk at a PACS with invented patients, a storage and a CUBE
                   that are started for it, and ended after it.
  -x, -h, --help   Show this.

  Without --demo, the walk is at a PACS of yours. Set the variables at the top
  of this script, or in the environment:

  PACSIP=pacs.example.org AEC=THEIRS AET=MYSELF PATIENT=7654321 workflow.sh
END
}

if [[ -t 1 && -z ${NO_COLOR-} ]]; then
    bold=$'\e[1m' plain=$'\e[0m'
else
    bold='' plain=''
fi
number=0

# step TITLE
step() {
    local line=────────────────────────────────────────────────────────────────────────────────
    local title="── $((++number)). $1 "
    printf '\n\n%s%s%s%s\n' "$bold" "$title" "${line:${#title}}" "$plain"
}

# say TEXT
say() { printf '\n%s\n' "$1"; }

# is_set VARIABLE : whether it has a value; says what is left out where it has none.
is_set() {
    [[ -n ${!1} ]] || { say "(Left out, since $1 is not set.)" && false; }
}

# run : show the command on standard input, and run it.
run() {
    local command status=0
    command=$(</dev/stdin)
    printf '\n%s$ %s%s\n' "$bold" "$command" "$plain"
    eval "$command" </dev/null || status=$?
    ((status == 0)) || fail "$((status == 130 ? 130 : 1))" "That ended with status $status, and so does the walk."
}

# fail STATUS SENTENCE
fail() {
    printf '\nworkflow.sh: %s\n' "$2" >&2
    exit "$1"
}

# end : leave nothing behind.
end() {
    local process
    for process in $(jobs -p); do
        kill "$process" || true
        wait "$process" || true
    done
    rm -rf -- "$scratch"
}

# walk_at_demo : all of this again, with a site that is started for it.
walk_at_demo() {
    local tools
    # shellcheck source=bin/prepare.bash
    source "$here/bin/prepare.bash"
    need_programs dcmqrscp=dcmtk
    tools=$(dirname -- "$(command -v px-find)")
    if ! "$tools/python" -c 'import pypx' 2>/dev/null; then
        need_virtual_environment ""
        tools=$virtual_environment/bin
    fi
    cd "$here"
    exec "$tools/python" -m demo.site "$here/workflow.sh"
}

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
case ${*-} in
    '') ;;
    --demo) walk_at_demo ;;
    -x | -h | --help) print_help; exit ;;
    *) fail 2 "There is no option ${*@Q}. See workflow.sh -x." ;;
esac
# Behind all others: beside the tools there may be programs that have the names of DCMTK's.
PATH=$PATH:$here/.venv/bin
if [[ -z $PACSIP || -z $AEC || -z $PATIENT ]]; then
    fail 2 "Set PACSIP, AEC and PATIENT, or give --demo. See workflow.sh -x."
fi
command -v px-find >/dev/null || fail 1 "The tools of pypx are not on the PATH. Install them, or run bin/demo once."
[[ -z $FILES ]] || FILES=$(realpath -- "$FILES")
BASEMOUNT=$(realpath -m -- "$BASEMOUNT")
scratch=$(mktemp -d)
trap end EXIT
trap 'exit 143' TERM
cd "$scratch"

say "The variables that the commands need (and CUBEPASSWORD, not shown):"
echo
for name in PACSIP PACSPORT AEC AET PATIENT BASEMOUNT FILES SENT_PATIENT LISTEN_PORT STORE SWIFTPACS CUBEURL \
    CUBEUSER VERBS; do
    value=${!name}
    [[ $value =~ ^[[:alnum:]_@%+=:,./-]*$ ]] || value=${value@Q}
    printf 'export %s=%s\n' "$name" "$value"
done

# ------------------------------------------------------------------------------
step "Files into the tree: px-repack"

if is_set FILES; then
    say "Every image gets a place that a person can find. The files stay as they are."
    run <<'END'
px-repack --xcrdir "$FILES" --recursive
END
fi

# ------------------------------------------------------------------------------
step "What is here, and what is known: px-smdb"

say "The catalogue has each image that was packed:"
run <<'END'
px-smdb --action search --PatientID '*' | px-report --printReport tree
END

say "What it takes to reach others is kept under a key. This is the PACS:"
run <<'END'
px-smdb --action PACS --actionArgs @- <<JSON
{"walk": {"ip": "$PACSIP", "port": "$PACSPORT", "aec": "$AEC", "aet": "$AET"}}
JSON
END

# ------------------------------------------------------------------------------
step "What does the PACS have? px-echo, px-find"

run <<'END'
px-echo --PACS walk
END

run <<'END'
px-find --PACS walk --PatientID "$PATIENT" > found.json
END

# ------------------------------------------------------------------------------
step "Look at it: px-report"

run <<'END'
px-report < found.json
END

say "For a spreadsheet, and for a browser:"
run <<'END'
px-report --printReport csv --csvSummarize --csvPrettify \
    --reportHeaderStudyTags StudyDate,StudyDescription < found.json
END

run <<'END'
px-report --printReport html < found.json > found.html
END

# ------------------------------------------------------------------------------
step "All of it to here: px-move"

say "By C-GET, for which the PACS has to know nothing but our AE title:"
run <<'END'
px-move --get < found.json | px-report
END

say "Once more: what is here is not asked for again."
run <<'END'
px-move --get < found.json
END

# ------------------------------------------------------------------------------
step "Is all of it here? Where? px-status, px-smdb"

run <<'END'
px-status < found.json
END

run <<'END'
px-smdb --action imageDirsPatientID --actionArgs "$PATIENT"
END

# ------------------------------------------------------------------------------
step "Have images sent: px-listen"

if is_set SENT_PATIENT; then
    say "It is a service that goes on for ever; here it is one for a moment."
    run <<'END'
px-listen --port "$LISTEN_PORT" --aet "$AET" 2> listener.log &
END

    run <<'END'
until px-listen --status &> listening; do kill -0 $! || break; sleep 0.5; done
END

    run <<'END'
px-find --PACS walk --PatientID "$SENT_PATIENT" |
    px-move --to "$AET" | px-report
END

    run <<'END'
kill $! && wait $! && cat listener.log
END
fi

# ------------------------------------------------------------------------------
step "Into the storage of ChRIS: px-push, pfstorage"

if is_set STORE; then
    run <<'END'
px-smdb --action storage --actionArgs @- <<JSON
{"walk": {"storagetype": "fs", "storepath": "$STORE"}}
JSON
END

    run <<'END'
px-push --swift walk --swiftServicesPACS "$SWIFTPACS" < found.json
END

    say "The first image of each series that is there now:"
    run <<'END'
pfstorage --swift walk --action ls \
    --args '{"path": "SERVICES", "substr": "/0001-"}'
END
fi

# ------------------------------------------------------------------------------
step "Tell CUBE of it: px-register"

if is_set STORE && is_set CUBEURL; then
    say "What is secret comes from standard input; everybody can see a command line."
    run <<'END'
px-smdb --action CUBE --actionArgs @- <<JSON
{"walk": {"url": "$CUBEURL",
          "username": "$CUBEUSER", "password": "$CUBEPASSWORD"}}
JSON
END

    run <<'END'
px-register --CUBE walk --swiftServicesPACS "$SWIFTPACS" < found.json
END
fi

# ------------------------------------------------------------------------------
step "All of that with one command: px-find --then, px-do"

say "Nothing is done twice:"
run <<'END'
px-do --then "$VERBS" --swift walk --CUBE walk --withFeedBack \
    --swiftServicesPACS "$SWIFTPACS" < found.json > done.json
END

say "That was the walk. Each tool has --help, and docs/ has the manual."
