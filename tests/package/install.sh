#!/bin/sh
# Installs everything into a fresh prefix, its plugins signed, and tries it there.
# Usage: install.sh BUILD WORK CC
set -eu
BUILD=$1 WORK=$2 CC=$3
PREFIX=$WORK/prefix
rm -rf "$WORK"
mkdir -p "$WORK"
"$BUILD/vlmhost" keygen "$WORK/maker.key" > /dev/null
VLM_SIGNING_KEY="$WORK/maker.key" cmake --install "$BUILD" --prefix "$PREFIX" > "$WORK/install.log"
signed=0
for plugin in "$PREFIX"/lib/vlm/plugins/*.so; do
    "$PREFIX/bin/vlmhost" verify "$plugin" --trust-key "$WORK/maker.key.pub" > "$WORK/verify.log" 2>&1 || { cat "$WORK/verify.log"; exit 1; }
    signed=$((signed + 1))
done
[ "$signed" -ge 10 ] || { echo "only $signed plugins are signed"; exit 1; }
if VLM_SIGNING_KEY="$WORK/no.key" cmake --install "$BUILD" --prefix "$WORK/unsigned" --component plugins > "$WORK/sign.log" 2>&1; then
    echo "an installation that could not be signed succeeded"
    exit 1
fi
grep -q "no.key" "$WORK/sign.log" || { cat "$WORK/sign.log"; exit 1; }
rm -rf "$WORK/unsigned"
# The rest is tried as an operator who trusts nobody else.
export VLM_TRUST=require VLM_TRUST_KEYS="$WORK/maker.key.pub"
. "$(dirname "$0")/try.sh"

# Each component of the CMake package answers for itself.
mkdir -p "$WORK/find"
cat > "$WORK/find/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.22)
project(find LANGUAGES CXX)
find_package(vlm REQUIRED COMPONENTS ${WANTED})
if("host" IN_LIST WANTED AND NOT TARGET vlm::host OR "sdk" IN_LIST WANTED AND NOT TARGET vlm::sdk)
    message(FATAL_ERROR "a target is missing")
endif()
CMAKE
find_vlm() { cmake -S "$WORK/find" -B "$WORK/find/build" -DCMAKE_PREFIX_PATH="$1" "-DWANTED=$2" > "$WORK/find.log" 2>&1; }
find_vlm "$PREFIX" "host" && find_vlm "$PREFIX" "sdk" && find_vlm "$PREFIX" "host;sdk" || { cat "$WORK/find.log"; exit 1; }
rm -rf "$WORK/find/build"
if find_vlm "$PREFIX" "cuda"; then echo "an unknown component was found"; exit 1; fi
cmake --install "$BUILD" --prefix "$WORK/dev" --component dev > "$WORK/install.log"
rm -rf "$WORK/find/build"
find_vlm "$WORK/dev" "sdk" || { echo "the SDK needs the library:"; cat "$WORK/find.log"; exit 1; }
rm -rf "$WORK/find/build"
if find_vlm "$WORK/dev" "host"; then echo "the host was found where only the headers are"; exit 1; fi
rm -rf "$WORK/prefix" "$WORK/dev"
