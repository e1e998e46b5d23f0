#!/usr/bin/env python3
"""The application in C: reads a row, stops on Ctrl-C while it generates, and says what is wrong.

Usage: c_sample.py PROGRAM SOURCE_FOLDER
"""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile

program, source = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
model = source / "models/rx-small"
row = source / "tests/data/rx_rows/english_entry.png"
if not (model / "model.safetensors").exists():
    print("skipped: models/rx-small has no weights")
    sys.exit(77)

run = subprocess.run([program, source / "samples/medical/medical.json", row], capture_output=True, text=True, timeout=300)
assert run.returncode == 0, (run.returncode, run.stderr)
result = json.loads(run.stdout.splitlines()[-1])
assert "drugs" in result and result["tokens"]["generated"] > 0, result
assert run.stdout.index("{\"image\"") > 0, "nothing was streamed before the result"

with tempfile.TemporaryDirectory() as folder:
    endless = pathlib.Path(folder) / "endless.json"
    endless.write_text(json.dumps({"model": str(model), "use_template": False,
                                   "prompt": "<|vision_start|><|image_pad|><|vision_end|>",
                                   "generation": {"max_new_tokens": 1000000, "ignore_eos": True}}))
    with subprocess.Popen([program, endless, row], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.read(1)  # it streams, so it generates
        running.send_signal(signal.SIGINT)
        _, message = running.communicate(timeout=60)
    assert running.returncode == 130 and b"cancelled" in message, (running.returncode, message)

for arguments, status, words in (([], 2, "usage"), (["/no/such.json", row], 1, "/no/such.json"),
                                 ([source / "samples/medical/medical.json", "/no/such.png"], 1, "/no/such.png")):
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode == status and words in run.stderr, (arguments, run.returncode, run.stderr)
print("reads, stops, refuses")
