"""Cuts a page into rows of text, in numpy: the reference for the C++ stage. README.md describes it in words.

The order matters: the light is divided out first, so that one threshold serves the whole page; the page is turned level before
rules are looked for, because only level rules are long runs of ink; rules are wiped before rows are looked for, because a rule
would join them.
"""

import math

import numpy as np
from PIL import Image

HEIGHT = 32  # of a row image
MAX_WIDTH = 1024  # of a row image
MARGIN = 0.16  # white above and below the ink band, as a fraction of its height
BLOCK = 8  # side of the blocks in which the paper's brightness is measured
WINDOW = 7  # blocks in the closing and in the mean that follows it
INK = 190  # a pixel below this, of 255 for paper, is ink
MAX_ANGLE = 4.0  # degrees of slope that are looked for
RULE = 80  # pixels; longer straight runs of ink are rules or frames
MAX_GAP = 1.25  # blank stretches in a row are cut down to this many band heights
MIN_BAND = 7  # pixels; lower bands are specks or leftovers of rules


def _filter(blocks, reduce):
    """A WINDOW x WINDOW maximum, minimum or mean (edges repeated)."""
    padded = np.pad(blocks, WINDOW // 2, mode="edge")
    rows = reduce([padded[:, i : i + blocks.shape[1]] for i in range(WINDOW)], axis=0)
    return reduce([rows[i : i + blocks.shape[0]] for i in range(WINDOW)], axis=0)


def flatten_light(grey):
    """uint8 [H, W] -> uint8 [H, W] with paper at 255: divided by the brightness of the paper around each pixel."""
    h, w = grey.shape
    padded = np.pad(grey, ((0, -h % BLOCK), (0, -w % BLOCK)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK).max(axis=(1, 3)).astype(np.float32)
    # A closing (maximum, then minimum) bridges letters and keeps slopes of light; the mean smooths it.
    paper = _filter(_filter(_filter(blocks, np.max), np.min), np.mean)
    paper = np.asarray(Image.fromarray(paper, mode="F").resize((padded.shape[1], padded.shape[0]), Image.BILINEAR))[:h, :w]
    return np.minimum(255, grey.astype(np.float32) * 255 / np.maximum(paper, 1)).astype(np.uint8)


def find_angle(ink):
    """Slope of the text in degrees: the angle at which the sum of squares of the row profile is largest."""
    ys, xs = np.nonzero(ink)
    if len(ys) < 100:
        return 0.0
    step = max(1, len(ys) // 60000)
    ys, xs = ys[::step].astype(np.float64), xs[::step].astype(np.float64)

    def sharpness(angle):
        profile = np.bincount(np.floor(ys - xs * math.tan(math.radians(angle)) + ink.shape[1]).astype(np.int64))
        return float((profile.astype(np.float64) ** 2).sum())

    best = 0.0
    for width, step in ((MAX_ANGLE, 0.25), (0.25, 0.05)):
        steps = int(round(width / step))
        # The angle nearest to the last best wins ties.
        best = max((best + i * step for i in sorted(range(-steps, steps + 1), key=abs)), key=sharpness)
    return best


def level(image, angle):
    """The uint8 image turned by `angle` degrees about its centre so that text runs level; bilinear, white outside."""
    if abs(angle) < 0.03:
        return image
    return np.asarray(Image.fromarray(image).rotate(angle, Image.BILINEAR, fillcolor=255))


def long_runs(ink, length):
    """Boolean [H, W]: ink that belongs to a horizontal run of at least `length` pixels."""
    h, w = ink.shape
    padded = np.zeros((h, w + 2), np.int8)
    padded[:, 1:-1] = ink
    change = np.diff(padded, axis=1)
    y, start = np.nonzero(change == 1)
    end = np.nonzero(change == -1)[1]
    keep = end - start >= length
    marks = np.zeros((h, w + 1), np.int32)
    np.add.at(marks, (y[keep], start[keep]), 1)
    np.add.at(marks, (y[keep], end[keep]), -1)
    return np.cumsum(marks, axis=1)[:, :w] > 0


def wipe_rules(image):
    """White out long straight lines, with the soft pixels along them."""
    ink = image < INK
    out = image.copy()
    across = long_runs(ink, RULE)
    wide = across.copy()
    wide[1:] |= across[:-1]
    wide[:-1] |= across[1:]
    down = long_runs(ink.T, RULE).T
    tall = down.copy()
    tall[:, 1:] |= down[:, :-1]
    tall[:, :-1] |= down[:, 1:]
    out[wide | tall] = 255
    return out


def without_specks(ink):
    """Ink pixels that have at least two others among their eight neighbours."""
    padded = np.pad(ink.astype(np.uint8), 1)
    h, w = ink.shape
    count = sum(padded[dy : dy + h, dx : dx + w] for dy in range(3) for dx in range(3))
    return ink & (count >= 3)


def bands_of(ink):
    """[(top, bottom)] of the stretches of rows that hold ink; thin ones join a near neighbour (dots, accents) or are dropped."""
    filled = np.concatenate(([0], (ink.sum(axis=1) > 0).astype(np.int8), [0]))
    change = np.diff(filled)
    bands = [list(b) for b in zip(np.nonzero(change == 1)[0], np.nonzero(change == -1)[0])]
    joined = []
    for band in bands:
        if joined:
            last = joined[-1]
            gap, low, high = band[0] - last[1], min(band[1] - band[0], last[1] - last[0]), max(band[1] - band[0], last[1] - last[0])
            if gap <= 2 or (low < 0.45 * high and gap <= 0.3 * high):
                last[1] = band[1]
                continue
        joined.append(band)
    return [(int(a), int(b)) for a, b in joined if b - a >= MIN_BAND]


def pieces_of(ink, gap):
    """[(left, right)] of the stretches of columns with ink, where blanks shorter than `gap` do not separate."""
    columns = np.nonzero(ink.any(axis=0))[0]
    if len(columns) == 0:
        return []
    breaks = np.nonzero(np.diff(columns) > gap)[0]
    return [
        (int(a), int(b) + 1)
        for a, b in zip(columns[np.concatenate(([0], breaks + 1))], columns[np.concatenate((breaks, [len(columns) - 1]))])
    ]


def find_rows(ink):
    """Boxes (left, top, right, bottom) of rows of text, from top to bottom.

    A band of rows is one row, unless the parts of it that wide gaps separate hold several rows each: then the page has columns
    there, and each part is cut on its own.
    """
    boxes = []
    for top, bottom in bands_of(ink):
        band = ink[top:bottom]
        pieces = pieces_of(band, max(16, 1.0 * (bottom - top)) if bottom - top < 70 else 40)
        parts = [(left, right, bands_of(band[:, left:right])) for left, right in pieces]
        if bottom - top >= 24 and any(len(rows) > 1 for _, _, rows in parts):
            split = [(left, top + a, right, top + b) for left, right, rows in parts for a, b in rows]
            boxes += sorted(split, key=lambda box: (box[1], box[0]))
        elif pieces:
            boxes.append((pieces[0][0], top, pieces[-1][1], bottom))
    return boxes


def cut(image, ink, box):
    """Row image uint8 [32, W] of a box of the levelled page; W is a multiple of 16 from 32 to MAX_WIDTH."""
    left, top, right, bottom = box
    height = bottom - top
    margin, side, gap = int(round(MARGIN * height)), int(round(0.3 * height)), int(round(MAX_GAP * height))
    columns = ink[top:bottom, left:right].any(axis=0)
    keep, blank = [], 0
    for x, filled in enumerate(columns):
        blank = 0 if filled else blank + 1
        if blank <= gap:
            keep.append(left + x)
    padded = np.pad(image, ((margin, margin), (side, side)), constant_values=255)[top : bottom + 2 * margin]
    middle = padded[:, np.asarray(keep) + side]
    row = np.concatenate((padded[:, left : left + side], middle, padded[:, right + side : right + 2 * side]), axis=1)
    width = int(round(row.shape[1] * HEIGHT / row.shape[0] / 16)) * 16
    width = min(MAX_WIDTH, max(32, width))
    return np.asarray(Image.fromarray(np.ascontiguousarray(row)).resize((width, HEIGHT), Image.BICUBIC))


def cut_page(page):
    """PIL image -> (angle, [(box on the levelled page, row image uint8 [32, W])])."""
    # Red is taken for paper, because stamps and seals are red and lie over the print.
    grey = np.maximum(np.asarray(page.convert("L")), np.asarray(page.convert("RGB"))[:, :, 0])
    flat = flatten_light(grey)
    angle = find_angle(flat < INK)
    flat = wipe_rules(level(flat, angle))
    ink = without_specks(flat < INK)
    return angle, [(box, cut(flat, ink, box)) for box in find_rows(ink)]


def colour(image):
    """Row image uint8 [32, W] -> uint8 [32, W, 3]: red is the ink, green and blue say where along the row a column lies.

    The tower knows only relative positions. A wave of 128 pixels and a ramp over the widest row give it absolute ones, without
    which a decoder this small takes far longer to learn to read in order.
    """
    x = np.arange(image.shape[1])
    wave = np.floor(128 + 127 * np.sin(2 * np.pi * x / 128) + 0.5).astype(np.uint8)
    ramp = np.minimum(255, x // 4).astype(np.uint8)
    return np.stack((image, np.broadcast_to(wave, image.shape), np.broadcast_to(ramp, image.shape)), axis=-1)
