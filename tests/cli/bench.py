#!/usr/bin/env python3
"""`vlmhost bench` measures every stage and says so in JSON; shapes need no model.

Usage: bench.py VLMHOST SOURCE_FOLDER
"""
import json
import pathlib
import subprocess
import sys
import tempfile

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])


def run(*arguments):
    return subprocess.run([vlmhost, "bench", *arguments], check=True, capture_output=True, text=True, timeout=300)


with tempfile.TemporaryDirectory() as folder:
    tiny = ["--shape", "tiny", "--checkpoints", folder, "--runs", "2", "--starts", "1", "--context", "96"]
    text = run(*tiny, "--json").stdout
    report = json.loads(text)
    assert report["machine"]["operations_per_s"] > 0 and report["machine"]["read_bytes_per_s"] > 0, report
    for stage in ("preprocess", "encode", "connect", "prefill 96", "first token", "decode x1", "decode x4", "decode x8"):
        assert 0 < report["stages"][stage]["ms"]["median"], (stage, report)
    assert report["start"]["peak_mb"]["median"] < 200, "the memory of the measuring process was counted"
    assert report["start"]["first_token_ms"]["median"] > report["start"]["compute_ms"]["median"] > 0
    old = pathlib.Path(folder) / "old.json"
    old.write_text(text)
    assert "compared with" in run(*tiny, "--compare", str(old)).stdout
    scaling = json.loads(run(*tiny, "--scaling", "--json", "--decode-steps", "2").stdout)
    assert len(scaling["prompt length"]) == 12 and scaling["threads"] and scaling["batch"], scaling
    text = "one two three one two three one two four"
    lookup = ["--lookup", "2,7", "--prompt", text, "--image", str(source / "tests/data/rx_rows/english_entry.png")]
    copied = json.loads(run(*tiny, *lookup, "--json").stdout)["ways"]
    assert [way["prompt_lookup"] for way in copied] == [0, 2, 7] and all(way["equal"] for way in copied), copied
    assert copied[0]["proposed"] == 0 and copied[0]["tokens"] == len(text) - 1, copied
    assert copied[2]["accepted"] > len(text) / 2 and copied[2]["steps"] < copied[1]["steps"] < len(text), copied
    assert copied[2]["against_none"]["median"] > 0 and copied[2]["tokens_per_s"]["median"] > 0, copied
    other = json.loads(run(*tiny, *lookup, "--answer", 'not "that"', "--json").stdout)["ways"]
    assert other[0]["tokens"] == len('not "that"') - 1 and all(way["equal"] for way in other), other
    assert "against none" in run(*tiny, *lookup).stdout
    for wrong in (["--shape", "huge"], ["--shape", "tiny", "--batches", "1,,2"], ["--shape", "tiny", "--model", "x"],
                  ["--shape", "tiny", "--compare", "missing.json"], ["--shape", "tiny", "--lookup", "0"]):
        failed = subprocess.run([vlmhost, "bench", *wrong, "--checkpoints", folder], capture_output=True, text=True)
        assert failed.returncode == 1 and "error:" in failed.stderr, (wrong, failed)
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
