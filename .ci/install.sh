#!/bin/sh
# Build .venv from requirements.lock, if it is missing, unfinished or made from another lock. POSIX sh, no GNU tools.
# PYTHON may name an interpreter; without it the first fitting one on the PATH is taken.
set -eu
cd "$(dirname "$0")/.."

say() { echo "$*" >&2; }
supported="Python 3.11, 3.12 or 3.13"

# Prints "ok", or what is wrong with the interpreter in $1. Runs it, for a name on the PATH may be a shim for nothing,
# and uses only what Python 2 understands too.
judge() {
    "$1" -c '
import sys
version = ".".join(map(str, sys.version_info[:3]))
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    print("is Python " + version)
else:
    try:
        import ensurepip, venv
        print("ok")
    except ImportError:
        print("is Python %s without venv; on Debian or Ubuntu: sudo apt install python%d.%d-venv"
              % ((version,) + tuple(sys.version_info[:2])))
' 2>/dev/null || echo "does not run"
}

# Whole or nothing: the copies of lock and metadata are written last, so a killed install is done again. An environment
# knows its own place, so one that was moved or copied along with the checkout is made anew.
current() {
    [ "$(cat .venv/.installed-at 2>/dev/null)" = "$PWD" ] && cmp -s requirements.lock .venv/.installed-lock &&
        .venv/bin/python -c "" 2>/dev/null
}
whole() {
    current && cmp -s pyproject.toml .venv/.installed-pyproject
}
if whole; then exit 0; fi

python=""
seen=""
if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
for candidate; do
    if [ -z "${PYTHON:-}" ] && ! command -v "$candidate" >/dev/null 2>&1; then continue; fi
    verdict=$(judge "$candidate")
    if [ "$verdict" = ok ]; then python=$candidate; break; fi
    seen="$seen${seen:+; }$candidate $verdict"
done

if [ -z "$python" ]; then
    say "No fitting Python: ${seen:-none found on the PATH}. This course needs $supported:" \
        "install one, then name it, as in: make PYTHON=/path/to/python3.12 (or use environment.yml with conda)."
    exit 1
fi

# One installation at a time in this folder; the lock ends with this shell, however it ends.
exec 9<requirements.lock
"$python" -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.stderr.write("Another make is installing into .venv; waiting for it.\n")
    fcntl.flock(9, fcntl.LOCK_EX)
'
if whole; then exit 0; fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=0 PIP_USER=0
if ! current; then
    say "Installing the packages of requirements.lock into .venv with $("$python" -V); this takes some minutes, once."
    rm -rf .venv
    "$python" -m venv .venv || { rm -rf .venv; say "$python could not make .venv; its message stands above."; exit 1; }
    .venv/bin/python -m pip install --quiet -r requirements.lock || {
        say "The installation did not finish; pip's message stands above (network? disk full?). Run the same command again."
        exit 1
    }
fi
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
pwd >.venv/.installed-at
cp requirements.lock .venv/.installed-lock
cp pyproject.toml .venv/.installed-pyproject
