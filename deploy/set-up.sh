#!/bin/sh
# Makes .venv with everything that clusterd and its tests need. `set-up.sh STAMP`: STAMP is written last, so an
# interrupted run is simply repeated. uv is used where it can be had (seconds), pip where not (a minute).
set -eu
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE
stamp=$1

fail() {
    echo "set-up failed: $1" >&2
    exit 1
}

find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

install_system_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "installing system packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt-get update >/dev/null 2>&1
    apt-get install -y --no-install-recommends "$@" >/dev/null
}

make_venv() {
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_system_packages "python$version-venv" || install_system_packages python3-venv ||
            fail "Python $version here cannot make virtual environments; install the package python$version-venv (as root: apt-get install python$version-venv) and repeat."
    fi
    "$python" -m venv --clear .venv || fail "$python could not make .venv; see above."
}

install_with_uv() {
    .venv/bin/python -m pip install --quiet uv 2>/dev/null || return 1
    export UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
    .venv/bin/uv pip install --quiet --python .venv/bin/python --editable . --group dev 2>/dev/null
}

install_with_pip() {
    .venv/bin/python -m pip install --quiet --editable . &&
        .venv/bin/python -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]))' |
        .venv/bin/python -m pip install --quiet --requirement /dev/stdin
}

python=$(find_python) || { install_system_packages python3 python3-venv && python=$(find_python); } ||
    fail "there is no Python 3.11 or newer here; install one and repeat."
rm -f "$stamp"
.venv/bin/python -m pip --version >/dev/null 2>&1 || make_venv
echo "installing what pyproject.toml names into .venv"
install_with_uv || install_with_pip || fail "some packages could not be installed; see above, check the network, and repeat."
.venv/bin/python -c "import aiohttp, clusterd, cryptography, grpc, pytest" || fail "what was installed cannot be used; remove .venv and repeat."
.venv/bin/python -m compileall -q clusterd resource_types || fail "the sources do not compile; see above."
sh deploy/system-parts.sh machines
touch "$stamp"
