#!/usr/bin/env python3
"""`vlmhost calibrate dymu` writes a thresholds file that the dymu plugin reads, and goes on after an interruption.

Usage: calibrate.py VLMHOST SOURCE_FOLDER GOLDEN_FOLDER
"""
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import zlib

vlmhost, golden = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[3])
model = golden / "dymu"
if not (model / "model.safetensors").exists():
    print(f"skipped: no golden checkpoint at {model}")
    sys.exit(77)


def picture(seed):
    """From plain paper to noise, as a PNG."""
    draw, size = random.Random(seed), 48
    rows = b""
    for y in range(size):
        rows += b"\0" + bytes(255 if draw.random() > seed / 14 else draw.randrange(256) for _ in range(3 * size))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(rows), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)


def calibrate(folder, *arguments):
    return subprocess.run([vlmhost, "calibrate", "dymu", "--model", model, "--dtype", "f32", "--images", folder / "pictures",
                           "--batch", "4", *arguments], capture_output=True, text=True, timeout=300)


with tempfile.TemporaryDirectory(prefix="vlm_calibrate_") as name:
    folder = pathlib.Path(name)
    pictures = folder / "pictures"
    pictures.mkdir()
    for i in range(14):
        (pictures / f"{i:02}.png").write_bytes(picture(i))

    # About as many tokens as were asked for.
    means = {}
    for target in ("high", "mid", "low", "24"):
        out = folder / f"{target}.json"
        run = calibrate(folder, "--target", target, "--out", out)
        assert run.returncode == 0, run.stderr
        assert "\r" not in run.stderr, "a progress bar where there is no terminal"
        written = json.loads(out.read_text())
        assert written["kind"] == "dymu" and written["pictures"] == 14, written
        assert len(written["thresholds"]) == written["layers"] and all(-1 <= t <= 1 for t in written["thresholds"]), written
        assert not pathlib.Path(str(out) + ".partial").exists()
        means[target] = written["tokens"]["mean"]
    for target, wanted in {"high": 64 * 394 / 576, "mid": 64 * 195 / 576, "low": 64 * 89 / 576, "24": 24}.items():
        assert abs(means[target] / wanted - 1) < 0.1, (target, wanted, means)

    # One picture is broken: what was done before it is kept, and the result is the same in the end.
    again = folder / "again.json"
    partial = pathlib.Path(str(again) + ".partial")
    for number in range(14):  # one that is not in the first batch, wherever the mixing put it
        broken = pictures / f"{number:02}.png"
        whole = broken.read_bytes()
        broken.write_bytes(whole[:60])
        run = calibrate(folder, "--target", "24", "--out", again)
        assert run.returncode == 1 and broken.name in run.stderr and not again.exists(), run
        if partial.exists():
            break
        broken.write_bytes(whole)
    batches = len(json.loads(partial.read_text())["pictures"])
    assert 1 <= batches <= 3, batches
    run = calibrate(folder, "--target", "30", "--out", again)
    assert run.returncode == 1 and "another --out" in run.stderr, run
    broken.write_bytes(whole)
    run = calibrate(folder, "--target", "24", "--out", again)
    assert run.returncode == 0 and f"going on after {batches} batches" in run.stderr, run
    assert again.read_bytes() == (folder / "24.json").read_bytes()

    # And the plugin takes the file.
    manifest = folder / "m.json"
    manifest.write_text(json.dumps({"model": str(model), "dtype": "f32", "pipeline": {"token_reducers": [
        {"plugin": "org.vlmhost.dymu", "options": {"thresholds": {"file": "24.json"}}}]}}))
    merged = []
    for i in range(14):
        run = subprocess.run([vlmhost, "--manifest", manifest, "--image", pictures / f"{i:02}.png", "--prompt", "<image>",
                              "--max-new-tokens", "1", "--json"], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        tokens = json.loads(run.stdout)["tokens"]
        merged.append(tokens["visual"] - tokens["merged"])
    assert abs(sum(merged) / 14 - means["24"]) < 0.5, (merged, means)

    # What cannot be calibrated is refused by name.
    for arguments, words in [(["calibrate", "fastv"], "dymu"), (["calibrate", "dymu", "--model", model], "--images"),
                             (["calibrate", "dymu", "--model", model, "--images", pictures, "--target", "0"], "--target"),
                             (["calibrate", "dymu", "--model", model, "--images", pictures, "--target", "huge"], "huge"),
                             (["calibrate", "dymu", "--model", golden / "fuyu", "--images", pictures], "no hook there")]:
        run = subprocess.run([vlmhost, *arguments], capture_output=True, text=True, timeout=60)
        assert run.returncode == 1 and words in run.stderr, run
print(f"calibrated: {means}")
