#!/bin/sh
# For each kind, as a new vendor would: `vlmhost new-plugin` of an installed SDK writes a project, which must build with CMake and
# with its one compiler line, pass its own test and keep the contract; the library is signed, verified and refused when it was
# changed. Kinds that fit every model also answer a question with the shipped one, in the host's process and in one of their own.
# Usage: new_plugin.sh BUILD_FOLDER WORK_FOLDER CXX
set -eu
build=$1
work=$2
cxx=$3
rm -rf "$work"
mkdir -p "$work"
for component in dev host plugins models; do
    cmake --install "$build" --prefix "$work/prefix" --component $component >/dev/null
done
vlmhost=$work/prefix/bin/vlmhost
fail() {
    echo "FAILED: $1"
    exit 1
}

# Answers with the project's own manifest, signed plugin and all; $2: the answer as JSON without times and memory.
answer() {
    "$vlmhost" --manifest "$1" --model "$model" --image "$picture" --max-new-tokens 4 --json --trust warn \
        --trust-key "$work/vendor.key.pub" 2>"$work/log" | sed 's/,"timings_ms".*"tokens"/,"tokens"/; s/,"peak_mb":[0-9.]*//' >"$2"
    [ -s "$2" ] || { cat "$work/log"; fail "$1: no answer"; }
    if grep "libvlm_my_" "$work/log"; then fail "$1: the log complains about the signed plugin"; fi
}
model=$work/prefix/share/vlm/models/rx-small
picture=$work/prefix/share/vlm/samples/medical/prescription.png

"$vlmhost" keygen "$work/vendor.key" --comment "Example Ltd" >/dev/null
for kind in vision_encoder connector backbone token_reducer post_processor; do
    project=$work/$kind
    "$vlmhost" new-plugin $kind my_$kind "$project" --vendor "Example Ltd" --license Apache-2.0 >/dev/null
    cmake -S "$project" -B "$project/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$cxx" >/dev/null
    cmake --build "$project/build" >/dev/null
    ctest --test-dir "$project/build" --output-on-failure >"$work/ctest.log" || { cat "$work/ctest.log"; fail "$kind: ctest"; }
    grep -q "2 tests" "$work/ctest.log" || grep -q "out of 2" "$work/ctest.log" || fail "$kind: its two tests did not run"
    "$project/build.sh" "$work/prefix" "$cxx" >/dev/null
    "$vlmhost" check "$project/libvlm_my_$kind.so" >"$work/check.log" || { cat "$work/check.log"; fail "$kind: check"; }

    library=$project/build/libvlm_my_$kind.so
    "$vlmhost" sign "$library" --key "$work/vendor.key" >/dev/null
    grep -q '"license": "Apache-2.0"' "$library.json" || fail "$kind: the manifest has no licence"
    "$vlmhost" verify "$library" --trust-key "$work/vendor.key.pub" >/dev/null || fail "$kind: verify"
    "$vlmhost" plugins --plugin-path "$library" --trust require --trust-key "$work/vendor.key.pub" 2>/dev/null |
        grep -q "com.example.my_$kind" || fail "$kind: a host that requires signatures does not load it"
    case $kind in
        token_reducer | post_processor)
            [ -e "$model/model.safetensors" ] || fail "the shipped model has no weights"
            sed 's/"plugin": "[^"]*"/&, "isolate": true/' "$project/manifest.json" >"$project/isolated.json"
            "$vlmhost" --manifest "$project/isolated.json" --model "$model" --plan >"$work/plan.txt"
            grep -q "my_$kind.*, isolated" "$work/plan.txt" || { cat "$work/plan.txt"; fail "$kind: the plan does not show it isolated"; }
            answer "$project/manifest.json" "$work/here.json"
            answer "$project/isolated.json" "$work/isolated.json"
            cmp "$work/here.json" "$work/isolated.json" || fail "$kind: isolated it gives another answer"
            ;;
    esac
    printf x >>"$library"
    "$vlmhost" verify "$library" --trust-key "$work/vendor.key.pub" >/dev/null && fail "$kind: a changed library is trusted"
    "$vlmhost" plugins --plugin-path "$library" --trust require --trust-key "$work/vendor.key.pub" 2>/dev/null |
        grep -q "com.example.my_$kind" && fail "$kind: a changed library is loaded"
    echo "$kind: built twice, tested, checked, signed, tried"
done

# Mistakes end with a message and leave nothing behind.
refused() {
    expected=$1
    shift
    "$vlmhost" new-plugin "$@" >"$work/out" 2>&1 && fail "accepted: new-plugin $*"
    grep -q -- "$expected" "$work/out" || { cat "$work/out"; fail "new-plugin $* does not say '$expected'"; }
}
refused "did you mean" conector thing "$work/new"
refused "small letter" connector Thing "$work/new"
refused "small letter" connector "../x" "$work/new"
refused "reverse-DNS" connector thing "$work/new" --id thing
refused "SPDX" connector thing "$work/new" --license "all rights reserved!"
refused "no quotes" connector thing "$work/new" --vendor 'A "B" C'
refused "give kind, name and folder" connector thing
[ ! -e "$work/new" ] || fail "a refused command made a folder"
refused "is not empty" connector thing "$work/connector"
refused "is not a folder" connector thing "$work/vendor.key"
"$vlmhost" keygen "$work/vendor.key" >/dev/null 2>&1 && fail "a key was overwritten"
echo "mistakes are named"
