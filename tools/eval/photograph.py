"""Makes phone photographs of clean pages: a grey table, perspective, a slope, a lamp from one side, a shadow's edge, grain, blur.

Usage: photograph.py --pages FOLDER --out FOLDER [--seed 3]

Copies truth.json, so that evaluate.py can score the photographs. Needs Pillow and NumPy (tools/train/setup.sh installs both).
"""

import argparse
import json
import pathlib
import random
import shutil

import numpy as np
from PIL import Image, ImageFilter, ImageOps


def perspective(corners, width, height):
    """Coefficients for PIL.Image.Image.transform(PERSPECTIVE) that bring a page's corners (clockwise) to `corners`."""
    equations, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (width, 0), (width, height), (0, height)]):
        equations += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(np.linalg.solve(np.array(equations, float), np.array(values, float)))


def on_table(page, dice):
    """The page askew on a grey table, its corners moved by up to 2 % of the page, the whole turned by up to 2 degrees."""
    width, height = page.size
    size = int(width * 1.12), int(height * 1.1)
    table = (dice.randint(60, 140),) * 3
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    corners = [
        (left + x * width + dice.uniform(-0.02, 0.02) * width, top + y * height + dice.uniform(-0.02, 0.02) * height)
        for x, y in [(0, 0), (1, 0), (1, 1), (0, 1)]
    ]
    photo = page.transform(size, Image.PERSPECTIVE, perspective(corners, width, height), Image.BICUBIC, fillcolor=table)
    return photo.rotate(dice.uniform(-2, 2), Image.BICUBIC, fillcolor=table)


def in_poor_light(photo, dice, noise):
    """Light that falls by 45 % to one side, in half of the pictures with the edge of a shadow; grain and blur."""
    pixels = np.asarray(photo, np.float32)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    direction = dice.uniform(0, 2 * np.pi)
    along = x * np.cos(direction) / pixels.shape[1] + y * np.sin(direction) / pixels.shape[0]
    along = (along - along.min()) / (along.max() - along.min())
    pixels = pixels * (1 - 0.45 * along)[..., None]
    if dice.random() < 0.5:
        pixels = pixels * (1 - 0.3 / (1 + np.exp(-(along - dice.uniform(0.3, 0.7)) * 30)))[..., None]
    pixels = pixels + noise.normal(0, 4, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(dice.uniform(0.2, 0.8)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", required=True, type=pathlib.Path, help="folder with images and truth.json")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(args.pages / "truth.json", args.out / "truth.json")
    dice, noise = random.Random(args.seed), np.random.default_rng(args.seed)
    for page in json.loads((args.pages / "truth.json").read_text(encoding="utf-8")):
        image = ImageOps.exif_transpose(Image.open(args.pages / page["file"])).convert("RGB")
        photo = in_poor_light(on_table(image, dice), dice, noise)
        quality = {"quality": dice.randint(60, 85)} if page["file"].lower().endswith((".jpg", ".jpeg")) else {}
        photo.save(args.out / page["file"], **quality)


if __name__ == "__main__":
    main()
