#!/usr/bin/env python3
"""The sample application of any language: reads a page, stops on Ctrl-C and on time while it generates, says what is wrong.

Usage: sample.py SOURCE_FOLDER COMMAND... Exit status 77 (skipped) without the weights of the shipped reader.
"""
import json
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile

source, command = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
model = source / "models/rx-small"
manifest = source / "samples/medical/medical.json"
page = source / "samples/medical/prescription.png"
if not (model / "model.safetensors").exists():
    print("skipped: models/rx-small has no weights")
    sys.exit(77)

run = subprocess.run([*command, manifest, page], capture_output=True, text=True, timeout=300)
assert run.returncode == 0, (run.returncode, run.stderr)
assert "loading" in run.stderr and "reading" in run.stderr, run.stderr
table = run.stdout.splitlines()
assert table[0].split()[:3] == ["status", "name", "dosage"], table
expected = [drug for drug in json.loads((source / "samples/medical/prescription.expected.json").read_text())["drugs"]]
assert len(table) == 1 + len(expected) > 1, table
for line, drug in zip(table[1:], expected):
    assert line.split()[1] == (drug["name"] or "-") and drug["dosage"] in line, (line, drug)

with tempfile.TemporaryDirectory() as folder:
    endless = pathlib.Path(folder) / "endless.json"
    endless.write_text(json.dumps({"model": str(model), "use_template": False, "max_context": 16384,
                                   "prompt": "<|vision_start|><|image_pad|><|vision_end|>",
                                   "generation": {"max_new_tokens": 1000000, "ignore_eos": True}}))
    row = source / "tests/data/rx_rows/english_entry.png"
    # Mono hears Ctrl-C only at a terminal.
    terminal, end = pty.openpty()
    with subprocess.Popen([*command, endless, row], stdin=end, stdout=end, stderr=subprocess.PIPE) as running:
        seen = b""
        while b"reading" not in seen:
            seen += running.stderr.read(1)
            assert running.poll() is None, seen
        running.send_signal(signal.SIGINT)
        _, message = running.communicate(timeout=60)
    assert running.returncode == 130 and b"cancelled" in message, (running.returncode, message[-200:])
    run = subprocess.run([*command, endless, row, "1"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 130 and "cancelled" in run.stderr, (run.returncode, run.stderr[-200:])

for arguments, status, words in (([], 2, "usage"), (["/no/such.json", row], 1, "/no/such.json"),
                                 ([manifest, "/no/such.png"], 1, "NOT_FOUND: /no/such.png")):
    run = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode == status and words in run.stderr, (arguments, run.returncode, run.stderr)
print("reads, stops, refuses")
