#!/usr/bin/env python3
"""Documents name commands, options and files that exist.

Every `vlmhost` command of a code block is held against that command's --help (nothing is run), and every relative link against the tree.

Usage: commands.py VLMHOST SOURCE_FOLDER
"""
import functools
import pathlib
import re
import subprocess
import sys

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])
problems, commands, links = [], 0, 0


@functools.cache
def options(command):
    """Option names of `vlmhost COMMAND --help`; None when there is no such command."""
    run = subprocess.run([vlmhost, *([command] if command else []), "--help"], capture_output=True, text=True, timeout=60)
    return set(re.findall(r"--([a-z][a-z0-9-]*)", run.stdout)) if run.returncode == 0 else None


def known(command):
    return command and options(command) is not None and options(command) != options("")


for document in [source / "README.md", *sorted((source / "docs").rglob("*.md"))]:
    name, text = document.relative_to(source), document.read_text(encoding="utf-8")
    code = re.findall(r"```(?:sh)?\n(.*?)```", text, re.S) + ["\n".join(re.findall(r"^    (.*)$", text, re.M))]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(code)).splitlines():
        found = re.match(r"(?:\$ )?(?:[\w/.-]*&& )?(?:[\w$/.-]*/)?vlmhost\s+(.*)", line.strip())
        if not found:
            continue
        words = found[1].split(" #")[0]
        words = re.sub(r"'[^']*'|\"[^\"]*\"", "X", words).split()
        first = words[0] if words and re.fullmatch(r"[a-z][a-z-]+", words[0]) else ""
        command = first if known(first) else ""
        if first and not command:
            problems.append(f"{name}: there is no command '{first}': {line.strip()}")
            continue
        commands += 1
        for word in words:
            option = re.match(r"--([a-z][a-z0-9-]*)", word)
            if option and option[1] not in options(command):
                problems.append(f"{name}: vlmhost {command} has no --{option[1]}: {line.strip()}")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        links += 1
        if not (document.parent / target).exists():
            problems.append(f"{name}: the link {target} leads nowhere")
if problems:
    sys.exit("\n".join(problems))
if commands < 30 or links < 60:
    sys.exit(f"only {commands} commands and {links} links: the documents, or the patterns of this test, have changed")
print(f"{commands} commands and {links} links")
