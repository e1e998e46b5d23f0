#!/usr/bin/env python3
"""A checkpoint with one thing wrong in it, many times over: whatever it is, `vlmhost` answers or says what is wrong, soon, within
little memory, and never crashes. The mutations are the same in every run.

Usage: fuzz_checkpoint.py VLMHOST SOURCE_FOLDER [CHECKPOINT [EVERY]]
CHECKPOINT is models/rx-small unless another is given; EVERY mutation of so many is tried (1: all of them).
"""
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

VLMHOST, SOURCE = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
MODEL = pathlib.Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else SOURCE / "models/rx-small"
EVERY = int(sys.argv[4]) if len(sys.argv) > 4 else 23
IMAGE = SOURCE / "tests/data/rx_rows/english_entry.png"
LIMIT_S = 30
LIMIT_BYTES = 8 << 30  # of address space: more is taken only by who believes a wrong size
VALUES = [None, True, "x", "", [], {}, 0, -1, 1, 1.5, 1e12, 10**9, 10**30, [[[]]], {"x": 1}]
# What the standard library says when nobody looked: not an explanation of anything.
UNCLEAR = ["std::", "_M_", "bad_alloc", "bad_cast", "basic_string", "nlohmann", "json.exception", "terminate", "SIGSEGV", "stoi"]


def places(value, path=()):
    """Paths of all members and of the first items of lists."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))[:3]
    else:
        items = []
    for key, member in items[:40]:
        yield (*path, key)
        yield from places(member, (*path, key))


def changed(text, path, action, value=None):
    root = json.loads(text)
    parent = root
    for key in path[:-1]:
        parent = parent[key]
    if action == "delete":
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return json.dumps(root).encode()


def mutations():
    """(file, what, content) of all mutations."""
    for file in sorted(MODEL.iterdir()):
        data = file.read_bytes() if file.suffix in (".json", ".safetensors", ".jinja") else None
        if data is None or file.name.startswith(("expected", "inputs", "cases")):
            continue
        for part in (0, 1, 7, 8, 9, 100, len(data) // 3, len(data) - 1):
            if part < len(data):
                yield file.name, f"cut to {part} bytes", data[:part]
        if file.suffix != ".json":
            continue
        yield file.name, "NaN", data.replace(b":", b": NaN,\"x\":", 1)
        yield file.name, "nested", b"[" * 200_000
        for path in places(json.loads(data)):
            yield file.name, f"without {path}", changed(data, path, "delete")
            for value in VALUES:
                yield file.name, f"{path} = {value!r}", changed(data, path, "set", value)


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main():
    if not (MODEL / "model.safetensors").exists():
        print(f"skipped: {MODEL} has no weights")
        return 77
    # A sanitizer reserves more address space than any limit leaves.
    sanitized = "SANITIZED" in os.environ
    tried = failures = 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vlm_fuzz_"))
    for file in MODEL.iterdir():
        (folder / file.name).symlink_to(file)
    try:
        for index, (name, what, content) in enumerate(mutations()):
            if index % EVERY:
                continue
            tried += 1
            (folder / name).unlink()
            (folder / name).write_bytes(content)
            command = [VLMHOST, "--model", folder, "--image", IMAGE, "--max-new-tokens", "2", "--packed-cache", "off"]
            problem = None
            try:
                run = subprocess.run(command, capture_output=True, timeout=LIMIT_S, preexec_fn=None if sanitized else limited)
                message = run.stderr.decode(errors="replace")
                if run.returncode not in (0, 1):
                    problem = f"status {run.returncode}: {message[-600:]!r}"
                elif run.returncode == 1 and (not message.startswith("error: ") or any(word in message for word in UNCLEAR)):
                    problem = f"unclear: {message[:300]!r}"
            except subprocess.TimeoutExpired:
                problem = f"still running after {LIMIT_S} s"
            if problem:
                failures += 1
                print(f"FAILED {name}: {what}: {problem}", flush=True)
            (folder / name).unlink()
            (folder / name).symlink_to(MODEL / name)
    finally:
        shutil.rmtree(folder)
    print(f"{tried} mutations of {MODEL.name}, {failures} failed")
    return 1 if failures else 0


sys.exit(main())
