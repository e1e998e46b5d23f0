#!/usr/bin/env python3
"""The code in the documents is the code of the samples, which are built and run.

A block behind `<!-- snippet FILE NAME -->` must equal the lines between the two `[NAME]` comments of FILE. --fix rewrites the blocks.

Usage: snippets.py SOURCE_FOLDER [--fix]
"""
import pathlib
import re
import sys
import textwrap

source = pathlib.Path(sys.argv[1])
BLOCK = re.compile(r"(<!-- snippet (\S+) (\S+) -->\n```\w*\n)(.*?)(```)", re.S)
count, wrong = 0, []


def section(name, marker):
    lines = (source / name).read_text(encoding="utf-8").splitlines()
    ends = [i for i, line in enumerate(lines) if re.fullmatch(rf"\s*(//|#) \[{re.escape(marker)}\]", line)]
    if len(ends) != 2:
        sys.exit(f"{name} has {len(ends)} lines [{marker}], expected 2")
    return textwrap.dedent("\n".join(lines[ends[0] + 1:ends[1]])) + "\n"


for document in [source / "README.md", *sorted((source / "docs").rglob("*.md"))]:
    text = document.read_text(encoding="utf-8")

    def replace(match):
        global count
        count += 1
        wanted = section(match[2], match[3])
        if match[4] != wanted:
            wrong.append(f"{document.relative_to(source)}: the block is not [{match[3]}] of {match[2]}")
        return match[1] + wanted + match[5]

    fixed = BLOCK.sub(replace, text)
    if fixed != text and "--fix" in sys.argv:
        document.write_text(fixed, encoding="utf-8")
if wrong and "--fix" not in sys.argv:
    sys.exit("\n".join([*wrong, "run tests/docs/snippets.py . --fix"]))
if count == 0:
    sys.exit("no document shows a sample: the marker has changed, or the documents are gone")
print(f"{count} blocks are the samples' own")
