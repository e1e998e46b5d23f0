# Sourced by install.sh and deb.sh: tries an installed tree, using nothing but that tree. PREFIX is where it is, CC the compiler.
unset VLM_PLUGIN_PATH LD_LIBRARY_PATH VLM_LIBRARY || true
export PKG_CONFIG_PATH="$PREFIX/lib/pkgconfig"

"$PREFIX/bin/vlmhost" plugins > "$WORK/plugins.txt"
grep -q org.vlmhost.vit "$WORK/plugins.txt" || { echo "vlmhost plugins does not list the plugins:"; cat "$WORK/plugins.txt"; exit 1; }

# The sample with one compiler line, and with CMake. The program lies elsewhere, so plugins must be found from the library.
mkdir -p "$WORK/application"
# shellcheck disable=SC2046 # flags are words
$CC -std=c11 -D_POSIX_C_SOURCE=200809L "$PREFIX/share/vlm/samples/c/read.c" -o "$WORK/application/read" \
    $(pkg-config --cflags --libs vlmhost) -pthread
cmake -S "$PREFIX/share/vlm/samples/c" -B "$WORK/cmake" -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_C_COMPILER="$CC" > "$WORK/cmake.log"
cmake --build "$WORK/cmake" >> "$WORK/cmake.log"
export LD_LIBRARY_PATH="$PREFIX/lib"
medical="$PREFIX/share/vlm/samples/medical"
if [ -e "$PREFIX/share/vlm/models/rx-small/model.safetensors" ]; then
    for program in "$WORK/application/read" "$WORK/cmake/vlm_sample_c"; do
        "$program" "$medical/medical.json" "$medical/prescription.png" 2> "$WORK/errors.txt" > "$WORK/table.txt" ||
            { cat "$WORK/errors.txt"; exit 1; }
        grep -q tacrolimus "$WORK/table.txt" || { cat "$WORK/table.txt"; exit 1; }
    done
    # The validator in a process of its own, started from where it was installed.
    sed 's/"plugin": "org.vlmhost.drug_validator"/&, "isolate": true/' "$medical/medical.json" > "$medical/isolated.json"
    grep -q isolate "$medical/isolated.json"
    "$PREFIX/bin/vlmhost" --manifest "$medical/isolated.json" --image "$medical/prescription.png" --json > "$WORK/isolated.txt"
    grep -q tacrolimus "$WORK/isolated.txt" || { cat "$WORK/isolated.txt"; exit 1; }
else
    echo "the reader was not tried: it has no weights here"
fi
