#!/bin/sh
# Builds the wheel from a copy of the source, without network, and unpacks it to WORK/python.
# Usage: python_wheel.sh PYTHON SOURCE WORK
set -eu
python=$1
source=$2
work=$3
for module in cffi pip setuptools wheel; do
    "$python" -c "import $module" 2>/dev/null || { echo "skipped: $python has no $module"; exit 77; }
done
rm -rf "$work/python" "$work/python-source" "$work/wheel"
mkdir -p "$work/python" "$work/wheel"
cp -r "$source" "$work/python-source"
"$python" -m pip wheel --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --wheel-dir "$work/wheel" "$work/python-source"
"$python" -m zipfile -e "$work"/wheel/vlmhost-*.whl "$work/python"
for file in py.typed __init__.pyi _raw.py; do
    [ -e "$work/python/vlm/$file" ] || { echo "the wheel lacks vlm/$file"; exit 1; }
done
