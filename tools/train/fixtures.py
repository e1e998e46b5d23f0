"""Writes row images of tests/data/rx_rows and what they say; the rows are drawn, and chosen with easy print.

Usage: fixtures.py --out ../../tests/data/rx_rows
"""

import argparse
import json
import pathlib

from PIL import Image

import draw
import rows
import texts

ROWS = {
    "korean_table.png": (
        "ko",
        [
            ("암로디핀정", "name"),
            (" ", None),
            ("5mg", "dose"),
            texts.GAP,
            ("1", "per"),
            texts.GAP,
            ("2", "times"),
            texts.GAP,
            ("30", "days"),
        ],
    ),
    "english_entry.png": ("en", [("1. ", None), ("Metoprolol", "name"), (" ", None), ("50 mg", "dose"), (" tab", None)]),
    "no_drug.png": ("ko", [("조제일자 2026-03-14", None)]),
    "schedule.png": ("en", [("Sig: ", None), ("1 tab", "per"), (" ", None), ("twice daily", "times"), (" x ", None), ("7 days", "days")]),
}
FACES = {"ko": "/usr/share/fonts/truetype/nanum/NanumGothic.ttf", "en": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, (language, row) in ROWS.items():
        page = Image.new("L", (1000, 120), 255)
        lay = draw.Layouter(FACES[language], 28, gap=2.0)
        lay.draw(draw.ImageDraw.Draw(page), lay.measure(row, 30)[0], 66, 20)
        ((_, image),) = rows.cut_page(page)[1]
        Image.fromarray(rows.colour(image)).save(args.out / name, optimize=True)
        expected[name] = "".join(texts.answer(row))
    (args.out / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
