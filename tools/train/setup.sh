#!/bin/sh
# Installs what the generator and the training need on Debian: typefaces and a Python environment in .venv of the repository.
set -e
here=$(dirname "$0")
apt-get update
apt-get install -y --no-install-recommends python3-venv $(cat "$here/fonts.txt")
python3 -m venv "$here/../../.venv"
"$here/../../.venv/bin/pip" install -r "$here/requirements.txt"
