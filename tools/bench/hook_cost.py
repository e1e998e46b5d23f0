#!/usr/bin/env python3
"""What the hooks of token reducers cost when no reducer acts, in executed instructions.

Time on a busy machine cannot show one percent; instructions can, and they are the same every time. Counted by callgrind on one
thread, over whole answers: encode, prefill, a few tokens. Start and loading cancel out, because each figure is the difference
between a process that answers LOW times and one that answers HIGH times.

    tools/bench/hook_cost.py --vlmhost build/vlmhost --checkpoints /tmp/shapes

Compared with no reducer (the hooks are NULL then): a reducer that asks for nothing (FastV with keep 1), and both that ship
(DyMU with thresholds 1 too). Needs valgrind. A model is small here so that the hooks weigh as much as they can: their cost
does not grow with the width of the model, and everything else does.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

LOW, HIGH = 1, 6


def instructions(vlmhost, manifest, runs, plugins):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "manifest.json"
        path.write_text(json.dumps(manifest))
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", vlmhost, "bench", "--manifest", path,
                   "--threads", "1", "--runs", str(runs), "--new-tokens", "8"]
        if plugins:
            command += ["--plugin-path", plugins]
        run = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not found:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{run.stderr[-2000:]}")
    return int(found[1])


def per_answer(arguments, reducers):
    manifest = {"model": str(arguments.model.resolve())}
    if reducers:
        manifest["pipeline"] = {"token_reducers": reducers}
    low, high = (instructions(arguments.vlmhost, manifest, runs, arguments.plugin_path) for runs in (LOW, HIGH))
    return (high - low) / (HIGH - LOW)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vlmhost", default="build/vlmhost")
    parser.add_argument("--plugin-path", help="folder of the plugins, where they are not found by themselves")
    parser.add_argument("--checkpoints", type=pathlib.Path, default=pathlib.Path("/tmp/vlmhost-shapes"),
                        help="folder for the weights of the tiny shape")
    parser.add_argument("--model", type=pathlib.Path, help="a checkpoint with a CLIP tower instead")
    arguments = parser.parse_args()
    if arguments.model is None:
        command = [arguments.vlmhost, "bench", "--shape", "tiny", "--checkpoints", arguments.checkpoints, "--runs", "1",
                   "--starts", "1"]
        if arguments.plugin_path:
            command += ["--plugin-path", arguments.plugin_path]
        subprocess.run(command, check=True, capture_output=True)
        arguments.model = next(arguments.checkpoints.glob("tiny-*"))
    config = json.loads((arguments.model / "config.json").read_text())
    layers = config["vision_config"]["num_hidden_layers"]
    fastv = {"plugin": "org.vlmhost.fastv", "options": {"layer": 1, "keep": 1.0}}
    dymu = {"plugin": "org.vlmhost.dymu", "options": {"thresholds": [1.0] * layers}}
    none = per_answer(arguments, [])
    print("| reducers | instructions per answer | more than none |\n|---|---|---|")
    print(f"| none | {none:,.0f} | |")
    for name, reducers in (("none, again", []), ("FastV, keep 1", [fastv]), ("DyMU at 1.0 and FastV, keep 1", [dymu, fastv])):
        count = per_answer(arguments, reducers)
        print(f"| {name} | {count:,.0f} | {100 * (count / none - 1):+.3f} % |", flush=True)


if __name__ == "__main__":
    main()
