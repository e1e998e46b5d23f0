#!/usr/bin/env python3
"""What people give `vlmhost` by mistake, or to break it: each must end with a clear message, a non-zero status and no crash.

Usage: bad_input.py VLMHOST SOURCE_FOLDER [CASE…]
"""
import os
import struct
import sys
import zlib

from bad_cases import MARKER, MODEL, ROW, SOURCE, ask, case, manifest, png, run_cases, written

JPEG, WEBP = SOURCE / "tests/data/images/s0_q92.jpg", SOURCE / "tests/data/images/lossy.webp"

# Each case returns the command line, words that the message must have and, where it needs them, arguments of subprocess.run.

@case
def no_pipeline(folder):
    return ["--image", ROW], ["--manifest", "--model"]


@case
def unknown_option(folder):
    return ask(MODEL, "--no-such-option"), ["no-such-option"]


@case
def manifest_is_missing(folder):
    return ask(folder / "none.json"), ["none.json"]


@case
def manifest_without_model(folder):
    return ask(written(folder, "m.json", b"{}")), ['"model"']


@case
def manifest_with_duplicate_key(folder):
    return ask(written(folder, "m.json", b'{"model": "a",\n"batch": 1,\n"batch": 2}')), ["batch", "m.json:3"]


@case
def manifest_with_unknown_key(folder):
    return ask(manifest(folder, devise="cpu")), ["devise", '"device"']


@case
def manifest_is_no_json(folder):
    return ask(written(folder, "m.json", b'{"model": ')), ["m.json"]


@case
def unknown_plugin(folder):
    return ask(manifest(folder, pipeline={"backbone": {"plugin": "org.vlmhost.nothing"}})), ["org.vlmhost.nothing"]


@case
def unknown_plugin_option(folder):
    broken = {"vision_encoder": {"options": {"no_such_option": 1}}}
    return ask(manifest(folder, pipeline=broken)), ["no_such_option"]


@case
def unknown_device(folder):
    return ask(MODEL, "--device", "abacus"), ["abacus"]


@case
def image_is_missing(folder):
    return ask(MODEL, image=folder / "none.png"), ["none.png"]


@case
def image_is_empty(folder):
    return ask(MODEL, image=written(folder, "e.png", b"")), ["e.png"]


@case
def image_is_text(folder):
    return ask(MODEL, image=written(folder, "t.png", b"this is text, not a picture")), ["t.png"]


@case
def image_is_an_empty_folder(folder):
    (folder / "pages").mkdir()
    return ask(MODEL, image=folder / "pages"), ["pages"]


@case
def image_is_truncated(folder):
    return ask(MODEL, image=written(folder, "t.png", ROW.read_bytes()[:200])), ["t.png"]


@case
def image_claims_60000_pixels(folder):
    return ask(MODEL, image=written(folder, "h.png", png(60000, 60000))), ["60000"]


@case
def image_of_no_size(folder):
    return ask(MODEL, image=written(folder, "z.png", png(0, 5))), ["z.png"]


@case
def more_markers_than_images(folder):
    return ask(MODEL, "--prompt", MARKER * 3), ["3 image markers", "1 image was"]


@case
def prompt_overflows_the_context(folder):
    return ask(manifest(folder, max_context=16)), ["context", "16"]


@case
def prompt_is_no_utf8(folder):
    return ask(MODEL, "--raw", "--prompt", MARKER.encode() + b"\xff\xfe"), ["UTF-8"]


@case
def check_without_a_plugin(folder):
    return ["check"], ["library"]


@case
def check_of_a_missing_file(folder):
    return ["check", folder / "none.so"], ["none.so"]


@case
def bench_of_nothing(folder):
    return ["bench"], ["--manifest"]


@case
def parity_of_nothing(folder):
    return ["parity", folder / "none"], ["none"]

@case
def image_is_a_pipe(folder):
    os.mkfifo(folder / "pipe.png")
    return ask(MODEL, image=folder / "pipe.png"), ["pipe.png"]


@case
def jpeg_is_truncated(folder):
    return ask(MODEL, image=written(folder, "t.jpg", JPEG.read_bytes()[:300])), ["t.jpg"]


