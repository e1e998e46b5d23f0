#!/usr/bin/env python3
"""Writes the tables and plots of docs/fusion.md: every figure there comes from `vlmhost estimate` or `vlmhost bench`.

    tools/bench/fusion.py                       estimates: seconds, any machine gives the same numbers
    tools/bench/fusion.py --bench a.json b.json and the measured table, a run each of `vlmhost bench --shape llava-1.1b --json > a.json`

Blocks between `<!-- table NAME -->` and `<!-- end -->` are replaced. --check writes nothing and fails when a block is not what the
program says now (the measured table is left alone).
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

source = pathlib.Path(__file__).resolve().parents[2]
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--vlmhost", default=str(source / "build/vlmhost"))
parser.add_argument("--bench", nargs="+", help="outputs of vlmhost bench --shape llava-1.1b --json")
parser.add_argument("--check", action="store_true")
options = parser.parse_args()

SHAPES = {"llava-1.5-7b": "LLaVA-1.5-7B", "qwen2-vl-2b": "Qwen2-VL-2B", "internvl-2b": "InternVL3-2B"}
SIZES = ["600x1000", "1080x1440", "A4, 150 dpi", "A4, 300 dpi"]
DEVICE = ["--preset", "l4", "--new-tokens", "128", "--threads", "2"]


def estimate(shape, *arguments):
    command = [options.vlmhost, "estimate", "--shape", shape, "--json", *DEVICE, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def figure(value):
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def kinds(report, at):
    return {kind["kind"]: kind for kind in report["sizes"][at]["fusion"]}


def first_ms(kind):
    return sum(kind["stages"][stage]["ms"] for stage in ("encode", "connect", "prefill"))


def or_long(kind, value):
    return value(kind) if kind["fits"] else "too long"


reports = {shape: estimate(shape, "--sizes") for shape in SHAPES}
seven = reports["llava-1.5-7b"]
blocks = {}

rows = []
for at, size in enumerate(SIZES):
    for name, kind in kinds(seven, at).items():
        rows.append([size if name == "projection" else "", name + (" *" if kind["own"] else ""), figure(kind["visual_tokens"]),
                     figure(kind["stages"]["encode"]["flops"] / 1e9), figure(kind["stages"]["connect"]["flops"] / 1e9),
                     or_long(kind, lambda k: figure(k["stages"]["prefill"]["flops"] / 1e9)), figure(kind["memory"]["kv_cache"] / 1e6),
                     figure(kind["memory"]["peak"] / 1e9), or_long(kind, lambda k: figure(first_ms(k))),
                     or_long(kind, lambda k: figure(k["stages"]["decode_per_token"]["ms"]))])
blocks["kinds"] = table(["picture", "kind", "visual tokens", "tower GFLOP", "connector GFLOP", "prefill GFLOP", "KV MB", "peak GB",
                         "first token ms", "ms a token"], rows)

rows = []
for shape, name in SHAPES.items():
    learn = kinds(reports[shape], 0)
    rows.append([name, *(f"{figure(learn[kind]['new_weights'] / 1e6)} M" for kind in ("projection", "cross-attention", "early fusion"))])
blocks["learn"] = table(["language model and tower of", "projection", "cross-attention", "early fusion"], rows)

rows = []
for at, size in enumerate(SIZES):
    width, height = seven["sizes"][at]["image_size"]
    row = [size]
    for shape in SHAPES:
        own = kinds(reports[shape], at)["projection"]
        row += [figure(own["visual_tokens"]), f"{(width * height / own['visual_tokens']) ** 0.5:.0f}", figure(own["compression"])]
    rows.append(row)
head = ["picture"]
for name in SHAPES.values():
    head += [f"{name}: tokens", "pixels a token, side", "compression"]
blocks["ocr"] = table(head, rows)

rows = []
for row in seven["attention_memory"]:
    rows.append([f"{row['tokens']:,}", *(f"{row[kind][how] / 1e6:.1f}" for kind in ("standard", "blocked") for how in ("computed", "measured"))])
blocks["attention"] = table(["tokens", "standard MB a head", "measured", "blocked MB", "measured"], rows)

rows, peaks = [], {}
for weights in ("bf16", "int8", "int4"):
    page = estimate("llava-1.5-7b", "--image-size", "1080x1440", "--weights", weights)["sizes"][0]
    peaks[weights] = page["memory"]["peak"]
    rows.append([weights, figure(page["memory"]["weights"] / 1e9), figure(page["memory"]["peak"] / 1e9),
                 figure(page["stages"]["decode_per_token"]["ms"]), figure(page["answer_ms"])])
blocks["weights"] = table(["weights", "weights GB", "peak GB", "ms a token", "answer of 128 tokens, ms"], rows)

card, at = 24e9, SIZES.index("A4, 150 dpi")
page, own = seven["sizes"][at], kinds(seven, at)["projection"]
cache = own["memory"]["kv_cache"] / own["sequence"] * (own["sequence"] + seven["new_tokens"])
width, height = page["image_size"]
blocks["deploy"] = table(["question", "figure", "from"], [
    ["does it fit", f"peak {figure(page['memory']['peak'] / 1e9)} GB", "`memory.peak`"],
    ["how many conversations beside each other", f"{1 + (card - page['memory']['peak']) // cache:.0f}: {figure(cache / 1e6)} MB of keys and values each",
     "`memory.kv_cache`, and 128 tokens more"],
    ["first token", f"no sooner than {figure(first_ms(own))} ms", "`stages`"],
    ["a token", f"no faster than {figure(own['stages']['decode_per_token']['ms'])} ms", "`stages.decode_per_token`"],
    ["the answer", f"no sooner than {figure(page['answer_ms'])} ms", "`answer_ms`"],
    ["is print seen", f"a token stands for {(width * height / own['visual_tokens']) ** 0.5:.0f} pixels square; print of 10 points is 21 tall: no",
     "`visual_tokens`"],
    ["with int4", f"peak {figure(peaks['int4'] / 1e9)} GB for a page of 1080 x 1440", "`--weights int4`"],
])

if options.bench:
    head, rows = ["stage", "GFLOP"], {}
    for run, file in enumerate(options.bench, 1):
        measured = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        peak, bandwidth = measured["machine"]["operations_per_s"], measured["machine"]["read_bytes_per_s"]
        predicted = json.loads(subprocess.run(
            [options.vlmhost, "estimate", "--shape", "llava-1.1b", "--json", "--image-size", "640x480", "--text-tokens", "64",
             "--device-peak", str(peak / 1e12), "--device-bandwidth", str(bandwidth / 1e9)],
            check=True, capture_output=True, text=True).stdout)["sizes"][0]["stages"]
        head += [f"run {run}, {peak / 1e12:.2f} TFLOPS and {bandwidth / 1e9:.0f} GB/s: bound ms", "measured ms", "of the bound"]
        for stage, name in (("encode", "encode"), ("connect", "connect"), ("prefill", "prefill 640"), ("decode_per_token", "decode x1")):
            bound, took = predicted[stage]["ms"], measured["stages"][name]["ms"]["median"]
            row = rows.setdefault(name, [name, figure(predicted[stage]["flops"] / 1e9)])
            row += [figure(bound), figure(took), f"{bound / took:.0%}"]
    blocks["measured"] = table(head, rows.values())

page, wrong = source / "docs/fusion.md", []
text = page.read_text(encoding="utf-8")
for name, block in blocks.items():
    pattern = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end -->)", re.S)
    if not pattern.search(text):
        sys.exit(f"{page}: there is no block {name}")
    fresh = pattern.sub(lambda found: found[1] + block + found[2], text)
    # Scratch memory is measured, and tiles differ between processors.
    if fresh != text and name != "attention":
        wrong.append(name)
    text = fresh
if options.check:
    if wrong:
        sys.exit(f"docs/fusion.md: not what the program says now: {', '.join(wrong)}; run tools/bench/fusion.py")
    print(f"{len(blocks)} tables are the program's own")
else:
    page.write_text(text, encoding="utf-8")
    for shape in ("llava-1.5-7b", "qwen2-vl-2b"):
        subprocess.run([options.vlmhost, "estimate", "--shape", shape, "--preset", "l4", "--new-tokens", "16", "--plot",
                        str(source / f"docs/images/fusion_{shape.replace('.', '_')}.png")], check=True, stdout=subprocess.DEVNULL)
