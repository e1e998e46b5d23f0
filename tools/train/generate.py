"""Draws whole prescription pages with truth.json in the layout of the sample pages, for measuring what training never saw.

Usage: generate.py --formulary drugs.csv --out FOLDER --pages 60 [--seed 7] [--seen]
By default typefaces and unlisted names come from the held-out split; `--seen` takes those of training.
"""

import argparse
import json
import math
import pathlib
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import fonts
import names
import texts


class Page:
    """A sheet with a pen: text, rules and frames at places given in pixels."""

    def __init__(self, rng, language, held_out):
        self.rng = rng
        self.width, self.height = rng.choice(((1080, 1440), (900, 1100), (1000, 1400), (1240, 1754), (800, 1280)))
        paper = rng.choice(((255, 255, 255), (253, 251, 244), (247, 248, 252), (244, 250, 244), (250, 240, 240)))
        self.image = Image.new("RGB", (self.width, self.height), paper)
        self.pen = ImageDraw.Draw(self.image)
        self.ink = rng.choice(((0, 0, 0), (20, 20, 40), (30, 30, 30), (20, 30, 110), (60, 60, 60)))
        paths, weights = fonts.catalogue(language, held_out)
        # ㎎ must not come out as an empty box.
        usable = [(p, w) for p, w in zip(paths, weights) if language == "en" or 0x338E in fonts.coverage(p)]
        self.path = rng.choices([p for p, _ in usable], [w for _, w in usable])[0]
        self.margin = rng.randint(40, 110)
        self.y = rng.randint(50, 110)

    def text(self, x, y, text, size, ink=None, anchor="la"):
        text = "".join(c for c in text if ord(c) in fonts.coverage(self.path) or c == " ")
        self.pen.text((x, y), text, font=fonts.load(self.path, size), fill=ink or self.ink, anchor=anchor)

    def rule(self, x0, y0, x1, y1, width=2, ink=None):
        self.pen.line((x0, y0, x1, y1), fill=ink or self.ink, width=width)


