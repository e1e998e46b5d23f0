#!/usr/bin/env python3
"""What README.md shows as the answer to its first command is what that command answers.

Times, memory and the last digits of the confidences are the machine's own, so they are left out.

Usage: readme_output.py VLMHOST SOURCE_FOLDER
"""
import pathlib
import re
import subprocess
import sys

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])
shown = re.search(r"<!-- output of the first command -->\n```\n(.*?)```", (source / "README.md").read_text("utf-8"), re.S)
if not shown:
    sys.exit("README.md: no block behind '<!-- output of the first command -->'")
run = subprocess.run(
    [vlmhost, "--manifest", "samples/medical/medical.json", "--image", "samples/medical/prescription.png"],
    cwd=source, capture_output=True, text=True, timeout=300)
if run.returncode:
    sys.exit(f"the command failed: {run.stderr}")


def lasting(text):
    return re.sub(r"confidence [0-9.]+", "confidence", re.sub(r"^  \[connect .*$", "", text, flags=re.M))


if lasting(shown[1]) != lasting(run.stdout):
    sys.exit(f"README.md shows\n{shown[1]}\nbut the command answers\n{run.stdout}")
print("README.md shows what the command answers")
