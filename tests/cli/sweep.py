#!/usr/bin/env python3
"""`vlmhost bench --sweep reducers` writes a curve, and a manifest's budget chooses from it.

Usage: sweep.py VLMHOST SOURCE_FOLDER
"""
import json
import pathlib
import subprocess
import sys
import tempfile

vlmhost, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
with tempfile.TemporaryDirectory(prefix="vlm_sweep_") as name:
    folder = pathlib.Path(name)
    curve_file = folder / "curve.json"
    command = [vlmhost, "bench", "--sweep", "reducers", "--shape", "tiny", "--checkpoints", folder, "--runs", "1",
               "--decode-steps", "2"]
    run = subprocess.run([*command, "--json", "--out", curve_file], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    curve = json.loads(curve_file.read_text())
    assert curve == json.loads(run.stdout) and curve["kind"] == "reducer_curve", curve
    points = {p["name"]: p for p in curve["points"]}
    none = points["no reducer"]
    assert none["row_share"] == 1 and none["visual_tokens"] == points["hooks that idle"]["visual_tokens"] == 16, none
    for point in points.values():
        assert point["ttft_ms"]["min"] >= point["prefill_ms"]["min"] > 0 and point["kv_mb"] > 0, point
    fewer = [p for p in points.values() if p["visual_tokens"] < 16]
    assert len(fewer) >= 2 and all(p["row_share"] < 1 for p in fewer), points
    # The tiny decoder has two layers, so FastV's K = 2 cannot be: it is left out by name, and the rest is measured.
    assert "left out: FastV K=2" in run.stderr and "only 2 layers" in run.stderr, run.stderr

    table = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    assert "| no reducer | 16 |" in table and "| ToMe 8 | 8 |" in table, table

    model = next(p.parent for p in folder.glob("*/config.json"))
    page = source / "tests/data/rx_rows/english_entry.png"

    def ask(budget):
        manifest = folder / "m.json"
        manifest.write_text(json.dumps({"model": str(model), "budget": budget}))
        return subprocess.run([vlmhost, "--manifest", manifest, "--image", page, "--prompt", "<image>a", "--raw",
                               "--max-new-tokens", "1", "--json"], capture_output=True, text=True, timeout=60)

    run = ask({"curve": "curve.json", "visual_tokens": 8})
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    chosen = points[result["budget"]["chosen"]]
    assert 0 < chosen["visual_tokens"] <= 8 and result["tokens"]["merged"] > 0, result
    assert json.loads(ask({"curve": "curve.json", "visual_tokens": 999}).stdout)["budget"]["chosen"]
    for budget, words in [({"max_ms": 1}, "curve"), ({"curve": "none.json", "max_ms": 1}, "none.json"),
                          ({"curve": "curve.json", "max_ms": 0.002}, "nearest"),
                          ({"curve": "m.json", "max_ms": 1}, "not a curve")]:
        run = ask(budget)
        assert run.returncode == 1 and words in run.stderr, (budget, run)
    curve["fits"]["backbone_layers"] += 1
    curve_file.write_text(json.dumps(curve))
    run = ask({"curve": "curve.json", "visual_tokens": 8})
    assert run.returncode == 1 and "another model" in run.stderr, run
print("swept")
