"""Makes tests/data/images: small picture files, and what Pillow and transformers make of them.

The tests need references from the libraries that define the pixels, but not those libraries. So this script is run by hand when a
case is added, and its products are committed: the files, and tables of FNV-1a hashes of the expected bytes (a hash is enough, since
everything tested is equal bit for bit). Inputs of resize and process cases are computed from their index by `noise`, which the tests
repeat.

Row cases come from tools/train/rows.py, with which the reader's training pages are cut. Needs pillow (13.0.0 was used), numpy, transformers (5.23.0), and for a few JPEG files cjpeg and jpegtran of libjpeg-turbo; files whose
tool is missing are kept as they are. Usage: python tests/tools/make_image_goldens.py
"""
import io
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from transformers.image_transforms import center_crop, normalize, rescale
from transformers.image_utils import ChannelDimension

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "train"))
import rows  # noqa: E402  the numpy version of host/image/rows.cpp

OUT = Path(__file__).resolve().parents[1] / "data" / "images"
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def fnv(data: bytes) -> str:
    """FNV-1a, 64 bits, as 16 hexadecimal digits."""
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def noise(count: int, seed: int) -> np.ndarray:
    """Bytes that depend on index and seed only; every fourth block is saturated so that clipping is seen."""
    v = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed * 40503 % 2**32)
    v ^= v >> np.uint32(15)
    v *= np.uint32(2246822519)
    v ^= v >> np.uint32(13)
    b = (v >> np.uint32(24)).astype(np.uint8)
    block = (np.arange(count, dtype=np.uint32) >> np.uint32(5)) & np.uint32(3)
    return np.where(block == 3, np.where(b & 1, 255, 0), b).astype(np.uint8)


def picture(w: int, h: int, c: int, seed: int) -> Image.Image:
    a = noise(w * h * c, seed).reshape(h, w, c)
    return Image.fromarray(a[..., 0] if c == 1 else a)


# ---------------------------------------------------------------- resize


def horizontal_first(im: Image.Image, w: int, h: int, f: int, box) -> Image.Image:
    """What Pillow before 13 gives: each pass on its own, always horizontal first."""
    l, t, r, b = box
    im = im.convert("RGBa") if im.mode == "RGBA" else im
    mid = im.resize((w, im.height), f, (l, 0, r, im.height))
    out = mid.resize((w, h), f, (0, t, w, b))
    return out.convert("RGBA") if im.mode == "RGBa" else out


def resize_cases():
    sizes = [(97, 61, 40, 30), (61, 97, 224, 224), (50, 50, 49, 51), (33, 17, 33, 9), (17, 33, 9, 33), (120, 90, 7, 5), (5, 7, 64, 3),
             (1, 1, 8, 8), (8, 8, 1, 1), (64, 64, 64, 64), (100, 30, 31, 30), (300, 4, 11, 4), (4, 300, 4, 11), (129, 67, 65, 66),
             (108, 144, 90, 102), (40, 200, 60, 20), (3, 2, 100, 90)]
    lines = []
    for number, (w, h, ow, oh) in enumerate(sizes):
        for channels in (1, 3, 4):
            for name, f in FILTERS.items():
                im = picture(w, h, channels, number)
                boxes = [(0.0, 0.0, float(w), float(h))]
                if w > 8 and h > 8 and channels != 4:
                    boxes.append((1.25, 2.5, w - 0.75, h - 3.0))
                for box in boxes:
                    out = im.resize((ow, oh), f, box if box != boxes[0] else None)
                    lines.append(f"resize {w} {h} {channels} {number} {f} {ow} {oh} {' '.join(map(str, box))} 13 {fnv(out.tobytes())}")
                    if name in ("bicubic", "bilinear") and (ow, oh) != (w, h) and h - oh > 2 * (w - ow):
                        out = horizontal_first(im, ow, oh, f, box)
                        lines.append(f"resize {w} {h} {channels} {number} {f} {ow} {oh} {' '.join(map(str, box))} 12 {fnv(out.tobytes())}")
        for name, f in FILTERS.items():
            a = noise(w * h, number).reshape(h, w).astype(np.float32) / np.float32(7) - np.float32(10)
            out = Image.fromarray(a).resize((ow, oh), f)
            lines.append(f"float {w} {h} 1 {number} {f} {ow} {oh} 0 0 {w} {h} 13 {fnv(np.asarray(out, dtype='<f4').tobytes())}")
    # A region of whole pixels with the size of the target is a crop.
    for channels in (1, 3, 4):
        im = picture(30, 20, channels, 77)
        out = im.resize((11, 9), 3, (4, 5, 15, 14))
        lines.append(f"resize 30 20 {channels} 77 3 11 9 4.0 5.0 15.0 14.0 13 {fnv(out.tobytes())}")
    (OUT / "resize_cases.txt").write_text("\n".join(lines) + "\n")


