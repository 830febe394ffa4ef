#!/bin/sh
# Renew requirements.lock: one universal file for Linux and macOS, Python 3.11 to 3.13, with the hash of every archive.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
.venv/bin/python -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv
"$tools/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --extra book --extra test \
    --fork-strategy fewest --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock
