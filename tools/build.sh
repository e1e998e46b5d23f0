#!/bin/sh
# Installs what is needed and builds vlmhost with all plugins into build/.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DVLM_BUILD_TESTS=OFF
cmake --build build
