"""Draws one row of text as the row cutter would deliver it: grey, background divided out, 32 pixels high, with character positions.

Rows are drawn one by one, because a whole page costs ten times more than the rows that are learned from it. Everything that
happens to a row on a page (neighbours that reach into the cut, rules, residual slope, blur, low resolution, noise, JPEG loss,
uneven light) is imitated here; `generate.py` draws whole pages, for measuring.
"""

import io
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import fonts
import rows
import texts


class Layouter:
    """Places spans on a base line and remembers where each character is. `second` (path, size) draws what follows the first gap."""

    def __init__(self, path, size, tracking=0.0, gap=1.0, second=None):
        self.path, self.size, self.tracking, self.gap = path, size, tracking, gap
        self.second = second or (path, size)
        self.face = fonts.load(path, size)

    def measure(self, row, x):
        """[(text, face, x0, [(char, x0, x1)])] of the spans from x on, and the end."""
        placed, (path, size) = [], (self.path, self.size)
        for text, _ in row:
            if text == "\t":
                x += self.gap * self.size
                path, size = self.second
                continue
            chars, start = [], x
            for char in text:
                width = fonts.advance(path, size, char) + self.tracking
                chars.append((char, x, x + width))
                x += width
            placed.append((text, fonts.load(path, size), start, chars))
        return placed, x

    def draw(self, canvas, placed, y, fill):
        """Draw placed spans with the base line at y."""
        for text, face, x, chars in placed:
            if self.tracking:
                for char, x0, _ in chars:
                    canvas.text((x0, y), char, font=face, fill=fill, anchor="ls")
            else:
                canvas.text((x, y), text, font=face, fill=fill, anchor="ls")


