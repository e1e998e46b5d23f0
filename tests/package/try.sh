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
share="$PREFIX/share/vlm"

# The same application from the installed bindings, where the language is there. The installed tree may belong to somebody else, so
# nothing is written into it.
chmod -R a-w "$share/bindings"
cat > "$WORK/application/with_python" <<END
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$share/bindings/python exec /usr/bin/python3 $share/samples/python/read.py "\$@"
END
programs="$WORK/application/read $WORK/cmake/vlm_sample_c"
if /usr/bin/python3 -c "import cffi" 2> /dev/null; then programs="$programs $WORK/application/with_python"; else echo "not tried: Python"; fi
if command -v mcs > /dev/null && command -v mono > /dev/null; then
    mcs -langversion:7.2 -r:System.Core.dll -target:library -out:"$WORK/application/Vlm.dll" "$share"/bindings/csharp/Vlm/*.cs
    mcs -langversion:7.2 -r:System.Core.dll -r:"$WORK/application/Vlm.dll" -out:"$WORK/application/Read.exe" "$share/samples/csharp/Program.cs"
    echo "exec mono $WORK/application/Read.exe \"\$@\"" > "$WORK/application/with_mono"
    programs="$programs $WORK/application/with_mono"
else
    echo "not tried: C#"
fi
if command -v cargo > /dev/null; then  # cargo writes beside the sources, so the application copies them
    mkdir -p "$WORK/rust/samples" "$WORK/rust/bindings"
    cp -r "$share/samples/rust" "$WORK/rust/samples/"
    cp -r "$share/bindings/rust" "$WORK/rust/bindings/"
    chmod -R u+w "$WORK/rust"
    (cd "$WORK/rust/samples/rust" && CARGO_TARGET_DIR="$WORK/rust/target" cargo build --offline --quiet)
    programs="$programs $WORK/rust/target/debug/vlm-sample"
else
    echo "not tried: Rust"
fi
chmod -R u+w "$share/bindings"
if [ -e "$PREFIX/share/vlm/models/rx-small/model.safetensors" ]; then
    for program in $programs; do
        case $program in */with_*) run="sh $program" ;; *) run=$program ;; esac
        $run "$medical/medical.json" "$medical/prescription.png" 2> "$WORK/errors.txt" > "$WORK/table.txt" ||
            { echo "FAILED: $program"; cat "$WORK/errors.txt"; exit 1; }
        grep -q tacrolimus "$WORK/table.txt" || { echo "FAILED: $program"; cat "$WORK/table.txt"; exit 1; }
    done
    # The validator in a process of its own, started from where it was installed.
    sed 's/"plugin": "org.vlmhost.drug_validator"/&, "isolate": true/' "$medical/medical.json" > "$medical/isolated.json"
    grep -q isolate "$medical/isolated.json"
    "$PREFIX/bin/vlmhost" --manifest "$medical/isolated.json" --image "$medical/prescription.png" --json > "$WORK/isolated.txt"
    grep -q tacrolimus "$WORK/isolated.txt" || { cat "$WORK/isolated.txt"; exit 1; }
else
    echo "the reader was not tried: it has no weights here"
fi