@case
def jpeg_claims_60000_pixels(folder):
    data = JPEG.read_bytes()
    at = next(i for i in range(2, len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    huge = data[:at + 5] + struct.pack(">HH", 60000, 60000) + data[at + 9:]
    return ask(MODEL, image=written(folder, "h.jpg", huge)), ["60000"]


@case
def webp_is_truncated(folder):
    return ask(MODEL, image=written(folder, "t.webp", WEBP.read_bytes()[:60])), ["t.webp"]


@case
def webp_claims_16000_pixels(folder):
    # A WebP side has 14 bits, so this is the most that one can claim; an extended header has 24.
    header = b"VP8X" + struct.pack("<IB3x", 10, 0) + (59999).to_bytes(3, "little") * 2
    return ask(MODEL, image=written(folder, "h.webp", riff(header + WEBP.read_bytes()[12:]))), ["h.webp"]


def riff(chunks):
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


@case
def more_images_than_markers(folder):
    return [*ask(MODEL, "--raw", "--prompt", MARKER), "--image", ROW, "--image", ROW], ["1 image marker", "3 images"]


@case
def rows_without_a_page(folder):
    return ["--manifest", manifest(folder, image={"split": "rows"})], ["--image"]


@case
def memory_is_too_small(folder):
    return ask(MODEL, "--memory-limit", "1"), ["weights", "KV cache", "memory_limit_mb", "1.0 MB"]


@case
def memory_limit_of_the_manifest(folder):
    return ask(manifest(folder, memory_limit_mb=2)), ["weights", "memory_limit_mb", "2.0 MB"]


@case
def memory_limit_is_negative(folder):
    return ask(MODEL, "--memory-limit", "-1"), ["--memory-limit -1"]


@case
def threads_are_negative(folder):
    return ask(MODEL, "--threads", "-3"), ["--threads -3"]


@case
def context_takes_more_than_the_machine_has(folder):
    return ask(manifest(folder, max_context=1 << 32, image={"split": "none"})), ["KV cache", "left according to"]


def refused_option(option, value, *words):
    def made(folder):
        return ["--model", MODEL, "--image", ROW, option, value], list(words)
    made.__name__ = f"{option.removeprefix('--').replace('-', '_')}_{value or 'empty'}"
    case(made)


for option, value in (("--temperature", "nan"), ("--temperature", "-1"), ("--temperature", "inf"), ("--top-p", "2"), ("--top-p", "nan"),
                      ("--top-k", "-5"), ("--min-p", "-1"), ("--repetition-penalty", "0"), ("--repetition-penalty", "nan"),
                      ("--prompt-lookup", "-3"), ("--prompt-lookup", "65"), ("--max-new-tokens", "-1"),
                      ("--max-new-tokens", "99999999999")):
    refused_option(option, value, option.removeprefix("--").replace("-", "_"), "expected")
refused_option("--stop", "", "stop string is empty")
refused_option("--threads", "100000", "--threads 100000")
refused_option("--output", "/dev/full", "/dev/full", "regular file")
refused_option("--score", "@/dev/zero", "/dev/zero", "cannot be read")
refused_option("--text", "a cat", "--text", "prompt")


@case
def image_is_a_link_to_itself(folder):
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return ask(MODEL, image=folder / "loop.png"), ["loop.png", "cannot be examined"]


@case
def image_has_a_long_name(folder):
    return ask(MODEL, image="a" * 5000), ["cannot be examined"]


@case
def image_is_a_line(folder):
    # The encoder's own words are part of the one message.
    return ask(MODEL, image=written(folder, "line.png", line_png(1, 20000))), ["cannot take an image of 1 x 20000", "200 times"]


def line_png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(height * (width + 1)))
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks)


@case
def formulary_is_a_pipe(folder):
    os.mkfifo(folder / "drugs.csv")
    post = [{"plugin": "org.vlmhost.drug_validator", "options": {"formulary": str(folder / "drugs.csv")}}]
    return ask(manifest(folder, pipeline={"post_processors": post})), ["drugs.csv", "regular file"]


@case
def answer_has_no_space(folder):
    return ask(MODEL, "--json"), ["standard output"], {"stdout": open("/dev/full", "wb")}


@case
def list_has_no_space(folder):
    return ["plugins"], ["standard output"], {"stdout": open("/dev/full", "wb")}


@case
def standard_output_is_closed(folder):
    return ask(MODEL, "--json"), ["standard output"], {"stdout": None, "preexec_fn": lambda: os.close(1)}


sys.exit(run_cases(sys.argv[3:]))
