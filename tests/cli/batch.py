#!/usr/bin/env python3
"""A folder of pages: --output goes on where it was stopped, failed pages are told and tried again, --report opens offline.

Usage: batch.py VLMHOST SOURCE_FOLDER.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
manifest = source / "samples/medical/medical.json"

with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    pages, answers, report = folder / "pages", folder / "answers.jsonl", folder / "report.html"
    pages.mkdir()
    sample = (source / "samples/medical/prescription.png").read_bytes()
    (pages / "a.png").write_bytes(sample)
    row = sorted((source / "tests/data").glob("rx_rows/**/*.png"))[0]
    (pages / "b <b>&.png").write_bytes(row.read_bytes())
    (pages / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")

    def run(*more, code):
        command = [vlmhost, "--manifest", manifest, "--image", pages, "--output", answers, *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, (done.returncode, done.stderr)
        return [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]

    first = run("--report", report, code=1)
    assert [("error" in line) for line in first] == [False, False, True], first
    audit = first[0]["audit"]
    assert audit["image_sha256"] == hashlib.sha256(sample).hexdigest()
    assert audit["manifest"]["sha256"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    weights = source / "models/rx-small/model.safetensors"
    assert audit["weights"][0]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert {p["id"] for p in audit["plugins"]} >= {"org.vlmhost.vit", "org.vlmhost.drug_validator"}, audit["plugins"]
    assert audit["options"]["org.vlmhost.drug_validator"]["confidence_threshold"] == 0.9
    assert audit["duration_ms"] > 0 and audit["time"].endswith("Z")

    html = report.read_text(encoding="utf-8")
    assert html.count("<section>") == 3 and html.count("data:image/webp;base64,") == 2
    boxes = len(re.findall(r"<rect id=p1d\d+ ", html))
    assert boxes == len(first[0]["drugs"]) > 0, boxes
    assert "b &lt;b&gt;&amp;.png" in html and "b <b>" not in html
    assert not re.search(r'(src|href)="(?!data:)', html), "the report must open offline"

    # A crash in the middle of a line, then a mended page: only what is missing is read.
    (pages / "c.png").write_bytes(row.read_bytes() + b"\0")
    lines = answers.read_text(encoding="utf-8").splitlines()
    answers.write_text(lines[0] + "\n" + lines[1][:40], encoding="utf-8")
    second = run(code=0)
    assert second[0] == first[0], "a finished page was read again"
    assert len(second) == 3 and "error" not in second[1] and "error" not in second[2], second

    third = run(code=0)
    assert third == second, "nothing was left to do"

    other = folder / "notes.txt"
    other.write_text("no results\n")
    refused = subprocess.run([vlmhost, "--manifest", manifest, "--image", pages, "--output", other], capture_output=True, text=True)
    assert refused.returncode != 0 and "notes.txt, line 1" in refused.stderr, refused.stderr
    assert other.read_text() == "no results\n"

    # A first page that is too large for the context does not lose the others.
    small = folder / "small.json"
    marker = "<|vision_start|><|image_pad|><|vision_end|>"
    small.write_text(json.dumps({"model": str(source / "models/rx-small"), "use_template": False, "prompt": marker, "max_context": 90}))
    mixed = folder / "mixed"
    mixed.mkdir()
    (mixed / "a.png").write_bytes(sample)
    (mixed / "b.png").write_bytes((source / "tests/data/rx_rows/english_entry.png").read_bytes())
    done = subprocess.run([vlmhost, "--manifest", small, "--image", mixed, "--max-new-tokens", "2", "--json"], capture_output=True,
                          text=True, timeout=300)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and len(lines) == 2, done.stderr
    assert "context" in lines[0]["error"]["message"] and lines[1]["text"], lines
print("batch output, restart, audit and report are right")
