#!/usr/bin/env python3
"""`vlmhost estimate` as people call it: shapes need no model, so nothing is skipped.

Usage: estimate.py VLMHOST SOURCE_FOLDER
"""
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

vlmhost = sys.argv[1]


def estimate(*arguments, fails=False):
    run = subprocess.run([vlmhost, "estimate", *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert (run.returncode == 1) == fails, (arguments, run.stdout, run.stderr)
    return run.stderr if fails else run.stdout


given = ["--device-peak", "100", "--device-bandwidth", "1000"]
page = json.loads(estimate("--shape", "qwen2-vl-2b", "--image-size", "1080x1440", *given, "--new-tokens", 10, "--json"))
size = page["sizes"][0]
assert size["visual_tokens"] == 39 * 51 and page["machine"]["flops_per_s"] == 100e12, page
for stage in size["stages"].values():
    bound = max(stage["flops"] / 100e12, stage["bytes_read"] / 1000e9) * 1e3
    assert stage["ms"] > 0 and math.isclose(stage["ms"], bound, rel_tol=1e-9), stage
    assert math.isclose(stage["flops"], sum(stage[k] for k in ("linear_flops", "matmul_flops", "attention_flops"))), stage
whole = sum(size["stages"][k]["ms"] for k in ("encode", "connect", "prefill")) + 10 * size["stages"]["decode_per_token"]["ms"]
assert math.isclose(size["answer_ms"], whole, rel_tol=1e-9), size
memory = size["memory"]
assert memory["peak"] > memory["weights"] + memory["kv_cache"] + memory["scratch"] > 0, memory

# Three kinds side by side; the model's own says what the stages say.
kinds = {kind["kind"]: kind for kind in size["fusion"]}
assert list(kinds) == ["projection", "cross-attention", "early fusion"], kinds
assert kinds["projection"]["own"] and kinds["projection"]["stages"] == size["stages"]
assert kinds["projection"]["memory"]["peak"] == memory["peak"]
assert kinds["early fusion"]["visual_tokens"] == 48 * 37 and kinds["early fusion"]["stages"]["encode"]["flops"] == 0
for kind in kinds.values():
    assert kind["compression"] > 1 and kind["connector_compression"] > 0 and kind["answer_ms"] > 0, kind
assert kinds["projection"]["connector_compression"] == (78 * 102 * 1280) / (39 * 51 * 1536)

# Attention memory: the square against the line.
rows = page["attention_memory"]
assert [row["tokens"] for row in rows] == [1024, 2048, 4096, 8192]
for row in rows:
    assert row["standard"]["computed"] == 4 * row["tokens"] ** 2
    assert 1 <= row["standard"]["measured"] / row["standard"]["computed"] < 1.2, row
    assert row["blocked"]["measured"] < row["standard"]["measured"] / 2, row
assert rows[3]["blocked"]["measured"] < 9 * rows[0]["blocked"]["measured"], rows

with tempfile.TemporaryDirectory() as folder:
    plot = pathlib.Path(folder) / "sizes.png"
    table = estimate("--shape", "llava-1.1b", "--sizes", "--plot", plot, "--preset", "l4")
    for name in ("600x1000", "1080x1440", "A4 150dpi", "A4 300dpi"):
        assert re.search(rf"^{name}\s+projection \*\s+576\s", table, re.M), table
    assert len(re.findall("early fusion", table)) >= 5 and "answer ms" in table, table
    assert plot.read_bytes().startswith(b"\x89PNG")
measured = json.loads(estimate("--shape", "tiny", "--image-size", "100x100", "--preset", "here", "--json"))
assert measured["machine"]["flops_per_s"] > 1e8 and "measured" in measured["machine"]["source"], measured["machine"]

assert "WIDTHxHEIGHT" in estimate("--shape", "tiny", "--image-size", "big", fails=True)
assert "l4" in estimate("--shape", "tiny", "--preset", "abacus", fails=True)
assert "together" in estimate("--shape", "tiny", "--device-peak", "1", fails=True)
assert "llava-1.5-7b" in estimate("--shape", "huge", fails=True)
assert "--shape" in estimate("--shape", "tiny", "somewhere", fails=True)
assert "--manifest" in estimate(fails=True)
print("estimated")
