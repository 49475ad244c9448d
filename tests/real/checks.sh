# What tests/real/run and its like share; they source it with the program as the argument.
# shellcheck shell=bash

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
here=$PWD/tests/real
gauth=${1:-target/debug/gauth}
[ -x "$gauth" ] || cargo build --quiet || exit 1
gauth=$(realpath "$gauth")
kept=$PWD/target/real
work=$(mktemp -d)
children=()
failed=0

finish() {
    for child in "${children[@]}"; do kill "$child" 2> /dev/null; done
    rm -rf "$work"
}
trap finish EXIT

# Nothing of the caller's own credentials or settings.
while IFS='=' read -r name _; do
    case $name in
        GOOGLE_* | CLOUDSDK_* | GAUTH_* | GCE_* | SSH_* | *_PROXY | *_proxy) unset "$name" ;;
    esac
done < <(env)
unset SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CI BROWSER XDG_CONFIG_HOME
mkdir -p "$work/home" "$kept"
export HOME=$work/home NO_GCE_CHECK=true NO_COLOR=1 PYTHONDONTWRITEBYTECODE=1
PATH=$(dirname "$gauth"):$PATH

ok() { printf 'ok   %s\n' "$1"; }
skip() { printf 'skip %s (%s)\n' "$1" "$2"; }
fail() {
    printf 'FAIL %s\n' "$1"
    sed 's/^/     /' "$work/log" | head -n 20
    failed=1
}

# check NAME COMMAND…: the command succeeds.
check() {
    local name=$1
    shift
    if "$@" > "$work/log" 2>&1; then ok "$name"; else fail "$name"; fi
}

# in_sandbox WHO SCRIPT: the script inside a sandbox, its errors fatal.
in_sandbox() { NO_GCE_CHECK='' gauth sandbox --as "$1" -- bash -euo pipefail -c "$2"; }

# until_true COMMAND…: waits for it, 5 s at most.
until_true() {
    for _ in {1..100}; do
        "$@" && return
        sleep 0.05
    done
}

# fails CODE TEXT COMMAND…: the command ends with this exit code, and its output contains the text.
fails() {
    local wanted=$1 text=$2 code=0
    shift 2
    "$@" > "$work/out" 2>&1 || code=$?
    printf 'exit %s\n' "$code"
    cat "$work/out"
    [ "$code" = "$wanted" ] && grep -q -- "$text" "$work/out"
}

has() { command -v "$1" > /dev/null; }

# prints PATTERN COMMAND…: succeeds, and its output has that.
prints() {
    local pattern=$1
    shift
    "$@" > "$work/out" || return
    grep -q -- "$pattern" "$work/out"
}

# --- Python packages, once

python=$kept/venv/bin/python
imports() { "$python" -c "import $1" 2> /dev/null; }
fetch() { "$kept/venv/bin/pip" install --quiet --disable-pip-version-check "$@" > "$work/log" 2>&1; }
if ! imports google.auth,requests,jwt,cryptography,botocore && has python3; then
    python3 -m venv "$kept/venv"
    fetch google-auth requests PyJWT cryptography botocore || rm -rf "$kept/venv"
fi
# moto[server] would bring all of AWS; keys and signatures need no more.
if [ -x "$python" ] && ! imports moto.server; then fetch moto flask flask-cors; fi
with_python() { [ -x "$python" ]; }

# --- Node packages, once

# with_node: the packages are there, and the scripts that use them stand beside.
with_node() {
    has node && has npm || return
    mkdir -p "$kept/node" && cp "$here"/node/* "$kept/node" || return
    cmp -s "$here/node/package.json" "$kept/node/node_modules/installed.json" && return
    npm install --silent --no-audit --no-fund --prefix "$kept/node" > "$work/log" 2>&1 &&
        cp "$here/node/package.json" "$kept/node/node_modules/installed.json"
}
