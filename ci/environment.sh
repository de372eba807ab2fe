# shellcheck shell=sh
# Sourced by the scripts beside it: finds Python, makes a private environment in the checkout and
# installs the package there. POSIX sh. Set PYTHON to choose the interpreter.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd -- "$root" || exit

# What the caller's shell has set for other projects must not leak into ours.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# Arguments for pytest that leave out the tests which run little compiled code of ours that others
# do not, or take long: the command line, the pictures, Keras and PyTorch, the estimators, the NIST
# data, the texts of README and tutorial, other people's packages.
only_core=''
for unwanted in cli estimators keras modelfile nist pictures plotting readme torch tutorial \
    embedding; do
    only_core="$only_core --ignore-glob=/*/tests/test_*$unwanted*"
done

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

heading() {
    printf '\n==> %s\n' "$1"
}

# Sets `python` to an interpreter of version 3.11 or later that can make environments.
find_python() {
    reason="no Python 3.11 or later was found on PATH; install one, or set PYTHON to its path."
    # shellcheck disable=SC2086  # the list is meant to be split
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
        reason="PYTHON is set to '$PYTHON', which is not a working Python 3.11 or later."
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11 python
    fi
    for python in "$@"; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        "$python" -c 'import ensurepip, venv' 2>/dev/null && return
        reason="'$python' has no venv module; install it (on Debian and Ubuntu: python3-venv)."
    done
    fail "$reason"
}

find_compiler() {
    for compiler in ${CC:-cc gcc clang}; do
        command -v "$compiler" >/dev/null 2>&1 && return
    done
    fail "no C compiler was found; install one (on Debian and Ubuntu: gcc), or set CC."
}

# prepare NAME EXTRAS: the environment .venv-NAME holds the package as it is now in the checkout,
# not editable, with the extras. Made anew when the interpreter or pyproject.toml has changed, else
# only the package is built and installed again, and not even that when its sources are the same.
# Sets `env` to the directory and `python` to its interpreter.
prepare() {
    find_python
    find_compiler
    env=$root/.venv-$1
    now=$("$python" ci/fingerprint.py "$2")
    before=$(cat "$env/fingerprint" 2>/dev/null) || before=
    if [ "${before% *}" != "${now% *}" ] || ! "$env/bin/python" -c '' 2>/dev/null; then
        heading "making ${env##*/} with $("$python" --version)"
        rm -rf -- "$env"
        "$python" -m venv "$env"
        before=
    fi
    python=$env/bin/python
    if [ "$before" != "$now" ]; then
        heading "installing fastreg with [$2] into ${env##*/}"
        rm -f -- "$env/fingerprint"
        "$python" -m pip install --quiet ".[$2]"
        printf '%s\n' "$now" >"$env/fingerprint"
    fi
}
