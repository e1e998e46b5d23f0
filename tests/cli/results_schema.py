#!/usr/bin/env python3
"""Real output of `vlmhost --json` against docs/results.schema.json, and wrong output that the schema must refuse.

Usage: results_schema.py VLMHOST SOURCE_FOLDER. Exit status 77 (skipped) without python3-jsonschema.
"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: install python3-jsonschema")
    sys.exit(77)

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])
schema = json.loads((source / "docs/results.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)

with tempfile.TemporaryDirectory() as folder:
    pages = pathlib.Path(folder)
    rows = sorted((source / "tests/data").glob("rx_rows/**/*.png"))[:2]
    for row in rows:
        (pages / row.name).write_bytes(row.read_bytes())
    (pages / "zz_broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    run = subprocess.run([vlmhost, "--manifest", source / "samples/medical/medical.json", "--image", pages, "--json"],
                         capture_output=True, text=True, timeout=300)
lines = [json.loads(line) for line in run.stdout.splitlines()]
assert len(lines) == len(rows) + 1, (run.stdout, run.stderr)
assert run.returncode == 1, run.returncode  # one page is broken
for line in lines:
    validator.validate(line)
assert "error" in lines[-1], lines[-1]
good = lines[0]
assert "drugs" in good, good

drug = {"printed": "x", "name": "y", "dosage": "5 mg", "confidence": 0.5, "status": "verified", "candidates": [],
        "warnings": [{"code": "a", "en": "b", "ko": "c"}]}
validator.validate({**good, "drugs": [drug]})
for change in ({"confidence": 1.5}, {"status": "maybe"}, {"name": None}, {"box": [1, 2, 3]}, {"warnings": ["text"]},
               {"candidates": [{"name": "y"}]}):
    wrong = copy.deepcopy(good)
    wrong["drugs"] = [{**drug, **change}]
    assert not validator.is_valid(wrong), change
for key in ("image", "text", "tokens", "timings_ms", "peak_mb"):
    assert not validator.is_valid({k: v for k, v in good.items() if k != key}), key
print(f"{len(lines)} results are valid")
