#!/bin/sh
# Keeps what an ABI version was: its headers, plugins built with them, a host built with them. Run it once when a version is
# published; what it wrote is never changed again. Usage: freeze.sh SOURCE_FOLDER VERSION [CC]
set -eu
source=$1
folder=$source/tests/abi/frozen/$2
cc=${3:-cc}
platform=$(uname -s | tr 'A-Z' 'a-z')-$(uname -m)
rm -rf "$folder"
mkdir -p "$folder/include/vlm" "$folder/$platform"
cp "$source"/abi/vlm/*.h "$folder/include/vlm/"
for plugin in sound_plugin sound_encoder sound_connector sound_post; do
    $cc -std=c11 -O2 -s -fPIC -shared -fvisibility=hidden -D_POSIX_C_SOURCE=200809L -I"$folder/include" \
        "$source/tests/torture/$plugin.c" -o "$folder/$platform/$plugin.so"
done
$cc -std=c11 -O2 -s -I"$folder/include" "$source/tests/abi/mini_host.c" -o "$folder/$platform/mini_host" -ldl
python3 "$source/tests/abi/layout.py" probe "$source/abi" >"$folder/probe.c"
$cc -std=c11 -g -fPIC -shared -I"$folder/include" "$folder/probe.c" -o "$folder/probe.so"
if command -v abidw >/dev/null; then
    # The path of the source is of no use to others.
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs "$folder/probe.so" |
        sed "s#path='[^']*/tests/abi#path='tests/abi#" >"$folder/$platform/probe.abi"
fi
rm "$folder/probe.so"
echo "froze ABI version $2 for $platform"
