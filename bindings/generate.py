#!/usr/bin/env python3
"""Writes the raw layer of every language binding from the headers in abi/vlm.

The files are committed, so that nobody who uses a binding needs this script; a test runs it with --check and fails when a header has
changed and they have not.

Usage: bindings/generate.py [--check]
"""
import pathlib
import sys

from generator import c, csharp, headers, python, rust

BINDINGS = pathlib.Path(__file__).resolve().parent


def files():
    """Path and text of everything that is generated."""
    api = headers.read_api(BINDINGS.parent / "abi" / "vlm")
    return {
        "python/vlm/_raw.py": python.write(api),
        "rust/vlm-sys/src/raw.rs": rust.write(api),
        "rust/vlm-sys/examples/layout.rs": rust.write_layout(api),
        "csharp/Vlm/Native.cs": csharp.write(api),
        "layout.c": c.write_layout(api),
    }


def main():
    stale = []
    for name, text in files().items():
        path = BINDINGS / name
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv[1:] and stale:
        sys.exit(f"not in step with abi/vlm: {', '.join(stale)}; run bindings/generate.py and commit what it writes")
    print("written: " + ", ".join(stale) if stale else "everything is in step with abi/vlm")


if __name__ == "__main__":
    main()