class RowPainter:
    """Draws training rows from a texts.RowSource."""

    def __init__(self, source, rng=None, held_out=False):
        self.source, self.rng, self.held_out = source, rng or random.Random(), held_out
        self.noise = np.random.default_rng(self.rng.randrange(1 << 30))

    def pick_font(self, language, row):
        r = self.rng
        needed = {ord(c) for text, _ in row for c in text if c not in "\t "}
        script = "ko" if language == "ko" or any(c > 0x3000 for c in needed) or r.random() < 0.12 else "en"
        paths, weights = fonts.catalogue(script, self.held_out)
        path = r.choices(paths, weights)[0]
        missing = needed - fonts.coverage(path)
        return path, missing

    def sample(self, letters=False):
        """Return dict(image uint8 [32, W], chars [(char, x0, x1)] in image pixels, row)."""
        r = self.rng
        if letters:
            language = "ko" if r.random() < 0.7 else "en"
            row = self.source.letters(language)
        else:
            row, language = self.source.draw()
        path, missing = self.pick_font(language, row)
        if missing:  # characters that the face lacks are not printed
            row = [("".join(c for c in text if ord(c) not in missing), field) for text, field in row]
            row = [s for s in row if s[0]]
        if not texts.plain(row):
            return self.sample(letters)
        return self.paint(row, path)

    def paint(self, row, path):
        r = self.rng
        size = int(round(14 * (40 / 14) ** r.random() ** 1.15))
        second = None
        if r.random() < 0.15:
            other = r.choices(*fonts.catalogue("ko" if r.random() < 0.6 else "en", self.held_out))[0]
            needed = {ord(c) for text, _ in row for c in text if c not in "\t "}
            second = (other if needed <= fonts.coverage(other) else path, max(12, int(size * r.uniform(0.75, 1.1))))
        lay = Layouter(
            path, size, tracking=r.choice((0, 0, 0, 0, 0, -0.3, 0.5, 1, r.uniform(0, 0.12) * size)), gap=r.uniform(0.6, 1.6), second=second
        )
        left = int(size * r.choice((0.15, 0.3, 0.5, 1.0)) + 2)
        placed, end = lay.measure(row, left)
        width = int(end + size * r.choice((0.15, 0.3, 0.6, 1.0)) + 2)
        line = int(size * 1.9)
        height = int(size * 3.2)
        paper, ink = r.randint(246, 255), int(r.choice((r.uniform(0, 60), r.uniform(0, 110), r.uniform(60, 150))))
        image = Image.new("L", (width, height), paper)
        canvas = ImageDraw.Draw(image)
        lay.draw(canvas, placed, line, ink)
        boxes = [face.getbbox(text, anchor="ls") for text, face, _, _ in placed if text.strip()]
        y0, y1 = line + min(b[1] for b in boxes), line + max(b[3] for b in boxes)
        if r.random() < 0.1 and size > 17:
            image = self.screen(image, paper)
            canvas = ImageDraw.Draw(image)
        self.clutter(canvas, lay, width, height, y0, y1, ink, row)
        slope = r.gauss(0, 0.0035)
        if abs(slope) > 0.0008:
            image = image.transform(image.size, Image.AFFINE, (1, 0, 0, slope, 1, -slope * width / 2), Image.BILINEAR, fillcolor=paper)
            grow = min(abs(slope) * width / 2, size * 0.25)
            y0, y1 = y0 - grow * r.random(), y1 + grow * r.random()
        image = self.degrade(image, size)
        # The cut: the ink band with a margin as in rows.py, jittered.
        band = y1 - y0
        cut_top = y0 - band * rows.MARGIN + band * r.gauss(0, 0.06)
        cut_bottom = y1 + band * rows.MARGIN + band * r.gauss(0, 0.06)
        if r.random() < 0.15:
            cut_top, cut_bottom = cut_top - band * r.random() * 0.4, cut_bottom + band * r.random() * 0.4
        cut_top, cut_bottom = max(0, cut_top), min(height, cut_bottom)
        scale = rows.HEIGHT / (cut_bottom - cut_top) * r.choice((1, 1, r.uniform(0.9, 1.1)))
        out_width = min(rows.MAX_WIDTH, max(32, int(round(width * scale / 16)) * 16))
        resample = Image.BICUBIC
        image = image.resize((out_width, rows.HEIGHT), resample, box=(0, cut_top, width, cut_bottom))
        array = np.asarray(image, np.float32)
        if r.random() < 0.7:
            array = array + self.noise.normal(0, r.uniform(0, 9), array.shape).astype(np.float32)
        if r.random() < 0.3:  # what is left of shadows after the background was divided out
            array = array * np.linspace(r.uniform(0.86, 1), r.uniform(0.86, 1), out_width, dtype=np.float32)
        array = np.clip(array, 0, 255).astype(np.uint8)
        factor = out_width / width
        chars = [(c, x0 * factor, x1 * factor) for _, _, _, cs in placed for c, x0, x1 in cs]
        return dict(image=array, chars=chars, row=row, path=path)

    def screen(self, image, paper):
        """Ink with holes, as of toner-saving typefaces, dot-matrix printers and worn drums: stripes or dots are left out."""
        r = self.rng
        y, x = np.mgrid[: image.height, : image.width].astype(np.float32)
        period, angle = r.uniform(2, 4.5), r.uniform(0, np.pi)
        u, v = (x * np.cos(angle) + y * np.sin(angle)) / period, (y * np.cos(angle) - x * np.sin(angle)) / period
        wave = np.sin(2 * np.pi * u) if r.random() < 0.5 else np.sin(2 * np.pi * u) * np.sin(2 * np.pi * v)
        holes = (wave > r.uniform(-0.1, 0.6)) * r.uniform(0.4, 1.0)
        array = np.asarray(image, np.float32)
        return Image.fromarray((array + (paper - array) * holes).astype(np.uint8))

    def clutter(self, canvas, lay, width, height, y0, y1, ink, row):
        """Rules, frames and the neighbouring rows."""
        r = self.rng
        size = lay.size
        rule = r.random()
        grey = r.randint(0, 170)
        thick = max(1, int(size * r.choice((0.03, 0.05, 0.09))))
        if rule < 0.22:
            y = int(y1 + size * r.uniform(0.12, 0.6))
            canvas.line((0, y, width, y), fill=grey, width=thick)
        if 0.14 < rule < 0.30:
            y = int(y0 - size * r.uniform(0.12, 0.5))
            canvas.line((0, y, width, y), fill=grey, width=thick)
        if r.random() < 0.12:
            for x in (1, width - 2) if r.random() < 0.5 else (1,):
                canvas.line((x, 0, x, height), fill=grey, width=thick)
        if r.random() < 0.35:  # the row above or below reaches into the cut
            text = "".join(t for t, _ in row if t != "\t")[::-1] or "abc"
            if r.random() < 0.5:
                canvas.text((r.uniform(0, width * 0.5), y1 + size * r.uniform(0.25, 0.6)), text, font=lay.face, fill=ink, anchor="lt")
            else:
                canvas.text((r.uniform(0, width * 0.5), y0 - size * r.uniform(0.25, 0.6)), text, font=lay.face, fill=ink, anchor="lb")

    def degrade(self, image, size):
        """Low resolution, blur, thicker or thinner strokes, JPEG loss."""
        r = self.rng
        kind = r.random()
        if kind < 0.25 and size > 18:
            factor = r.uniform(max(0.5, 13 / size), 0.95)
            small = image.resize(
                (max(8, int(image.width * factor)), max(8, int(image.height * factor))),
                r.choice((Image.BILINEAR, Image.BICUBIC, Image.BOX)),
            )
            image = small.resize(image.size, r.choice((Image.BILINEAR, Image.BICUBIC)))
        elif kind < 0.55:
            image = image.filter(ImageFilter.GaussianBlur(r.uniform(0.3, 0.045 * size + 0.3)))
        elif kind < 0.60 and size > 22:
            image = image.filter(
                r.choice((ImageFilter.MinFilter(3), ImageFilter.MaxFilter(3)) if size > 30 else (ImageFilter.MinFilter(3),))
            )
        if r.random() < 0.4:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=r.randint(30, 95))
            image = Image.open(buffer)
        return image
