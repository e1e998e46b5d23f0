#!/usr/bin/env python3
"""`vlmhost bench` measures every stage and says so in JSON.

Usage: bench.py VLMHOST SOURCE_FOLDER
"""
import json
import pathlib
import subprocess
import sys

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])
model = source / "models/rx-small"
if not (model / "model.safetensors").exists():
    print("skipped: models/rx-small has no weights")
    sys.exit(77)
command = [vlmhost, "bench", "--model", model, "--image", source / "tests/data/rx_rows/english_entry.png",
           "--prompt", "<|vision_start|><|image_pad|><|vision_end|>", "--runs", "3", "--new-tokens", "6"]
result = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True, timeout=300).stdout)
for stage in ("load", "preprocess", "encode", "connect", "prefill", "decode", "end to end"):
    spread = result["ms"][stage]
    assert 0 < spread["min"] <= spread["median"] <= spread["max"], (stage, spread)
assert result["tokens"]["generated"] == 6 and result["tokens"]["visual"] > 0, result["tokens"]
assert result["tokens_per_s"]["min"] > 0 and result["peak_mb"] > 1, result
assert result["ms"]["end to end"]["min"] >= result["ms"]["encode"]["min"]
text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
assert "tokens/s" in text and "end to end" in text, text
print("measured")
