#!/bin/sh
# The reducer of samples/vendor_reducer, built outside the tree against an installed SDK, in front of encoders that it has never
# seen: it must halve the visual tokens of each. Status 77: no reference checkpoints to try it with.
# Usage: run_reducer.sh BUILD_FOLDER SOURCE_FOLDER WORK_FOLDER CXX GOLDEN_FOLDER
set -eu
build=$1
source=$2
work=$3
cxx=$4
golden=$5
rm -rf "$work"
mkdir -p "$work"
for component in dev host plugins; do
    cmake --install "$build" --prefix "$work/prefix" --component $component >/dev/null
done
cp -r "$source/samples/vendor_reducer" "$work/plugin"
cmake -S "$work/plugin" -B "$work/plugin/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$cxx" >/dev/null
cmake --build "$work/plugin/build" >/dev/null
library=$work/plugin/build/libvlm_half_by_similarity.so
"$work/prefix/bin/vlmhost" check "$library"
lines=$(wc -l <"$work/plugin/half_by_similarity.cpp")
[ "$lines" -le 120 ] || { echo "the sample reducer has $lines lines, more than 120"; exit 1; }

tried=0
for family in llava llava_qwen2 paligemma fuyu qwen2_vl internvl; do
    [ -f "$golden/$family/config.json" ] || continue
    python3 - "$golden/$family" "$work/arguments" <<'END'
import json
import pathlib
import sys
folder, out = map(pathlib.Path, sys.argv[1:])
case = json.loads((folder / "inputs.json").read_text())["cases"][0]
arguments = ["--prompt", case["prompt"].replace("{}", "<image>")]
for image in case["images"]:
    arguments += ["--image", str(folder / image)]
out.write_bytes(b"".join(a.encode() + b"\0" for a in arguments))
END
    cat >"$work/m.json" <<END
{"model": "$golden/$family", "dtype": "f32", "use_template": false, "plugins": ["$library"],
 "pipeline": {"token_reducers": [{"plugin": "com.example.half_by_similarity"}]}}
END
    xargs -0 "$work/prefix/bin/vlmhost" --manifest "$work/m.json" --raw --max-new-tokens 3 --json <"$work/arguments" \
        >"$work/answer.json"
    python3 - "$work/answer.json" "$family" <<'END'
import json
import sys
answer = json.load(open(sys.argv[1]))
tokens, images = answer["tokens"], len(answer["image"]) if isinstance(answer["image"], list) else 1
kept = tokens["visual"] - tokens.get("merged", 0)
print(f"{sys.argv[2]}: {tokens['visual']} -> {kept} visual tokens")
assert 0 <= 2 * kept - tokens["visual"] <= images, tokens
END
    tried=$((tried + 1))
done
[ "$tried" -gt 0 ] || { echo "skipped: no reference checkpoints in $golden"; exit 77; }
