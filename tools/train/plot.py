"""Draws the learning curve of a run: token loss, and the accuracy of single tokens, over core-hours and rows.

Usage: plot.py --run runs/a [runs/b ...] --out ../../docs/images/rx_small_learning_curve.png
Several runs are drawn one after the other: each went on from the one before, with its learning rate raised again.
"""

import argparse
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, type=pathlib.Path, nargs="+")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    args = parser.parse_args()
    log = [json.loads(line) for run in args.run for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [r["rows"] / 1000 for r in log]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    left.plot(rows, [r["loss"] for r in log], label="tokens")
    left.plot(rows, [r["char"] for r in log], label="character heads")
    left.plot(rows, [r["point"] for r in log], label="pointing")
    left.set(xlabel="rows drawn (thousands)", ylabel="loss (nats)", yscale="log")
    left.legend()
    right.plot(rows, [1 - r["accuracy"] for r in log])
    right.set(xlabel="rows drawn (thousands)", ylabel="wrong tokens (share, teacher forcing)", yscale="log")
    figure.suptitle(f"rx-small: {log[-1]['rows'] / 1000:.0f} thousand rows in {log[-1]['hours']:.2f} hours on two cores")
    figure.tight_layout()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
