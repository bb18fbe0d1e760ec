#!/bin/sh
# Makes .venv from the project's own files. Called by make; runs again only when
# pyproject.toml or constraints.txt changed.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Boundless Skies needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V 2>&1)." >&2
    exit 1
}
"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    else
        echo "Python's venv module is missing. Install it with: sudo apt install python3-venv" >&2
        exit 1
    fi
}
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
echo "Installing the project and its libraries into .venv (once) …"
if .venv/bin/pip install -q --disable-pip-version-check -c constraints.txt uv; then
    .venv/bin/uv pip install -q --python .venv/bin/python -c constraints.txt -e '.[node,cloud,dev]'
else
    .venv/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[node,cloud,dev]'
fi
touch .venv/.ready
