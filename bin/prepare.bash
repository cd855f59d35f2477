# shellcheck shell=bash
# What bin/demo, bin/test and .ci/run have in common: make sure that what they need is there.
# Sourced, never run. Says what it installs before it does; does nothing, fast, where nothing is missing.

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
virtual_environment=$checkout/.venv
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin   # where Debian puts daemons, for those who are not root

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        say "Running as root (sudo may ask for your password): $*"
        sudo "$@"
    else
        say "This needs root, and there is no sudo here. As root, run: $*"
        return 1
    fi
}

# install_packages PACKAGE… : with apt, without a question asked; fails where that cannot be.
install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq)
    if ! command -v apt-get >/dev/null; then
        say "Not installed: $*. There is no apt here: use this system's package manager."
        return 1
    fi
    say "Installing from Debian packages: $*"
    as_root "${apt[@]}" update && as_root "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
}

# need_programs PROGRAM=PACKAGE… : install the packages whose program is not on the PATH.
need_programs() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

# find_python : print the newest Python that pypx runs on.
find_python() {
    local name
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    say "pypx needs Python 3.11 or later, and there is none on the PATH."
    say "Debian 12, Ubuntu 22.04 and later have it: apt-get install python3.11 python3.11-venv"
    return 1
}

# need_virtual_environment EXTRA : .venv in the checkout, with pypx editable and this extra (or "") of pyproject.toml.
need_virtual_environment() {
    local extra=$1 python stamp wanted
    wanted=$checkout$'\n'$(<"$checkout/pyproject.toml")
    # What was installed with an extra serves those who need none.
    for stamp in "$virtual_environment/installed${extra:+-$extra}"*; do
        [[ -e $stamp && $(<"$stamp") == "$wanted" ]] && return
    done
    if ! "$virtual_environment/bin/python" -c 'import pip' 2>/dev/null; then
        python=$(find_python)
        make_virtual_environment "$python"
    fi
    say "Installing pypx${extra:+ and what its tests need} in $virtual_environment"
    "$virtual_environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable "$checkout${extra:+[$extra]}" >&2
    printf '%s\n' "$wanted" > "$virtual_environment/installed${extra:+-$extra}"
}

# make_virtual_environment PYTHON
make_virtual_environment() {
    local version
    if ! "$1" -c 'import ensurepip' 2>/dev/null; then
        version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_packages "python$version-venv"
    fi
    "$1" -m venv --clear "$virtual_environment"
}
