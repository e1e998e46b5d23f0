"""Measures a checkpoint: pages with truth.json by score.py's numbers, and drawn rows that training never saw.

Usage: evaluate.py --model MODEL --formulary drugs.csv [--pages FOLDER --score score.py] [--rows 400]
MODEL is a checkpoint of train.py (.pt) or an exported folder. `--pages` may be given several times.
"""

import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

import torch
from PIL import Image, ImageOps

import draw
import export
import names
import rows
import texts
import tokenizer
import train
from model import RxSmall


def load_model(path):
    """Float32 model from a .pt checkpoint or from an exported folder."""
    if str(path).endswith(".pt"):
        return export.load(path)[0]
    return export.read(path)


@torch.no_grad()
def read(model, images, prompt=(tokenizer.VISION_END,), batch=32):
    """Answers (texts with tags) of row images uint8 [32, W]; rows of one width go together, so none is padded."""
    answers = [None] * len(images)
    groups = {}
    for i, image in enumerate(images):
        groups.setdefault(image.shape[1], []).append(i)
    for group in groups.values():
        for at in range(0, len(group), batch):
            part = group[at : at + batch]
            pixels = train.to_pixels([images[i] for i in part]).to(next(model.parameters()).dtype)
            for i, ids in zip(part, model.greedy(pixels, prompt)):
                answers[i] = tokenizer.decode(ids)
    return answers


def parse(answer):
    """List of {field: text} of an answer; drugs without a name are schedules or dosages of the drug above."""
    out = []
    for part in answer.split("<sep/>"):
        fields = {m[1]: m[2] for m in re.finditer(r"<s_(\w+)>(.*?)</s_\1>", part)}
        if fields:
            out.append(fields)
    return out


# ---- a simple validator, for measuring only: the product's is a plugin of its own ------------------------------------------
FORMS = re.compile(
    r"(필름코팅정|건조시럽|연질캡슐|서방캡슐|서방정|장용정|현탁액|점안액|캡슐|시럽|연고|크림|과립|패취|정|tablets?|capsules?|tabs?\.?|caps?\.?|syrup)$",
    re.I,
)


