#!/usr/bin/env python3
"""Accuracy of the medical pipeline against the visual tokens that FastV keeps.

Usage: reducers.py --pages FOLDER [--pages FOLDER] [--host build/vlmhost] [--manifest samples/medical/medical.json]
                   [--layer 2] [--protect 0.02] [--keep 1,0.75,0.5,0.25] [--svg docs/images/rx_small_reducers.svg]

Every folder has truth.json, as for evaluate.py. The manifest is used as it is, with the reducer added. Prints a table, and draws it when
--svg is given. Standard library only.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import scoring
from evaluate import accepted

WIDTH, HEIGHT, MARGIN = 520, 320, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def absolute_paths(value, folder):
    """`{"path": ...}` and the model stay valid when the manifest moves."""
    if isinstance(value, list):
        return [absolute_paths(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: str((folder / v).resolve()) if k in ("path", "file", "model") and isinstance(v, str) else absolute_paths(v, folder)
            for k, v in value.items()}


def read(args, pages, keep, folder):
    """(score, visual tokens, tokens kept, seconds of encode + prefill + decode) of all pages."""
    source = pathlib.Path(args.manifest)
    manifest = absolute_paths(json.loads(source.read_text(encoding="utf-8")), source.parent)
    if keep < 1:
        options = {"layer": args.layer, "keep": keep}
        if args.protect is not None:
            options["protect"] = args.protect
        manifest["pipeline"]["token_reducers"] = [{"plugin": "org.vlmhost.fastv", "options": options}]
    file = folder / "manifest.json"
    file.write_text(json.dumps(manifest), encoding="utf-8")
    truth = json.loads((pages / "truth.json").read_text(encoding="utf-8"))
    command = [args.host, "--manifest", file, "--json"]
    for page in truth:
        command += ["--image", pages / page["file"]]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    predictions = {os.path.basename(result["image"]): accepted(result) for result in results}
    visual = sum(r["tokens"]["visual"] for r in results)
    pruned = sum(r["tokens"].get("pruned", 0) for r in results)
    times = sum(r["timings_ms"].get(stage, 0) for r in results for stage in ("encode", "prefill", "decode"))
    return scoring.score(truth, predictions), visual, visual - pruned, times / len(results)


def draw(curves):
    """An SVG: pair F1 over the share of tokens kept, one line per folder."""
    x = lambda share: MARGIN + share * (WIDTH - 2 * MARGIN)
    y = lambda f1: HEIGHT - MARGIN - f1 * (HEIGHT - 2 * MARGIN)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for tick in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{x(0)} {y(tick)}H{x(1)}M{x(tick)} {y(0)}V{y(1)}" stroke="#ddd"/>')
        out.append(f'<text x="{x(0) - 8}" y="{y(tick) + 4}" text-anchor="end">{tick}</text>')
        out.append(f'<text x="{x(tick)}" y="{y(0) + 18}" text-anchor="middle">{tick * 100:.0f} %</text>')
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">visual tokens kept</text>')
    out.append(f'<text x="{MARGIN}" y="{MARGIN - 16}">pair F1</text>')
    for i, (name, points) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        line = " ".join(f"{x(share):.1f},{y(f1):.1f}" for share, f1 in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x(share):.1f}" cy="{y(f1):.1f}" r="4" fill="{colour}"/>' for share, f1 in points]
        out.append(f'<text x="{WIDTH - MARGIN}" y="{MARGIN - 30 + 14 * i}" text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join(out + ["</svg>", ""])


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, action="append", type=pathlib.Path, help="folder with images and truth.json; repeat")
    parser.add_argument("--name", action="append", default=[], help="what to call each folder in table and picture")
    parser.add_argument("--host", default=str(root / "build/vlmhost"))
    parser.add_argument("--manifest", default=str(root / "samples/medical/medical.json"))
    parser.add_argument("--layer", type=int, default=2, help="FastV's K")
    parser.add_argument("--protect", type=float, help="never drop tokens with at least this share of strong edges (print)")
    parser.add_argument("--keep", default="1,0.75,0.5,0.25")
    parser.add_argument("--svg", type=pathlib.Path, help="picture to write")
    args = parser.parse_args()
    print("| pages | kept | visual tokens | pair F1 | encode + prefill + decode, ms per page |\n|---|---|---|---|---|")
    curves = {}
    with tempfile.TemporaryDirectory(prefix="vlm_reducers_") as folder:
        for i, pages in enumerate(args.pages):
            name = args.name[i] if i < len(args.name) else pages.name
            for keep in map(float, args.keep.split(",")):
                score, visual, kept, ms = read(args, pages, keep, pathlib.Path(folder))
                f1 = score["pair_f1"]
                curves.setdefault(name, []).append((kept / visual, f1))
                print(f"| {name} | {keep:.0%} | {kept} of {visual} | {f1:.4f} | {ms:.0f} |", flush=True)
    if args.svg:
        args.svg.write_text(draw(curves), encoding="utf-8")


if __name__ == "__main__":
    main()
