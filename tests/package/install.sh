#!/bin/sh
# Installs everything into a fresh prefix and tries it there.
# Usage: install.sh BUILD WORK CC
set -eu
BUILD=$1 WORK=$2 CC=$3
PREFIX=$WORK/prefix
rm -rf "$WORK"
mkdir -p "$WORK"
cmake --install "$BUILD" --prefix "$PREFIX" > "$WORK/install.log"
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
