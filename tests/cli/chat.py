#!/usr/bin/env python3
"""`vlmhost chat` and `vlmhost estimate` as people call them.

Usage: chat.py VLMHOST SOURCE_FOLDER
"""
import json
import pathlib
import subprocess
import sys
import tempfile

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])
model, row = source / "models/rx-small", source / "tests/data/rx_rows/english_entry.png"
if not (model / "model.safetensors").exists():
    print("skipped: models/rx-small has no weights")
    sys.exit(77)


def chat(*lines, json_lines=True):
    command = [vlmhost, "chat", "--model", model, "--raw", "--dtype", "f32", "--max-new-tokens", "6"]
    return subprocess.run([*command, "--json"] if json_lines else command, input="\n".join(lines), text=True,
                          capture_output=True, timeout=300)


MARKER = "<|vision_start|><|image_pad|><|vision_end|>"
run = chat(f"/image {row}", MARKER, "and", "/new", f"/image {row}", MARKER, "/quit")
assert run.returncode == 0, run.stderr
first, second, again = map(json.loads, run.stdout.splitlines())
assert first["tokens"]["visual"] > 0 and first["tokens"].get("reused", 0) == 0, first["tokens"]
assert "encode" in first["timings_ms"]
# The second turn reads what is new: the picture is in the cache, and the tower does not run again.
assert second["tokens"]["visual"] == 0 and "encode" not in second["timings_ms"], second
assert second["tokens"]["reused"] >= first["tokens"]["visual"], second["tokens"]
assert second["tokens"]["text"] < second["tokens"]["reused"], second["tokens"]
assert again["text"] == first["text"] and again["tokens"].get("reused", 0) == 0

bad = chat("/image nowhere.png", "/nonsense", "/quit", json_lines=False)
assert bad.returncode == 1 and "nowhere.png" in bad.stderr and "/image FILE" in bad.stderr, bad

with tempfile.TemporaryDirectory() as folder:
    plot = pathlib.Path(folder) / "sizes.png"
    command = [vlmhost, "estimate", model, "--sizes", "--plot", plot, "--preset", "l4", "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)
    tokens = [size["visual_tokens"] for size in result["sizes"]]
    assert len(tokens) == 4 and tokens == sorted(tokens), tokens
    assert all(size["stages"]["prefill"]["ms"] > 0 for size in result["sizes"])
    assert plot.read_bytes().startswith(b"\x89PNG")
wrong = subprocess.run([vlmhost, "estimate", model, "--image-size", "big"], capture_output=True, text=True, timeout=60)
assert wrong.returncode == 1 and "WIDTHxHEIGHT" in wrong.stderr, wrong.stderr
print("talked")
