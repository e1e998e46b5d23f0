#!/bin/sh
# As a vendor would: installs the SDK into a fresh prefix, copies the sample plugins, in C++ and in C, out of the tree, builds each
# there with CMake and once more with one plain compiler line, and checks all libraries with the installed vlmhost.
# Usage: build_outside.sh BUILD_FOLDER SOURCE_FOLDER WORK_FOLDER CXX CC
set -eu
build=$1
source=$2
work=$3
cxx=$4
cc=$5
rm -rf "$work"
mkdir -p "$work"
for component in dev host plugins; do
    cmake --install "$build" --prefix "$work/prefix" --component $component >/dev/null
done
cp -r "$source/samples/vendor_plugin" "$work/plugin"
cp -r "$source/samples/vendor_plugin_c" "$work/plugin_c"
vlmhost=$work/prefix/bin/vlmhost

cmake -S "$work/plugin" -B "$work/plugin/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$cxx" >/dev/null
cmake --build "$work/plugin/build" >/dev/null
"$vlmhost" check "$work/plugin/build/libvlm_every_second.so"

map=$(find "$work/prefix" -name plugin.map)
$cxx -std=c++20 -O2 -fPIC -shared -fvisibility=hidden -I"$work/prefix/include" -Wl,--version-script="$map" \
    "$work/plugin/every_second.cpp" -o "$work/libevery_second.so"
"$vlmhost" check "$work/libevery_second.so"
lines=$(wc -l <"$work/plugin/every_second.cpp")
[ "$lines" -le 80 ] || { echo "the sample plugin has $lines lines, more than 80"; exit 1; }

# The one in C needs no C++ compiler.
cmake -S "$work/plugin_c" -B "$work/plugin_c/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" >/dev/null
cmake --build "$work/plugin_c/build" >/dev/null
$cc -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -fPIC -shared -fvisibility=hidden -I"$work/prefix/include" \
    "$work/plugin_c/unsure_tokens.c" -Wl,--no-undefined -lm -o "$work/libunsure_tokens.so"
for library in "$work/plugin_c/build/libvlm_unsure_tokens.so" "$work/libunsure_tokens.so"; do
    "$vlmhost" check "$library" --options '{"below_percent": 70}'
done
