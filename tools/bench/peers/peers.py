#!/usr/bin/env python3
"""Measures the same work with vlmhost and with what people use today, in turns, and prints a table.

Usage: peers.py --vlmhost build/vlmhost [--shape llava-1.1b] [--rounds 3] [--python PYTHON]

Both sides run in turns, each round in fresh processes, because a machine that is shared changes from minute to minute:
only ratios within a round mean anything. The peer's packages are installed from PyPI into a virtual environment beside
this script (or in --venv), unless --python names an interpreter that has them.

Today PyTorch with transformers is measured, on shapes of the CLIP and Llama kind (llava-*). OpenVINO GenAI and
llama.cpp want converted models and are not measured by this script.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["torch", "transformers", "safetensors", "pillow"]
PYPI_CPU = "https://download.pytorch.org/whl/cpu"


def make_environment(folder):
    """The interpreter of a virtual environment that has the peers' packages."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--extra-index-url", PYPI_CPU, *PACKAGES],
                       check=True, stdout=sys.stderr)
    return str(python)


def run_json(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def processor_name():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vlmhost", required=True)
    parser.add_argument("--shape", default="llava-1.1b", choices=["tiny", "llava-1.1b", "llava-1.5-7b"])
    parser.add_argument("--checkpoints", help="folder for the random weights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=1, help="calls per round that count")
    parser.add_argument("--batches", default="1,4,8")
    parser.add_argument("--python", help="interpreter that has the peers' packages")
    parser.add_argument("--venv", type=pathlib.Path, default=HERE / ".venv")
    arguments = parser.parse_args()
    python = arguments.python or make_environment(arguments.venv)

    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "vlmhost/shapes"
    parent = pathlib.Path(arguments.checkpoints) if arguments.checkpoints else cache
    ours_command = [arguments.vlmhost, "bench", "--shape", arguments.shape, "--checkpoints", parent, "--json",
                    "--starts", "0", "--runs", arguments.runs, "--decode-steps", "8", "--dtype", "bf16",
                    "--batches", arguments.batches]
    ours, theirs = [], []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        ours.append(run_json(ours_command))
        model = max(parent.glob(arguments.shape + "-v*"), key=lambda path: path.stat().st_mtime)
        context = next(int(name.split()[1]) for name in ours[-1]["stages"] if name.startswith("prefill"))
        theirs.append(run_json([python, HERE / "peer_torch.py", "--model", model, "--runs", arguments.runs,
                                "--context", context, "--batches", arguments.batches,
                                "--threads", ours[-1]["threads"]]))
    versions = ", ".join(f"{name} {version}" for name, version in theirs[-1]["versions"].items())
    print(f"{arguments.shape} on {processor_name()}, {ours[-1]['threads']} threads, "
          f"{datetime.date.today()}, load {os.getloadavg()[0]:.1f}; {ours[-1]['device']}; {versions}; "
          f"{arguments.rounds} rounds in turns; ms, median (min–max); ratio above 1: vlmhost is faster\n")
    print("| stage | vlmhost | PyTorch, bf16 | ratio per round |\n|---|---|---|---|")
    for stage in theirs[-1]["stages"]:
        a = [run["stages"][stage]["ms"]["median"] for run in ours]
        b = [run["stages"][stage] for run in theirs]
        ratios = sorted(y / x for x, y in zip(a, b))
        print(f"| {stage} | {spread(a)} | {spread(b)} | {statistics.median(ratios):.2f} "
              f"({ratios[0]:.2f}–{ratios[-1]:.2f}) |")
    print(f"| peak memory, MB | {spread([run['memory']['peak_mb'] for run in ours])} | "
          f"{spread([run['peak_mb'] for run in theirs])} | |")


if __name__ == "__main__":
    main()
