#!/usr/bin/env python3
"""`vlmhost --score`: the loss of a given answer is the reference's, several answers at once give what one alone gives.

Usage: score.py VLMHOST SOURCE_FOLDER GOLDEN_FOLDER
"""
import json
import pathlib
import struct
import subprocess
import sys

vlmhost, golden = sys.argv[1], pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else "")


def scalar(path, name):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8:8 + size])[name]
    return struct.unpack_from("<f", data, 8 + size + entry["data_offsets"][0])[0]


def scores(folder, case, *answers, end=True):
    command = [vlmhost, "--model", folder, "--dtype", "f32", "--raw", "--json",
               "--prompt", case["prompt"].replace("{}", "<image>")]
    for image in case["images"]:
        command += ["--image", folder / image]
    for answer in answers:
        command += ["--score", answer]
    command += ["--score-end"] if end else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)["scores"]


checked = 0
for inputs in sorted(golden.glob("*/inputs.json")) if golden.is_dir() else []:
    for i, case in enumerate(json.loads(inputs.read_text())["cases"]):
        if not case.get("answer"):
            continue
        expected = scalar(inputs.parent / "expected.safetensors", f"case{i}.answer.loss")
        both = scores(inputs.parent, case, case["answer"], "No.")
        assert abs(both[0]["loss"] - expected) < 2e-5, (inputs.parent.name, i, both[0]["loss"], expected)
        alone = scores(inputs.parent, case, "No.")
        assert abs(both[1]["loss"] - alone[0]["loss"]) < 1e-5, (inputs.parent.name, i)
        assert [t["id"] for t in both[1]["tokens"]] == [t["id"] for t in alone[0]["tokens"]]
        mean = -sum(t["log_probability"] for t in both[0]["tokens"]) / len(both[0]["tokens"])
        assert abs(mean - both[0]["loss"]) < 1e-4
        assert len(scores(inputs.parent, case, case["answer"], end=False)[0]["tokens"]) == len(both[0]["tokens"]) - 1
        checked += 1
if checked == 0:
    print("skipped: no reference folder has answers")
    sys.exit(77)
print("scored", checked)
