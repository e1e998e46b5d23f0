"""What the bad_*.py tests share: cases, a checkpoint to spoil, and the run of all cases.

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


def run_cases(names):
    """Runs the cases; status 0 when each ended as it should."""
    if not (MODEL / "model.safetensors").exists():
        print("skipped: models/rx-small has no weights")
        return 77
    chosen = names or list(cases)
    failures = 0
    for name in chosen:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vlm_bad_"))
        try:
            arguments, words, *more = cases[name](folder)
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            run = subprocess.run([VLMHOST, *arguments], timeout=LIMIT_S, **pipes | (more[0] if more else {}))
            # `parity` reports its cases, failed ones too, on standard output.
            message = ((run.stdout or b"") + run.stderr).decode(errors="replace")
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
