#!/bin/sh
# The type stubs against mypy: they are sound, say what the package has and nothing else, and a program that uses them is understood,
# its mistakes included.
# Usage: python_types.sh SOURCE WORK (with the unpacked wheel in WORK/python)
set -eu
source=$1
work=$2
for tool in /usr/bin/mypy /usr/bin/stubtest; do
    [ -x $tool ] || { echo "skipped: $tool is not installed (Debian: mypy)"; exit 77; }
done
rm -rf "$work/types"
mkdir -p "$work/types"
cd "$work/types"
export MYPYPATH="$work/python"
mypy() { /usr/bin/mypy --strict --cache-dir "$work/types/cache" "$@"; }
mypy "$work/python/vlm/__init__.pyi"
cp "$source/tests/bindings/typed_use.py" right.py
mypy right.py
for mistake in 's/max_new_tokens=3/max_tokens=3/' 's/part\.answer, ""/part.row, ""/' 's/error.code + 1/error.code + ""/' 's/host.open({"model": "folder"}/host.open(7/'; do
    sed "$mistake" right.py >wrong.py
    cmp -s right.py wrong.py && { echo "FAILED: '$mistake' changes nothing"; exit 1; }
    if mypy wrong.py >errors.txt; then echo "FAILED: mypy sees nothing wrong after '$mistake'"; exit 1; fi
done
# What only the library makes has no public constructor; cffi has no stubs.
printf '[mypy]\nignore_missing_imports = True\n' >mypy.ini
printf 'vlm\\.(Pipeline|Result|Session|Stream|Tensor)\\.__init__\n' >allowed.txt
/usr/bin/stubtest --concise --mypy-config-file mypy.ini --allowlist allowed.txt vlm
