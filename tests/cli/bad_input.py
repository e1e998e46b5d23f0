#!/usr/bin/env python3
"""What people give `vlmhost` by mistake, or to break it: each must end with a clear message, a non-zero status and no crash.

Usage: bad_input.py VLMHOST SOURCE_FOLDER [CASE…]
The checkpoint is models/rx-small; its copies share the files by links, so that a case costs little.
"""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

VLMHOST, SOURCE = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
MODEL = SOURCE / "models/rx-small"
ROW = SOURCE / "tests/data/rx_rows/english_entry.png"
LIMIT_S = 120
MARKER = "<|vision_start|><|image_pad|><|vision_end|>"
cases = {}


def case(function):
    cases[function.__name__] = function
    return function


def manifest(folder, **members):
    path = folder / "m.json"
    path.write_text(json.dumps({"model": str(MODEL), "use_template": False, "prompt": MARKER} | members))
    return path


def checkpoint(folder, **changed):
    """A copy of the shipped checkpoint: `config_json=bytes` replaces config.json; None leaves the file out."""
    copy = folder / "model"
    copy.mkdir()
    for file in MODEL.iterdir():
        key = file.name.replace(".", "_")
        if key not in changed:
            (copy / file.name).symlink_to(file)
        elif changed[key] is not None:
            (copy / file.name).write_bytes(changed[key])
    return copy


def config(change):
    """config.json with `change` applied to it."""
    value = json.loads((MODEL / "config.json").read_text())
    change(value)
    return json.dumps(value).encode()


def png(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 64)
    chunks = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data, b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + chunks


def written(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


def ask(source, *arguments, image=ROW):
    flag = "--manifest" if str(source).endswith(".json") else "--model"
    return [flag, source, "--image", image, "--max-new-tokens", "4", *arguments]


# Each case returns the command line and words that the message must have.

@case
def no_pipeline(folder):
    return ["--image", ROW], ["--manifest", "--model"]


@case
def manifest_and_model(folder):
    return ["--manifest", manifest(folder), "--model", MODEL, "--image", ROW], ["either"]


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
def model_is_no_folder(folder):
    return ask(folder / "nothing"), ["nothing"]


@case
def model_without_config(folder):
    return ask(checkpoint(folder, config_json=None)), ["config.json"]


@case
def model_of_unknown_type(folder):
    return ask(checkpoint(folder, config_json=config(lambda c: c.update(model_type="telepathy")))), ["telepathy"]


@case
def config_with_zero_heads(folder):
    def change(c):
        section = c.get("text_config", c)
        section["num_attention_heads"] = 0
        c["num_attention_heads"] = 0
    return ask(checkpoint(folder, config_json=config(change))), ["num_attention_heads"]


@case
def config_with_another_width_than_the_weights(folder):
    def change(c):
        c.get("text_config", c)["intermediate_size"] = 17
        c["intermediate_size"] = 17
    return ask(checkpoint(folder, config_json=config(change))), ["mlp", "17"]


@case
def weights_are_missing(folder):
    return ask(checkpoint(folder, model_safetensors=None)), ["safetensors"]


@case
def weights_are_truncated(folder):
    data = (MODEL / "model.safetensors").read_bytes()
    return ask(checkpoint(folder, model_safetensors=data[:len(data) // 2])), ["model.safetensors"]


@case
def weights_with_huge_header(folder):
    return ask(checkpoint(folder, model_safetensors=struct.pack("<Q", 1 << 60) + b"{}")), ["model.safetensors"]


@case
def weights_are_empty(folder):
    return ask(checkpoint(folder, model_safetensors=b"")), ["model.safetensors"]


@case
def tokenizer_is_missing(folder):
    return ask(checkpoint(folder, tokenizer_json=None)), ["tokenizer.json"]


@case
def tokenizer_with_missing_piece(folder):
    value = json.loads((MODEL / "tokenizer.json").read_text())
    value["model"]["merges"].append(["no such piece", "anywhere"])
    return ask(checkpoint(folder, tokenizer_json=json.dumps(value).encode())), ["tokenizer.json", "no such piece"]


@case
def tokenizer_with_deep_nesting(folder):
    nested = b'{"type":"Sequence","normalizers":[' * 100_000
    return ask(checkpoint(folder, tokenizer_json=b'{"normalizer":' + nested)), ["tokenizer.json"]


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


def main():
    if not (MODEL / "model.safetensors").exists():
        print("skipped: models/rx-small has no weights")
        return 77
    chosen = sys.argv[3:] or list(cases)
    failures = 0
    for name in chosen:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vlm_bad_"))
        try:
            arguments, words = cases[name](folder)
            run = subprocess.run([VLMHOST, *arguments], capture_output=True, timeout=LIMIT_S)
            # `parity` reports its cases, failed ones too, on standard output.
            message = (run.stdout + run.stderr).decode(errors="replace")
            wrong = [word for word in words if word not in message]
            if run.returncode not in (1, 2) or wrong or ("error: " not in message and "FAILED" not in message):
                failures += 1
                print(f"FAILED {name}: status {run.returncode}, without {wrong}: {message[:400]!r}")
        except subprocess.TimeoutExpired:
            failures += 1
            print(f"FAILED {name}: still running after {LIMIT_S} s")
        finally:
            shutil.rmtree(folder)
    # The same command without a mistake works, or the cases above would prove nothing.
    run = subprocess.run([VLMHOST, *ask(MODEL, "--raw", "--prompt", MARKER)], capture_output=True, timeout=LIMIT_S)
    if run.returncode != 0:
        failures += 1
        print(f"FAILED without a mistake: status {run.returncode}: {run.stderr.decode(errors='replace')[:400]!r}")
    print(f"{len(chosen)} cases, {failures} failed")
    return 1 if failures else 0


sys.exit(main())
