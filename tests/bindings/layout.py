#!/usr/bin/env python3
"""Size and offsets of every struct as another language sees them, against what C says.

Usage: layout.py C_PROGRAM python | layout.py C_PROGRAM COMMAND... (which prints the same JSON)
"""
import json
import subprocess
import sys

c = json.loads(subprocess.run([sys.argv[1]], capture_output=True, check=True).stdout)
if sys.argv[2:] == ["python"]:
    try:
        from vlm._lib import ffi
    except ImportError as error:
        print(f"skipped: {error}")
        sys.exit(77)
    other = {name: {"sizeof": ffi.sizeof(name), **{member: field.offset for member, field in ffi.typeof(name).fields}} for name in c}
else:
    other = json.loads(subprocess.run(sys.argv[2:], capture_output=True, check=True).stdout)
assert len(c) > 10, c
for name in sorted(c.keys() | other.keys()):
    assert c.get(name) == other.get(name), f"{name}: C has {c.get(name)}, the binding has {other.get(name)}"
print(f"{len(c)} structs, {sum(len(s) - 1 for s in c.values())} members")
