#!/bin/sh
# As a vendor would: installs the SDK into a fresh prefix, copies the sample plugin out of the tree, builds it there with CMake
# and once more with one plain compiler line, and checks both libraries with the installed vlmhost.
# Usage: build_outside.sh BUILD_FOLDER SOURCE_FOLDER WORK_FOLDER CXX
set -eu
build=$1
source=$2
work=$3
cxx=$4
rm -rf "$work"
mkdir -p "$work"
for component in dev host plugins; do
    cmake --install "$build" --prefix "$work/prefix" --component $component >/dev/null
done
cp -r "$source/samples/vendor_plugin" "$work/plugin"

cmake -S "$work/plugin" -B "$work/plugin/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$cxx" >/dev/null
cmake --build "$work/plugin/build" >/dev/null
"$work/prefix/bin/vlmhost" check "$work/plugin/build/libvlm_every_second.so"

map=$(find "$work/prefix" -name plugin.map)
$cxx -std=c++20 -O2 -fPIC -shared -fvisibility=hidden -I"$work/prefix/include" -Wl,--version-script="$map" \
    "$work/plugin/every_second.cpp" -o "$work/libevery_second.so"
"$work/prefix/bin/vlmhost" check "$work/libevery_second.so"
lines=$(wc -l <"$work/plugin/every_second.cpp")
[ "$lines" -le 80 ] || { echo "the sample plugin has $lines lines, more than 80"; exit 1; }