# ---------------------------------------------------------------- process


def process_cases():
    lines = []
    for number, (w, h, cw, ch) in enumerate([(20, 10, 8, 8), (7, 9, 10, 12), (7, 20, 10, 8), (21, 9, 8, 10), (8, 8, 8, 8), (5, 5, 12, 5)]):
        a = noise(w * h * 3, number).reshape(h, w, 3)
        out = center_crop(a, (ch, cw), input_data_format=ChannelDimension.LAST)
        lines.append(f"center_crop {w} {h} {cw} {ch} {number} {fnv(np.ascontiguousarray(out).tobytes())}")
    stats = {"clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
             "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), "half": ([0.5] * 3, [0.5] * 3)}
    for name, (mean, std) in stats.items():
        for factor in (1 / 255, 0.00392156862745098, 1 / 127.5):
            a = np.ascontiguousarray(noise(19 * 13 * 3, 5).reshape(13, 19, 3).transpose(2, 0, 1))
            out = normalize(rescale(a, factor, input_data_format=ChannelDimension.FIRST), mean, std, input_data_format=ChannelDimension.FIRST)
            text = " ".join(repr(v) for v in [factor, *mean, *std])
            lines.append(f"normalize {text} {fnv(np.ascontiguousarray(out, dtype='<f4').tobytes())}")
    for channels in (1, 3, 4):
        im = picture(23, 11, channels, 9)
        lines.append(f"to_gray {channels} {fnv(im.convert('L').tobytes())}")
        lines.append(f"to_rgb {channels} {fnv(to_rgb(im).tobytes())}")
    (OUT / "process_cases.txt").write_text("\n".join(lines) + "\n")


# ---------------------------------------------------------------- decode


def to_rgb(image: Image.Image) -> Image.Image:
    """convert_to_rgb of transformers 5.23."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")
    return image.convert("RGB")


def scene(w: int, h: int) -> np.ndarray:
    """A smooth picture with an edge and some noise, uint8 [h, w, 4]."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([255 * x / max(w - 1, 1), 255 * y / max(h - 1, 1), 128 + 100 * np.sin(x / 3 + y / 5), 255 * (x + y) / (w + h)], -1)
    a[h // 4: h // 2, w // 3: w // 2, :3] = (250, 20, 60)
    return np.clip(a + noise(w * h * 4, 3).reshape(h, w, 4) / 16.0 - 8, 0, 255).astype(np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack(samples: np.ndarray, depth: int) -> bytes:
    """Rows of samples [h, w * channels] with filter byte 0."""
    out = b""
    for row in samples:
        if depth == 16:
            out += b"\0" + row.astype(">u2").tobytes()
        elif depth == 8:
            out += b"\0" + row.astype(np.uint8).tobytes()
        else:
            bits = "".join(f"{int(v):0{depth}b}" for v in row)
            bits += "0" * (-len(bits) % 8)
            out += b"\0" + bytes(int(bits[i: i + 8], 2) for i in range(0, len(bits), 8))
    return out


def png(samples: np.ndarray, color_type: int, depth: int, extra: bytes = b"", interlaced=False, after: bytes = b"") -> bytes:
    """A PNG of samples [h, w, channels]; Pillow cannot write most of these kinds itself."""
    h, w, c = samples.shape
    if interlaced:
        raw = b""
        for y0, x0, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):
            part = samples[y0::dy, x0::dx]
            if part.size:
                raw += pack(part.reshape(part.shape[0], -1), depth)
    else:
        raw = pack(samples.reshape(h, -1), depth)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color_type, 0, 0, int(interlaced)))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(raw, 9)) + after + chunk(b"IEND", b"")


def exif_block(orientation: int, big_endian: bool) -> bytes:
    e = ">" if big_endian else "<"
    entry = struct.pack(e + "HHIHH", 0x0112, 3, 1, orientation, 0)
    make = struct.pack(e + "HHI4s", 0x010F, 2, 3, b"ab\0\0")
    return (b"MM" if big_endian else b"II") + struct.pack(e + "HI", 42, 8) + struct.pack(e + "H", 2) + make + entry + struct.pack(e + "I", 0)


