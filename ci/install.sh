#!/bin/sh
# Make .venv hold what requirements.lock pins, with this checkout on top. Does nothing when that is already so.
set -eu
cd "$(dirname "$0")/.."

usable() {  # a Python from 3.11 to 3.13 that really runs (version managers leave names behind that only fail)
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if usable "$candidate" && "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "mdepth needs Python 3.11, 3.12 or 3.13 with its venv module, and found none that runs${PYTHON:+ as $PYTHON}." >&2
    echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12), or name it: make book PYTHON=/path/to/python3" >&2
    return 1
}

lock=$(cksum < requirements.lock)
project=$(cksum < pyproject.toml)
if ! usable .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
if [ "$lock" != "$(cat .venv/lock.stamp 2>/dev/null)" ]; then
    echo "Installing what requirements.lock pins (the first time this takes a few minutes and about 6.5 GB)"
    rm -f .venv/lock.stamp
    .venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
    echo "$lock" > .venv/lock.stamp
    rm -f .venv/project.stamp
fi
if [ "$project" != "$(cat .venv/project.stamp 2>/dev/null)" ]; then
    .venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
    echo "$project" > .venv/project.stamp
fi
