#!/usr/bin/env python3
"""`vlmhost parity`: f32 is judged, lower precision is told, and what fails says so to people and to machines.

Usage: parity.py VLMHOST SOURCE_FOLDER
"""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])
FOLDER = next(p.parent for p in sorted((source / "tests/data/families").glob("*/expected.safetensors")))


def parity(*arguments):
    run = subprocess.run([vlmhost, "parity", *map(str, arguments)], capture_output=True, text=True, timeout=300)
    return run.returncode, run.stdout


status, text = parity(FOLDER)
assert status == 0 and "passed" in text and "  ok" in text, text
status, text = parity(FOLDER, "--json")
report = json.loads(text)
assert status == 0 and report["judged"] and report["passed"] and report["failure"] == "", report
tensors = [t for case in report["cases"] for t in case["tensors"]]
assert tensors and all(t["within_tolerance"] for t in tensors), report
assert any(t.get("cosine", 0) > 0.999999 for t in tensors), report

# The reference is f32: other precision has differences, which are no failure unless somebody says how large they may be.
status, text = parity(FOLDER, "--dtype", "bf16")
assert status == 0 and "told, not judged" in text and "  ok" not in text and "DIFFERS" not in text, text
status, text = parity(FOLDER, "--weights", "int8", "--json")
report = json.loads(text)
assert status == 0 and report["passed"] and not report["judged"], report
assert not all(t["within_tolerance"] for case in report["cases"] for t in case["tensors"]), "int8 is not f32"
status, text = parity(FOLDER, "--dtype", "bf16", "--tolerance", "1e-6", "--quiet")
assert status == 1 and "FAILED, first at case 0: " in text and len(text.splitlines()) == 1, text
status, text = parity(FOLDER, "--tolerance", "0", "--json")
report = json.loads(text)
assert report["judged"], report

# Folders after one that cannot be read are still compared.
with tempfile.TemporaryDirectory() as empty:
    status, text = parity(empty, FOLDER, "--quiet")
    lines = text.splitlines()
    assert status == 1 and "FAILED" in lines[0] and "passed" in lines[1], text
    broken = pathlib.Path(empty) / "broken"
    shutil.copytree(FOLDER, broken)
    file = broken / "expected.safetensors"
    data = bytearray(file.read_bytes())
    header = struct.unpack_from("<Q", data)[0]
    begin = 8 + header + json.loads(data[8:8 + header])["case0.logits"]["data_offsets"][0]
    data[begin:begin + 4] = struct.pack("<f", float("nan"))
    file.write_bytes(data)
    for arguments in ([], ["--dtype", "bf16"]):
        status, text = parity(broken, "--json", *arguments)
        report = json.loads(text)
        assert status == 1 and not report["passed"] and report["failure"] == "case 0: logits", report["failure"]
print("ok")