class PageSource:
    """Draws (page image, list of truth drugs, layout name)."""

    def __init__(self, formulary, rng, held_out):
        self.formulary, self.rng, self.held_out = formulary, rng, held_out
        self.names = names.NameSource(formulary, rng, held_out)
        self.rows = texts.RowSource(self.names, rng)

    def drugs(self, language, decoy):
        """2 to 7 drugs: (printed name with form, printed dosage, truth)."""
        r, out = self.rng, []
        listed = r.sample(self.formulary, r.randint(2, 7))
        for row in listed:
            strength = r.choice(row["strengths"])
            out.append(
                self.printed(
                    row["name"] if language == "en" else row["name_ko"],
                    row["form"],
                    strength,
                    language,
                    dict(name=row["name"], dosage=strength, listed=True),
                )
            )
        if decoy:
            name = r.choice((self.names.look_alike, lambda lang: r.choice(self.names.other[lang]), self.names.composed))(language)
            while any(name.lower() in (row["name"], row["name_ko"]) for row in self.formulary):
                name = self.names.look_alike(language)
            strength = f"{r.choice((5, 10, 20, 25, 50, 100, 200, 250, 500))} mg"
            out.append(self.printed(name, r.choice(("정", "캡슐")), strength, language, dict(name=name, dosage=strength, listed=False)))
        r.shuffle(out)
        return out

    def printed(self, name, form, strength, language, truth):
        r = self.rng
        number, unit = strength.split(" ", 1)
        shown = number + r.choice(("", " ")) + (r.choice(("mg", "mg", "MG", "㎎" if language == "ko" else "mg")) if unit == "mg" else unit)
        if language == "ko":
            name = name + form
        else:
            name = name.capitalize() if r.random() < 0.8 else name.upper()
        return name, shown, truth, {"정": "tab", "캡슐": "cap"}.get(form, "tab")

    def heading(self, page, language, count):
        for _ in range(count):
            size = self.rng.choice((18, 20, 22, 24, 28, 36))
            page.text(page.margin + self.rng.choice((0, 0, 30)), page.y, self.rows.distractor(language).replace("\t", " "), size)
            page.y += int(size * self.rng.uniform(1.5, 2.2))

    def schedule_text(self, language):
        return texts.plain(self.rows.schedule(language))

    # ---- layouts -------------------------------------------------------------------------------------------------------
    def list_page(self, page, language, drugs):
        r = self.rng
        size, small = r.randint(20, 34), r.randint(17, 24)
        mark = r.choice(("{}. ", "{}) ", "■ ", "- ", "", "· ", "({}) "))
        bracket, form_first = r.random() < 0.4, r.random() < 0.2
        for i, (name, dose, truth, form) in enumerate(drugs, 1):
            body = (
                f"{name}({dose})"
                if bracket
                else (
                    f"{form.capitalize()} {name} {dose}"
                    if form_first and language == "en"
                    else f"{name} {dose}" + (f" {form}" if language == "en" else "")
                )
            )
            page.text(page.margin + 20, page.y, mark.format(i) + body, size)
            page.y += int(size * 1.55)
            if r.random() < 0.9:
                page.text(page.margin + 60, page.y, self.schedule_text(language), small)
                page.y += int(small * r.uniform(1.7, 2.4))

    def table_page(self, page, language, drugs):
        r = self.rng
        size = r.randint(17, 27)
        ruled, verticals, pitch = r.random() < 0.6, r.random() < 0.5, int(size * r.uniform(1.9, 2.8))
        separate = r.random() < 0.35
        right = page.width - page.margin
        starts = [0, 0.45, 0.64, 0.76, 0.88] if separate else [0, 0.58, 0.72, 0.86]
        xs = [page.margin + 8 + (right - page.margin) * s for s in starts]
        heads = (
            (["약품명", "함량", "1회량", "횟수", "일수"] if separate else ["처방 의약품의 명칭", "1회량", "1일횟수", "일수"])
            if language == "ko"
            else (["Medication", "Strength", "Qty", "Times", "Days"] if separate else ["Medication", "Dose", "Times", "Days"])
        )
        top = page.y - size // 2
        for x, head in zip(xs, heads):
            page.text(x, page.y, head, max(14, size - 3))
        lines = [top]
        page.y += pitch
        for name, dose, truth, form in drugs:
            lines.append(page.y - (pitch - size) // 2)
            cells = [name, dose] if separate else [f"{name} {dose}" + (f" {form}" if language == "en" and r.random() < 0.5 else "")]
            cells += [str(r.choice((1, 1, 2, 0.5))), str(r.randint(1, 4)), str(r.choice((3, 5, 7, 14, 30, 60, 90)))]
            for x, cell in zip(xs, cells):
                page.text(x, page.y, cell, size)
            page.y += pitch
        lines.append(page.y - (pitch - size) // 2)
        if ruled:
            grey = r.choice((page.ink, (120, 120, 120), (90, 110, 160)))
            for y in lines:
                page.rule(page.margin, y, right, y, r.choice((1, 2, 3)), grey)
            if verticals:
                for x in [page.margin] + [x - 8 for x in xs[1:]] + [right]:
                    page.rule(x, lines[0], x, lines[-1], r.choice((1, 2)), grey)

    def receipt_page(self, page, language, drugs):
        r = self.rng
        size = r.randint(18, 26)
        for name, dose, truth, form in drugs:
            page.text(page.margin, page.y, f"{name} {dose}", size)
            page.text(min(page.width - page.margin, 760), page.y, f"{r.randint(1, 40)},{r.randint(0, 999):03d}", size, anchor="ra")
            page.y += int(size * 1.6)
            if r.random() < 0.6:
                page.text(page.margin + 24, page.y, self.schedule_text(language), max(15, size - 4))
                page.y += int(size * 1.6)

    def inline_page(self, page, language, drugs):
        size = self.rng.randint(17, 22)
        for i, (name, dose, truth, form) in enumerate(drugs, 1):
            schedule = texts.plain(self.rows.schedule(language))
            page.text(page.margin, page.y, f"{i}. {name} {dose}  {schedule}", size)
            page.y += int(size * 2.1)

    def bilingual_page(self, page, language, drugs):
        """Korean at the left, English at the right; for listed drugs both are true names of the same drug."""
        size = self.rng.randint(18, 25)
        by_name = {row["name"]: row for row in self.formulary}
        for name, dose, truth, form in drugs:
            page.text(page.margin, page.y, f"{name} {dose}", size)
            if truth["listed"]:
                row = by_name[truth["name"]]
                page.text(page.width * 0.52, page.y, f"{row['name' if language == 'ko' else 'name_ko'].capitalize()} {dose}", size)
            page.y += int(size * 2)

    def stamp(self, page):
        r = self.rng
        x, y, radius = r.randint(page.width // 2, page.width - 90), r.randint(page.height // 3, page.height - 90), r.randint(35, 60)
        layer = Image.new("RGB", page.image.size, (255, 255, 255))
        pen = ImageDraw.Draw(layer)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(230, 90, 90), width=4)
        pen.text((x, y), "인", font=fonts.load(fonts.catalogue("ko", False)[0][0], radius), fill=(230, 90, 90), anchor="mm")
        page.image = Image.fromarray(np.minimum(np.asarray(page.image), np.asarray(layer)))
        page.pen = ImageDraw.Draw(page.image)

    def draw(self):
        r = self.rng
        language = r.choice(("ko", "ko", "en"))
        layout = r.choice(("list", "list", "table", "table", "receipt", "inline", "bilingual"))
        page = Page(r, "ko" if layout == "bilingual" else language, self.held_out)
        drugs = self.drugs(language, decoy=r.random() < 0.3)
        self.heading(page, language, r.randint(1, 5))
        if r.random() < 0.5:
            page.rule(page.margin, page.y, page.width - page.margin, page.y, r.randint(1, 4))
            page.y += r.randint(15, 40)
        getattr(self, layout + "_page")(page, language, drugs)
        page.y += r.randint(20, 60)
        if page.y < page.height - 200:
            self.heading(page, language, r.randint(0, 3))
        if r.random() < 0.2:
            page.pen.rectangle(
                (15, 15, page.width - 15, page.height - 15),
                outline=r.choice(((40, 80, 160), (0, 0, 0), (120, 120, 120))),
                width=r.randint(2, 5),
            )
        if r.random() < 0.2:
            self.stamp(page)
        truth = [dict(name=t["name"], dosage=t["dosage"], printed=f"{n} {d}", listed=t["listed"]) for n, d, t, _ in drugs]
        return photograph(page.image, r), truth, f"{language}_{layout}"


def photograph(image, r):
    """What a scanner or a telephone does to a page: slope, perspective, light, blur, noise."""
    width, height = image.size
    if r.random() < 0.7:
        angle = r.gauss(0, 1.0) if r.random() < 0.8 else r.uniform(-3, 3)
        image = image.rotate(angle, Image.BICUBIC, fillcolor=image.getpixel((2, 2)))
    if r.random() < 0.3:
        shift = lambda: r.uniform(-0.008, 0.008)
        corners = [(width * (u + shift()), height * (v + shift())) for u, v in ((0, 0), (0, 1), (1, 1), (1, 0))]
        image = image.transform(image.size, Image.QUAD, [c for corner in corners for c in corner], Image.BICUBIC, fillcolor=(255, 255, 255))
    array = np.asarray(image, np.float32)
    if r.random() < 0.5:
        direction = r.uniform(0, 2 * math.pi)
        ramp = np.add.outer(np.linspace(-1, 1, height) * math.sin(direction), np.linspace(-1, 1, width) * math.cos(direction))
        array = array * (1 - r.uniform(0, 0.3) * (ramp + 1) / 2)[..., None]
    if r.random() < 0.5:
        array = array + np.random.default_rng(r.randrange(1 << 30)).normal(0, r.uniform(0, 8), array.shape[:2])[..., None]
    image = Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))
    if r.random() < 0.6:
        image = image.filter(ImageFilter.GaussianBlur(r.uniform(0, 1.2)))
    return image


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formulary", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seen", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(args.seed)
    source = PageSource(names.load_formulary(args.formulary), rng, not args.seen)
    truth = []
    for i in range(args.pages):
        image, drugs, layout = source.draw()
        if rng.random() < 0.6:
            name, options = f"page_{i:03d}.jpg", dict(quality=rng.randint(35, 95))
            if rng.random() < 0.1:  # stored turned, with the tag that says so
                exif = Image.Exif()
                exif[0x0112] = 6
                image, options = image.transpose(Image.ROTATE_90), dict(options, exif=exif)
        else:
            name, options = f"page_{i:03d}.png", {}
        image.save(args.out / name, **options)
        truth.append(dict(file=name, layout=layout, drugs=drugs))
    (args.out / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