def letters(name):
    """Lower case without spaces and form; syllables as their letters."""
    name = FORMS.sub("", re.sub(r"\s+", "", name)).lower()
    out = []
    for char in name:
        code = ord(char) - 0xAC00
        if 0 <= code < 11172:
            out += [chr(0x1100 + code // 588), chr(0x1161 + code // 28 % 21)] + ([chr(0x11A7 + code % 28)] if code % 28 else [])
        else:
            out.append(char)
    return "".join(out)


def distance(a, b):
    """Levenshtein distance."""
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
        last = row
    return last[-1]


def dosage(text):
    """'5 mg' of a printed dosage, or None."""
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*(.+?)\s*$", text or "")
    if not match:
        return None
    unit = {
        "㎎": "mg",
        "밀리그램": "mg",
        "밀리그람": "mg",
        "㎍": "mcg",
        "µg": "mcg",
        "μg": "mcg",
        "ug": "mcg",
        "그램": "g",
        "i.u.": "IU",
        "iu": "IU",
        "단위": "IU",
    }.get(match[2].lower(), match[2].lower())
    return f"{match[1]} {unit}"


class Matcher:
    """Nearest listed drug, when it is near enough, clearly nearer than the second, and sold in that strength."""

    def __init__(self, formulary, limit=0.75):
        self.limit = limit
        self.entries = [(letters(text), row) for row in formulary for text in (row["name"], row["name_ko"])]

    def __call__(self, name, dose):
        key = letters(name)
        scored = sorted(((1 - distance(key, text) / max(len(key), len(text), 1), row["name"]) for text, row in self.entries), reverse=True)[
            :3
        ]
        (best, drug), second = scored[0], next((s for s, n in scored[1:] if n != scored[0][1]), 0)
        strengths = next(row["strengths"] for _, row in self.entries if row["name"] == drug)
        return drug if best >= self.limit and second < best - 0.02 and dosage(dose) in strengths else None


def read_pages(model, folder):
    """{file: [{field: text}]} of the pages that truth.json of the folder names, and seconds a page."""
    folder = pathlib.Path(folder)
    files = [page["file"] for page in json.loads((folder / "truth.json").read_text(encoding="utf-8"))]
    began = time.time()
    cuts = {f: [image for _, image in rows.cut_page(ImageOps.exif_transpose(Image.open(folder / f)))[1]] for f in files}
    answers = iter(read(model, [image for f in files for image in cuts[f]]))
    out = {}
    for f in files:
        drugs = []
        for _ in cuts[f]:
            for fields in parse(next(answers)):
                if "name" in fields or not drugs:
                    drugs.append(dict(fields))
                else:
                    drugs[-1] = {**fields, **drugs[-1]}
        out[f] = drugs
    return out, (time.time() - began) / max(1, len(files))


def score_pages(model, folder, formulary, script, verbose=False):
    """Text of score.py for the pages of a folder."""
    read_drugs, seconds = read_pages(model, folder)
    match = Matcher(formulary)
    predictions = {}
    for file, drugs in read_drugs.items():
        found = {}
        for drug in drugs:
            name = match(drug.get("name", ""), drug.get("dose"))
            if name:
                found[(name, dosage(drug["dose"]))] = None
        predictions[file] = [dict(name=n, dosage=d) for n, d in found]
    if verbose:
        for page in json.loads((pathlib.Path(folder) / "truth.json").read_text(encoding="utf-8")):
            want = sorted(d["printed"] for d in page["drugs"])
            print(page["file"], want, "\n    ", [d.get("name", "") + "|" + d.get("dose", "") for d in read_drugs[page["file"]]])
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as handle:
        json.dump(predictions, handle)
        handle.flush()
        result = subprocess.run(
            [sys.executable, script, str(pathlib.Path(folder) / "truth.json"), handle.name], capture_output=True, text=True, check=True
        )
    return f"{folder}: {seconds:.2f} s a page\n{result.stdout}"


def score_rows(model, formulary, count, held_out, seed=5):
    """Shares of drawn rows read exactly: all, names, dosages; character error of names; held-out words and typefaces or not."""
    rng = random.Random(seed)
    painter = draw.RowPainter(texts.RowSource(names.NameSource(formulary, rng, held_out), rng), rng, held_out)
    samples = [painter.sample() for _ in range(count)]
    answers = read(model, [s["image"] for s in samples])
    exact = right_names = right_doses = total_names = total_doses = errors = length = empty = empty_right = 0
    for sample, answer in zip(samples, answers):
        want = "".join(texts.answer(sample["row"]))
        exact += answer == want
        got, expected = parse(answer), parse(want)
        empty += want == "<none/>"
        empty_right += want == answer == "<none/>"
        for i, fields in enumerate(expected):
            mine = got[i] if i < len(got) else {}
            if "name" in fields:
                total_names += 1
                right_names += mine.get("name") == fields["name"]
                errors += distance(mine.get("name", ""), fields["name"])
                length += len(fields["name"])
            if "dose" in fields:
                total_doses += 1
                right_doses += mine.get("dose") == fields["dose"]
    return dict(
        rows=count,
        exact=exact / count,
        names=right_names / total_names,
        doses=right_doses / total_doses,
        name_character_error=errors / length,
        no_drug=empty_right / max(1, empty),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--formulary", required=True)
    parser.add_argument("--pages", action="append", default=[])
    parser.add_argument("--score", help="score.py that prints the numbers of a folder of pages")
    parser.add_argument("--rows", type=int, default=0, help="how many drawn rows of each split to read")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(args.model)
    formulary = names.load_formulary(args.formulary)
    for folder in args.pages:
        print(score_pages(model, folder, formulary, args.score, args.verbose), flush=True)
    if args.rows:
        for held_out in (False, True):
            result = score_rows(model, formulary, args.rows, held_out)
            print(
                "held-out typefaces and names" if held_out else "typefaces and name lists of training",
                {k: round(v, 3) for k, v in result.items()},
                flush=True,
            )


if __name__ == "__main__":
    main()
