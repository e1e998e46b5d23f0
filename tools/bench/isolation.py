#!/usr/bin/env python3
"""What isolation costs, as the table of docs/isolation.md: microseconds a call here and in a process of its own, and copies.

    isolation.py BUILD_FOLDER [REPETITIONS]

Runs tests/isolate_bench of a build with -DVLM_BUILD_BENCH=ON: about a minute at 21 repetitions, with nothing else running.
"""
import json
import os
import statistics
import subprocess
import sys

BUILD, REPETITIONS = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "21"
QUESTIONS = 16  # of each encode in isolate_bench
ROWS = [("`plan`", "plan", "", 1), ("`connect`, 64 bytes of features", "connect", "/4", 2), ("`connect`, 1 MB", "connect", "/65536", 2),
        ("`reduce` between the stages, 576 tokens of 1024", "reduce", "", 1)]
HOOKS = [("`needs`, from within `encode`", "needs", 1), ("`needs` and `reduce`, 576 keys of 64", "keys", 2),
         ("`needs` and `reduce`, 576 tokens of 1024", "hidden", 2)]

output = subprocess.run(
    [os.path.join(BUILD, "tests/isolate_bench"), "--benchmark_filter=plan|connect/.*/(4|65536)/|reduce|hooks", "--benchmark_format=json",
     f"--benchmark_repetitions={REPETITIONS}", "--benchmark_min_time=0.05", "--benchmark_enable_random_interleaving=true"],
    check=True, capture_output=True, text=True).stdout
runs = {}
for run in json.loads(output)["benchmarks"]:
    if run["run_type"] == "iteration":
        runs.setdefault(run["run_name"].removesuffix("/real_time"), []).append((run["real_time"] / 1000, run["copied"]))


def times(name, less=0.0, each=1):
    """Median, least and most microseconds of the runs of `name`."""
    values = [(time - less) / each for time, _ in runs[name]]
    return statistics.median(values), min(values), max(values)


def line(what, trips, here, isolated, copied):
    print(f"| {what} | {trips} | {here[0]:.1f} | {isolated[0]:.0f} ({isolated[1]:.0f} to {isolated[2]:.0f}) | {copied:.0f} |")


print("| call | round trips | here, µs | isolated, µs: median (least to most) | bytes of tensors copied |\n|---|---|---|---|---|")
for what, name, size, trips in ROWS:
    isolated = f"{name}/isolated{size}"
    line(what, trips, times(f"{name}/here{size}"), times(isolated), runs[isolated][0][1])
without = times("hooks/none_isolated/24")[0]
encode_here = times("hooks/needs_here/24")[0]  # asking a table in memory takes nothing that could be measured
copied_without = runs["hooks/none_isolated/24"][0][1]
for what, name, trips in HOOKS:
    isolated = f"hooks/{name}_isolated/24"
    here = times(f"hooks/{name}_here/24", encode_here, QUESTIONS)
    line(what, trips, (max(0.0, here[0]),), times(isolated, without, QUESTIONS), (runs[isolated][0][1] - copied_without) / QUESTIONS)