class Files:
    def __init__(self):
        self.lines = []

    def add(self, name: str, data: bytes, expected: Image.Image | None = None, keep_channels: int | None = None):
        """Writes a file and the hashes of what it decodes to."""
        (OUT / name).write_bytes(data)
        im = expected or to_rgb(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        self.lines.append(f"{name} {im.width} {im.height} {keep_channels or 0} {fnv(im.tobytes())}")

    def save(self, name: str, im: Image.Image, keep_channels: int | None = None, **options):
        data = io.BytesIO()
        im.save(data, **options)
        self.add(name, data.getvalue(), keep_channels=keep_channels)


def png_files(files: Files):
    s = scene(21, 14)
    palette = b"".join(bytes(((i * 7) % 256, (i * 31) % 256, 255 - i)) for i in range(256))
    for depth in (1, 2, 4, 8, 16):
        gray = (s[..., :1].astype(np.uint32) * 257 + s[..., 1:2]).clip(0, 65535) >> (16 - depth)
        key = struct.pack(">H", int(gray[7, 10, 0]))
        for interlaced in (False, True):
            tag = f"{depth}{'_adam7' if interlaced else ''}"
            high = Image.fromarray((gray[..., 0] >> 8).astype(np.uint8)).convert("RGB") if depth == 16 else None
            files.add(f"gray{tag}.png", png(gray, 0, depth, interlaced=interlaced), expected=high, keep_channels=1)
        if depth == 16:
            a = np.asarray(high).copy()
            a[gray[..., 0] == gray[7, 10, 0]] = 255
            high = Image.fromarray(a)
        files.add(f"gray{depth}_trns.png", png(gray, 0, depth, chunk(b"tRNS", key)), expected=high, keep_channels=4)
        if depth <= 8:
            count = 1 << depth
            plte = chunk(b"PLTE", palette[: 3 * count])
            files.add(f"palette{depth}.png", png(gray, 3, depth, plte), keep_channels=3)
            alphas = bytes((i * 90) % 256 for i in range(max(count // 2, 1)))
            files.add(f"palette{depth}_trns.png", png(gray, 3, depth, plte + chunk(b"tRNS", alphas), interlaced=depth == 4), keep_channels=4)
    gray8 = s[..., :1]
    files.add("palette_short.png", png(gray8, 3, 8, chunk(b"PLTE", palette[:300])), keep_channels=3)
    files.add("palette_one_clear.png", png(gray8, 3, 8, chunk(b"PLTE", palette) + chunk(b"tRNS", b"\xff" * 30 + b"\0" + b"\xff" * 9)), keep_channels=4)
    for depth in (8, 16):
        wide = s.astype(np.uint32) if depth == 8 else s.astype(np.uint32) * 256 + np.roll(s, 3, axis=1)
        key = wide[5, 8, :3] if depth == 8 else wide[5, 8, :3] >> 8
        trns = chunk(b"tRNS", struct.pack(">HHH", *map(int, key)))
        files.add(f"rgb{depth}.png", png(wide[..., :3], 2, depth), keep_channels=3)
        files.add(f"rgb{depth}_trns.png", png(wide[..., :3], 2, depth, trns), keep_channels=4)
        files.add(f"graya{depth}.png", png(wide[..., [0, 3]], 4, depth), keep_channels=4)
        files.add(f"rgba{depth}.png", png(wide, 6, depth), keep_channels=4)
        files.add(f"rgba{depth}_adam7.png", png(wide, 6, depth, interlaced=True), keep_channels=4)
    rgb = s[..., :3]
    for size in ((1, 1), (3, 5), (9, 2)):
        files.add(f"tiny{size[0]}x{size[1]}_adam7.png", png(scene(*size)[..., :3], 2, 8, interlaced=True), keep_channels=3)
    files.add("exif6.png", png(rgb, 2, 8, chunk(b"eXIf", exif_block(6, True))))
    files.add("exif8_late.png", png(rgb, 2, 8, after=chunk(b"eXIf", exif_block(8, False))))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
    files.add("xmp5.png", png(rgb, 2, 8, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp % 5)))
    hexed = (b"Exif\0\0" + exif_block(7, True)).hex()
    files.add("raw_profile7.png", png(rgb, 2, 8, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(hexed) // 2:8}\n{hexed}\n".encode()))))
    files.add("gamma.png", png(rgb, 2, 8, chunk(b"gAMA", struct.pack(">I", 30000))))


def app1(jpeg: bytes, payload: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def jpeg_files(files: Files):
    rgb = Image.fromarray(scene(53, 37)[..., :3])
    for subsampling in (0, 1, 2):
        for quality in (35, 92):
            files.save(f"s{subsampling}_q{quality}.jpg", rgb, 3, format="JPEG", quality=quality, subsampling=subsampling)
    files.save("progressive.jpg", rgb, 3, format="JPEG", quality=80, progressive=True)
    files.save("restart.jpg", rgb, 3, format="JPEG", quality=80, restart_marker_blocks=3)
    files.save("keep_rgb.jpg", rgb, 3, format="JPEG", quality=80, keep_rgb=True)
    files.save("gray.jpg", rgb.convert("L"), 1, format="JPEG", quality=80)
    cmyk = io.BytesIO()
    rgb.convert("CMYK").save(cmyk, format="JPEG", quality=85)
    files.add("cmyk.jpg", cmyk.getvalue(), keep_channels=3)
    at = cmyk.getvalue().index(b"Adobe") + 11
    files.add("ycck.jpg", cmyk.getvalue()[:at] + b"\2" + cmyk.getvalue()[at + 1:], keep_channels=3)
    marker = cmyk.getvalue().index(b"\xff\xee")
    files.add("cmyk_no_adobe.jpg", cmyk.getvalue()[:marker] + cmyk.getvalue()[marker + 16:], keep_channels=3)
    small = io.BytesIO()
    Image.fromarray(scene(24, 16)[..., :3]).save(small, format="JPEG", quality=90)
    for orientation in range(0, 10):
        files.add(f"exif{orientation}.jpg", app1(small.getvalue(), b"Exif\0\0" + exif_block(orientation, orientation % 2 == 0)))
    xmp = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description><tiff:Orientation>%d</tiff:Orientation></rdf:Description>'
    files.add("xmp6.jpg", app1(small.getvalue(), xmp % 6))
    files.add("exif3_xmp6.jpg", app1(app1(small.getvalue(), xmp % 6), b"Exif\0\0" + exif_block(3, True)))
    if shutil.which("cjpeg") and shutil.which("jpegtran"):
        ppm = io.BytesIO()
        rgb.save(ppm, format="PPM")
        for sample in ("1x2", "4x1", "2x1,1x2,1x1", "4x2"):
            data = subprocess.run(["cjpeg", "-quality", "80", "-sample", sample], input=ppm.getvalue(), capture_output=True, check=True).stdout
            files.add(f"sample_{sample.replace(',', '_')}.jpg", data, keep_channels=3)
        data = (OUT / "s2_q92.jpg").read_bytes()
        coded = subprocess.run(["jpegtran", "-arithmetic"], input=data, capture_output=True, check=True).stdout
        files.add("arithmetic.jpg", coded, expected=to_rgb(Image.open(io.BytesIO(data))), keep_channels=3)
        coded = subprocess.run(["jpegtran", "-arithmetic", "-progressive"], input=data, capture_output=True, check=True).stdout
        files.add("arithmetic_progressive.jpg", coded, expected=to_rgb(Image.open(io.BytesIO(data))), keep_channels=3)


def webp_files(files: Files):
    s = scene(45, 29)
    rgb, rgba = Image.fromarray(s[..., :3]), Image.fromarray(s)
    files.save("lossy.webp", rgb, 3, format="WEBP", quality=70)
    files.save("lossless.webp", rgb, 3, format="WEBP", lossless=True)
    files.save("alpha.webp", rgba, 4, format="WEBP", quality=70)
    files.save("alpha_lossless.webp", rgba, 4, format="WEBP", lossless=True)
    files.save("exif8.webp", rgb, format="WEBP", quality=60, exif=b"Exif\0\0" + exif_block(8, True))
    files.save("xmp2.webp", rgb, format="WEBP", quality=60, xmp=b'<rdf:Description tiff:Orientation="2"/>')
    frames = [Image.fromarray(np.roll(s, 5 * i, axis=1)) for i in range(3)]
    files.save("animated.webp", frames[0], 4, format="WEBP", save_all=True, append_images=frames[1:], duration=40, quality=60)
    # A first frame smaller than the canvas, which only a hand-made container can have.
    data = io.BytesIO()
    Image.fromarray(scene(11, 9)).save(data, format="WEBP", lossless=True)
    stream = data.getvalue()[12:]
    stream = stream[stream.index(b"VP8L"):]

    def riff(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def three(v: int) -> bytes:
        return struct.pack("<I", v)[:3]

    frame = three(4 // 2) + three(6 // 2) + three(11 - 1) + three(9 - 1) + three(40) + b"\0" + stream
    body = riff(b"VP8X", b"\x12\0\0\0" + three(30 - 1) + three(20 - 1)) + riff(b"ANIM", b"\0" * 6) + riff(b"ANMF", frame)
    files.add("animated_offset.webp", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body, keep_channels=4)


# ---------------------------------------------------------------- rows


def pages():
    """Small pages: a list in poor light and askew, a ruled table turned the other way, two columns in a frame with a little noise."""
    def font(size):
        return ImageFont.load_default(size)

    listing = Image.new("L", (560, 420), 250)
    d = ImageDraw.Draw(listing)
    d.text((30, 25), "Riverside Clinic", 20, font(30))
    d.line((30, 75, 520, 75), 60, 3)
    for i, text in enumerate(("1. Metronidazole 250 mg tab", "Sig: 1 tab once daily x 60 days", "2. Pantoprazole 40 mg tab", "Sig: 1 tab twice daily x 5 days")):
        d.text((45 + 20 * (i % 2), 100 + 45 * i), text, 30, font(22 - 5 * (i % 2)))
    d.text((30, 330), "Signature: ____________    MD", 30, font(18))
    light = np.linspace(1.0, 0.62, 560)[None, :] * np.linspace(1.0, 0.9, 420)[:, None]
    a = np.asarray(listing.rotate(1.6, Image.BICUBIC, fillcolor=250)) * light
    yield "page_list.jpg", Image.fromarray(a.astype(np.uint8)).convert("RGB")

    table = Image.new("RGB", (620, 360), (253, 250, 240))
    d = ImageDraw.Draw(table)
    for y in range(40, 281, 40):
        d.line((20, y, 600, y), (90, 90, 90), 2)
    for x in (20, 300, 400, 500, 600):
        d.line((x, 40, x, 280), (90, 90, 90), 2)
    for i in range(6):
        for x, text in ((30, ("Name of drug", "Atenolol 50 mg", "Salbutamol 4 mg", "Loperamide 2 mg", "Haloperidol 1.5 mg", "Amiodarone 200 mg")[i]), (340, "0.5"), (440, "2"), (540, str(7 * i))):
            d.text((x, 48 + 40 * i), text, (30, 30, 40), font(18))
    d.text((20, 300), "Take with plenty of water.", (60, 60, 60), font(16))
    yield "page_table.jpg", table.rotate(-1.15, Image.BICUBIC, fillcolor=(253, 250, 240))

    sealed = table.copy()
    ImageDraw.Draw(sealed).ellipse((406, 90, 494, 178), None, (255, 90, 90), 4)
    yield "page_seal.jpg", sealed

    columns = Image.new("L", (600, 300), 240)
    d = ImageDraw.Draw(columns)
    d.rectangle((6, 6, 593, 293), None, 40, 4)
    for i in range(5):
        d.text((30, 30 + 50 * i), f"left row {i}, Ibuprofen", 20, font(20))
    for i in range(10):
        d.text((340, 26 + 25 * i), f"right {i}, once daily", 20, font(17))
    a = np.asarray(columns).astype(np.int32) + noise(600 * 300, 6).reshape(300, 600) // 32 - 4
    yield "page_columns.jpg", Image.fromarray(a.clip(0, 255).astype(np.uint8)).convert("RGB")


def row_cases():
    lines = []
    for name, page in pages():
        data = io.BytesIO()
        page.save(data, format="JPEG", quality=70)
        (OUT / name).write_bytes(data.getvalue())
        if name == "page_seal.jpg":  # the C++ version is more tolerant of red
            continue
        angle, cut = rows.cut_page(Image.open(data))
        lines.append(f"page {name} {angle:.2f} {len(cut)}")
        for box, row in cut:
            lines.append(f"row {' '.join(map(str, box))} {row.shape[1]} {fnv(row.tobytes())} {fnv(rows.colour(row).tobytes())}")
    (OUT / "row_cases.txt").write_text("\n".join(lines) + "\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    resize_cases()
    process_cases()
    row_cases()
    files = Files()
    png_files(files)
    jpeg_files(files)
    webp_files(files)
    (OUT / "decode_cases.txt").write_text("\n".join(files.lines) + "\n")
    print(len(files.lines), "files,", sum(f.stat().st_size for f in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()
