#!/bin/sh
# Compiles every header of abi/ alone, as C11 and as C++11 to C++23, without any padding that is not written out.
# Usage: headers_alone.sh ABI_FOLDER [C compiler] [C++ compiler]
set -eu
abi=$1
cc=${2:-cc}
cxx=${3:-c++}
for header in "$abi"/vlm/*.h; do
    name=$(basename "$header")
    echo "#include <vlm/$name>" | $cc -std=c11 -Wall -Wextra -Wpedantic -Wpadded -Werror -fsyntax-only -I"$abi" -x c -
    for standard in c++11 c++14 c++17 c++20 c++2b; do
        echo "#include <vlm/$name>" |
            $cxx -std=$standard -Wall -Wextra -Wpedantic -Wpadded -Werror -fsyntax-only -I"$abi" -x c++ -
    done
done
echo "every header compiles alone"
