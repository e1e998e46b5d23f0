#!/usr/bin/env python3
"""The promise that published structs never move, as files: sizes, offsets and slots of every struct of abi/vlm, and the values of
its constants, one JSON file per header in tests/abi/golden.

    layout.py check HEADERS GOLDEN CC       fails unless every difference is something appended
    layout.py regenerate HEADERS GOLDEN CC  writes the files anew (after an append, and never for anything else)
    layout.py probe HEADERS                 prints a C source through which every struct and table is reachable, for abidiff
    layout.py self_test HEADERS GOLDEN CC   does `check` see a member that moved, changed or went away?

Names come from the headers' text, numbers from the compiler.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def structs_of(text):
    """{struct name: member names in order} of a header."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = {}
    for name, body in re.findall(r"struct (vlm_\w+) \{(.*?)\n\}", text, flags=re.S):
        members = []
        for piece in re.split(r";\s*", re.sub(r"^\s*#.*$", "", body, flags=re.M)):
            piece = " ".join(piece.split())
            if not piece:
                continue
            slot = re.match(r".*?\(\*(\w+)\)\s*\(", piece)
            plain = re.match(r".*?(\w+)(\[[^\]]*\])?$", piece)
            members.append((slot or plain).group(1))
        found[name] = members
    return found


def constants_of(text):
    """Names of the constants of a header (include guards and function-like macros are none)."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ")
    return [n for n, value in re.findall(r"^#define (VLM_\w+)[ \t]+(\S.*)$", text, flags=re.M)
            if not n.endswith("_H_") and n != "VLM_EXPORT"]


def measure(headers, cc):
    """{header: {"structs": …, "constants": …}} as the compiler sees it."""
    parsed = {h.name: (structs_of(h.read_text()), constants_of(h.read_text())) for h in sorted(headers.glob("vlm/*.h"))}
    lines = ["#include <stddef.h>", "#include <stdio.h>"] + [f"#include <vlm/{name}>" for name in parsed]
    lines.append("int main(void) {")
    for name, (structs, constants) in parsed.items():
        for struct, members in structs.items():
            lines.append(f'printf("{name} S {struct} %zu\\n", sizeof({struct}));')
            for m in members:
                lines.append(f'printf("{name} M {struct} {m} %zu %zu\\n", offsetof({struct}, {m}), sizeof((({struct}*)0)->{m}));')
        for c in constants:
            lines.append(f'printf(_Generic(({c}), char*: "{name} C {c} \\"%s\\"\\n", default: "{name} C {c} %lld\\n"), '
                         f'_Generic(({c}), char*: ({c}), default: (long long)({c})));')
    lines += ["return 0;", "}"]
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "layout.c"), pathlib.Path(folder, "layout")
        source.write_text("\n".join(lines))
        subprocess.run([cc, "-std=c11", "-w", f"-I{headers}", str(source), "-o", str(program)], check=True)
        output = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    result = {name: {"structs": {}, "constants": {}} for name in parsed}
    for line in output.splitlines():
        name, kind, rest = line.split(" ", 2)
        if kind == "S":
            struct, size = rest.split()
            result[name]["structs"][struct] = {"size": int(size), "members": {}}
        elif kind == "M":
            struct, member, offset, size = rest.split()
            result[name]["structs"][struct]["members"][member] = [int(offset), int(size)]
        else:
            constant, value = rest.split(" ", 1)
            result[name]["constants"][constant] = json.loads(value)
    return {name: content for name, content in result.items() if content["structs"] or content["constants"]}


def compare(golden, now):
    """Two lists: what breaks binaries, and what was merely appended."""
    broken, appended = [], []
    for header, old in golden.items():
        new = now.get(header)
        if new is None:
            broken.append(f"{header} is gone")
            continue
        for constant, value in old["constants"].items():
            if constant not in new["constants"]:
                broken.append(f"{header}: {constant} is gone")
            elif new["constants"][constant] != value and constant != "VLM_ABI_VERSION":
                broken.append(f"{header}: {constant} was {value} and is {new['constants'][constant]}")
        appended += [f"{header}: {c}" for c in new["constants"] if c not in old["constants"]]
        for struct, layout in old["structs"].items():
            there = new["structs"].get(struct)
            if there is None:
                broken.append(f"{header}: struct {struct} is gone")
                continue
            for member, place in layout["members"].items():
                found = there["members"].get(member)
                if found is None:
                    broken.append(f"{header}: {struct}.{member} is gone")
                elif found != place:
                    broken.append(f"{header}: {struct}.{member} was at byte {place[0]} with {place[1]} bytes and is at byte "
                                  f"{found[0]} with {found[1]} bytes")
            if there["size"] < layout["size"]:
                broken.append(f"{header}: {struct} shrank from {layout['size']} to {there['size']} bytes")
            for member, (offset, _) in there["members"].items():
                if member not in layout["members"]:
                    if offset < layout["size"]:
                        broken.append(f"{header}: {struct}.{member} was put before the end, at byte {offset}; append it")
                    else:
                        appended.append(f"{header}: {struct}.{member}")
        appended += [f"{header}: {s}" for s in new["structs"] if s not in old["structs"]]
    appended += [name for name in now if name not in golden]
    return broken, appended


def self_test(headers, golden, cc):
    """Breaks copies of the headers in four ways; each must be seen, and an append must pass."""
    edits = [("layout.h", "    int64_t first; ", "    int32_t first; ", True),
             ("tensor.h", "    const char* name;     /**< For messages", "    void* owner2; const char* name; /**< For", True),
             ("context.h", "    void* stream;", "", True),
             ("status.h", "VLM_STATUS_ABORTED 10", "VLM_STATUS_ABORTED 20", True),
             ("layout.h", "    const vlm_token_block* const* blocks;", "    const vlm_token_block* const* blocks; void* more;", False)]
    for file, old, new, breaks in edits:
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder, "abi")
            shutil.copytree(headers, copy)
            text = (copy / "vlm" / file).read_text()
            if old not in text:
                sys.exit(f"self_test: {file} no longer has '{old}'; update this test")
            (copy / "vlm" / file).write_text(text.replace(old, new, 1))
            broken, appended = compare(golden, measure(copy, cc))
            if bool(broken) != breaks or (not breaks and not appended):
                sys.exit(f"self_test: after '{old}' -> '{new}' in {file}: broken {broken}, appended {appended}")
    print("every change that breaks binaries is seen, an append is not refused")


def probe(headers):
    """A library with one function per struct: what abidiff compares between releases."""
    print("/* Made by tests/abi/layout.py probe. */")
    for h in sorted(headers.glob("vlm/*.h")):
        print(f"#include <vlm/{h.name}>")
    for h in sorted(headers.glob("vlm/*.h")):
        for struct in structs_of(h.read_text()):
            print(f"VLM_EXPORT void probe_{struct}(const {struct}* value);\nvoid probe_{struct}(const {struct}* value) "
                  "{\n    (void)value;\n}")


def main():
    if sys.argv[1] == "probe":
        probe(pathlib.Path(sys.argv[2]))
        return
    command, headers, folder, cc = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4]
    if command == "regenerate":
        now = measure(headers, cc)
        for old in folder.glob("*.json"):
            old.unlink()
        for header, content in now.items():
            text = re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", json.dumps(content, indent=1))
            (folder / (header[:-2] + ".json")).write_text(text + "\n")
        print(f"wrote {len(now)} files")
        return
    golden = {f.stem + ".h": json.loads(f.read_text()) for f in sorted(folder.glob("*.json"))}
    if not golden:
        sys.exit(f"{folder} has no golden files; run layout.py regenerate")
    if command == "self_test":
        self_test(headers, golden, cc)
        return
    broken, appended = compare(golden, measure(headers, cc))
    for line in appended:
        print(f"appended since: {line} (fine; regenerate when it is published)")
    for line in broken:
        print(f"BROKEN: {line}")
    if broken:
        sys.exit("published plugins would read the wrong bytes; put it back, and append instead")
    count = sum(len(c["structs"]) for c in golden.values())
    print(f"{count} structs and {sum(len(c['constants']) for c in golden.values())} constants are where they were")


main()
