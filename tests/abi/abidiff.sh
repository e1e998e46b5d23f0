#!/bin/sh
# A second pair of eyes beside layout.py: libabigail compares today's headers with the frozen ones by their debug information.
# The probe library has one function for each struct and table, so that all of them are reachable. Exits 77 when abidiff or the
# frozen description for this platform is not there. Usage: abidiff.sh SOURCE_FOLDER WORK_FOLDER CC
set -eu
source=$1
work=$2
cc=$3
platform=$(uname -s | tr 'A-Z' 'a-z')-$(uname -m)
command -v abidiff >/dev/null || { echo "abidiff (Debian package abigail-tools) is not installed"; exit 77; }
mkdir -p "$work"
# Members appended at the end of a struct are how the ABI grows.
printf '[suppress_type]\n  type_kind = struct\n  has_data_member_inserted_at = end\n' >"$work/appended.abignore"
compare() { # FROZEN_VERSION_FOLDER HEADERS
    $cc -std=c11 -g -fPIC -shared -I"$2" "$1/probe.c" -o "$work/probe.so"
    abidiff --suppressions "$work/appended.abignore" "$1/$platform/probe.abi" "$work/probe.so"
}
count=0
for version in "$source"/tests/abi/frozen/*/; do
    [ -e "$version$platform/probe.abi" ] || continue
    count=$((count + 1))
    compare "$version" "$source/abi" || { echo "the ABI of $version has changed in a way that is no append"; exit 1; }
    # Does it see anything at all? A member that goes away must be seen.
    rm -rf "$work/broken"
    cp -r "$source/abi" "$work/broken"
    sed -i 's/^    void\* stream;$//' "$work/broken/vlm/context.h"
    if compare "$version" "$work/broken" >/dev/null; then
        echo "abidiff did not see a member that was removed"
        exit 1
    fi
done
[ "$count" -gt 0 ] || { echo "no frozen version for $platform"; exit 77; }
echo "abidiff: $count frozen version(s), nothing but appends"
