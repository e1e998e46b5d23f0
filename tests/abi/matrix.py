#!/usr/bin/env python3
"""Old plugins under today's host and today's plugins under old hosts, as a table.

    matrix.py BUILD_FOLDER SOURCE_FOLDER [DOCUMENT]

Runs every combination; exits 1 when one fails. With DOCUMENT the table between its markers is replaced by the result; without,
it is compared with what docs/abi_matrix.md says, so that the page cannot grow old. Status 77: nothing frozen for this platform.
"""
import json
import pathlib
import platform
import subprocess
import sys

BUILD, SOURCE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
PAGE = SOURCE / "docs/abi_matrix.md"
BEGIN, END = "<!-- matrix begins -->\n", "<!-- matrix ends -->\n"
HERE = f"{platform.system().lower()}-{platform.machine()}"
KINDS = {"sound_plugin": "token reducer", "sound_encoder": "vision encoder", "sound_connector": "connector",
         "sound_post": "post-processor"}
failures = []


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)


def check(plugin):
    """Today's checker on a plugin: how many of its rules are kept."""
    result = run(BUILD / "vlmhost", "check", plugin, "--json", "--limit", 60)
    rules = json.loads(result.stdout)["rules"]
    broken = [r for r in rules if r["status"] == "fail"]
    failures.extend(f"{plugin}: {r['rule']} {r['message']}" for r in broken)
    return "**broken**" if broken else f"all {sum(r['status'] == 'pass' for r in rules)} rules that can be tried"


def under(host, plugin):
    result = run(host, plugin)
    if result.returncode != 0:
        failures.append(f"{plugin} under {host}: {result.stdout.strip()}")
        return "**broken**"
    return "accepted"


versions = sorted((p for p in (SOURCE / "tests/abi/frozen").iterdir() if (p / HERE).is_dir()), key=lambda p: p.name)
if not versions:
    print(f"nothing is frozen for {HERE}")
    sys.exit(77)
lines = ["| plugin | built with | under | result |", "|---|---|---|---|"]
for version in versions:
    for plugin, kind in KINDS.items():
        lines.append(f"| {kind} in C | frozen {version.name} | today's host | {check(version / HERE / (plugin + '.so'))} |")
for version in versions:
    host = version / HERE / "mini_host"
    for plugin, kind in KINDS.items():
        lines.append(f"| {kind} in C | today's headers | frozen host {version.name} | "
                     f"{under(host, BUILD / 'torture' / (plugin + '.so'))} |")
    shipped = sorted((BUILD / "plugins").glob("libvlm_*.so"))
    accepted = sum(under(host, plugin) == "accepted" for plugin in shipped)
    lines.append(f"| shipped plugins | today's SDK | frozen host {version.name} | {accepted} of {len(shipped)} accepted |")
table = "\n".join(lines) + "\n"
for failure in failures:
    print("FAILED:", failure)
if failures:
    sys.exit(1)
page = PAGE.read_text()
begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
if len(sys.argv) > 3:
    pathlib.Path(sys.argv[3]).write_text(page[:begin] + table + page[end:])
elif page[begin:end] != table:
    print(table)
    sys.exit(f"{PAGE} says something else; run matrix.py BUILD SOURCE {PAGE}")
print(f"{len(lines) - 2} combinations hold")
