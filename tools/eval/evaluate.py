#!/usr/bin/env python3
"""Scores vlmhost on a folder of prescription pages with truth.json, side by side with Tesseract where that is installed.

Usage: evaluate.py --pages FOLDER [--host build/vlmhost] [--manifest samples/medical/medical.json]
                   [--formulary samples/medical/drugs.csv] [--out FOLDER] [--no-tesseract]

Writes predictions.json (score.py's format), results.jsonl, report.json and reliability.svg into the output folder.
Definitions: docs/plugins/drug_validator.md. Standard library only.
"""

import argparse
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import calibration
import scoring
import tesseract


def run_host(args, files):
    """Runs one vlmhost over all pages: (results by file name, seconds)."""
    command = [args.host, "--manifest", args.manifest, "--json"]
    for file in files:
        command += ["--image", str(file)]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    seconds = time.perf_counter() - start
    results = {}
    for line in done.stdout.splitlines():
        result = json.loads(line)
        image = result["image"] if isinstance(result["image"], str) else result["image"][0]
        results[os.path.basename(image)] = result
    if done.returncode != 0:
        print(done.stderr[-2000:], file=sys.stderr)
    return results, seconds


def accepted(result):
    """The drugs that a result names: status verified or review."""
    return [{"name": d["name"], "dosage": d["dosage"] or ""} for d in result.get("drugs", []) if d["name"]]


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, type=pathlib.Path, help="folder with images and truth.json")
    parser.add_argument("--host", default=str(root / "build/vlmhost"))
    parser.add_argument("--manifest", default=str(root / "samples/medical/medical.json"))
    parser.add_argument("--formulary", default=str(root / "samples/medical/drugs.csv"))
    parser.add_argument("--out", type=pathlib.Path, help="default: a new temporary folder")
    parser.add_argument("--no-tesseract", action="store_true")
    parser.add_argument("--fit", action="store_true", help="fit confidence_temperature and confidence_bias to these pages")
    args = parser.parse_args()
    out = args.out or pathlib.Path(tempfile.mkdtemp(prefix="vlm_eval_"))
    out.mkdir(parents=True, exist_ok=True)

    truth = json.loads((args.pages / "truth.json").read_text(encoding="utf-8"))
    files = [args.pages / page["file"] for page in truth]
    results, seconds = run_host(args, files)
    missing = [page["file"] for page in truth if page["file"] not in results]
    predictions = {file: accepted(result) for file, result in results.items()}
    report = {"vlmhost": scoring.score(truth, predictions)}
    report["vlmhost"]["failed_pages"] = len(missing)
    report["vlmhost"]["seconds_per_page"] = seconds / len(truth)
    report["vlmhost"]["peak_mb"] = max((r.get("peak_mb", 0) for r in results.values()), default=0)

    samples = calibration.samples(truth, results)
    report["calibration"] = calibration.reliability([(p, right) for p, _, right in samples])
    (out / "reliability.svg").write_text(calibration.draw(report["calibration"]), encoding="utf-8")
    if args.fit:
        report["fit"] = calibration.fit([(raw, right) for _, raw, right in samples if raw is not None])

    if not args.no_tesseract:
        if shutil.which("tesseract"):
            with open(args.formulary, encoding="utf-8") as file:
                reader = tesseract.Reader(list(csv.DictReader(file)))
            start = time.perf_counter()
            other = {file.name: reader.read(file) for file in files}
            report["tesseract"] = scoring.score(truth, other)
            report["tesseract"]["seconds_per_page"] = (time.perf_counter() - start) / len(truth)
        else:
            print("tesseract is not installed: no comparison", file=sys.stderr)

    write = lambda name, value: (out / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    write("predictions.json", predictions)
    write("report.json", report)
    (out / "results.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in results.values()), encoding="utf-8")
    print(scoring.table({name: report[name] for name in ("vlmhost", "tesseract") if name in report}))
    print(f"expected calibration error {report['calibration']['ece']:.4f} over {report['calibration']['count']} drugs")
    if args.fit:
        print("fit:", json.dumps(report["fit"]))
    print(f"written to {out}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
