#!/usr/bin/env python3
"""`vlmhost --device cuda`: a clear refusal where there is no GPU, and the same answer as the CPU on the emulated GPU; also with
stages on several devices.

Usage: cuda.py VLMHOST EMULATED_LIBRARY SOURCE_FOLDER
The second part runs a whole checkpoint through the CUDA device's own code, its kernels executed on the CPU
(tests/host/compute/cuda/emulated); it says nothing about a GPU.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

vlmhost, emulated, source = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
manifest, row = source / "samples/medical/medical.json", source / "tests/data/rx_rows/english_entry.png"


def run(*arguments, library=None):
    environment = dict(os.environ)
    environment.pop("VLM_CUDA_LIBRARY", None)
    if library is not None:
        environment["VLM_CUDA_LIBRARY"] = str(library)
    which = [] if "--manifest" in arguments else ["--manifest", manifest]
    return subprocess.run([vlmhost, *which, "--image", row, "--json", *arguments], capture_output=True, text=True, timeout=300,
                          env=environment)


def refused(result, *words):
    text = result.stdout + result.stderr
    assert result.returncode not in (0, -6, -11), (result.returncode, text)
    for word in words:
        assert word in text, (word, text)


# "cuda:200" exists nowhere: without the library, without a driver, or with fewer GPUs, and each says which.
real = run("--device", "cuda:200")
refused(real, "cuda:200")
reasons = ("no CUDA compute library", "no NVIDIA driver", "driver is too old", "shows no GPU", "there is no GPU 200",
           "cannot be loaded")
assert any(reason in real.stdout + real.stderr for reason in reasons), real.stderr
refused(run("--device", "cuda:x"), "cuda:x")
refused(run("--device", "cuda", library=source / "README.md"), "README.md", "cannot be loaded")
refused(run("--device", "cuda:2", library=emulated), "there is no GPU 2")
refused(run("--device", "cuda", "--weights", "int3", library=emulated), "int3")

# In f32 quantised weights meet exact activations on both devices, and their codes are the same.
for weights in ("auto", "int8", "int4"):
    cpu = run("--device", "cpu", "--dtype", "f32", "--weights", weights)
    gpu = run("--device", "cuda", "--dtype", "f32", "--weights", weights, library=emulated)
    assert cpu.returncode == 0 and gpu.returncode == 0, (weights, cpu.stderr, gpu.stderr)
    texts = [json.loads(result.stdout.splitlines()[0])["text"] for result in (cpu, gpu)]
    assert texts[0] and texts[0] == texts[1], (weights, texts)
    print("weights", weights, "on the emulated GPU:", texts[1])

# In fp8 the model keeps its predictions: prefills with activations in fp8, decoding with exact ones, all else in bf16.
rows = [argument for path in sorted(row.parent.glob("*.png"))[:4] for argument in ("--image", path)]
done = subprocess.run([vlmhost, "quality", "--manifest", manifest, *map(str, rows), "--device", "cuda", "--weights", "fp8", "--json",
                       "--min-agreement", "97"], capture_output=True, text=True, timeout=600,
                      env={**os.environ, "VLM_CUDA_LIBRARY": str(emulated)})
assert done.returncode == 0, done.stdout + done.stderr
report = json.loads(done.stdout)
assert report["positions"] > 20 and 0 < report["kl_mean"] < 0.01, report
assert report["weight_bytes"] < 0.4 * report["reference_weight_bytes"], report
print("fp8 on the emulated GPU: agreement %.4f of %d positions, KL mean %.1e, max %.1e" %
      (report["agreement"], report["positions"], report["kl_mean"], report["kl_max"]))
for arguments, words in ((("--device", "cpu", "--weights", "fp8"), ("fp8", "8.9", "int8")),
                         (("--device", "cpu", "--weights-of", "backbone/*=fp8", "--packed-cache", "off"), ("weights_of", "backbone/", "int8"))):
    refused(run(*arguments), *words)

# Stages apart: the manifest names their devices, the plan shows them with each device's part, --device overrides them.
with tempfile.TemporaryDirectory() as folder:
    apart = pathlib.Path(folder) / "apart.json"
    apart.write_text(json.dumps({
        "model": str(source / "models/rx-small"), "dtype": "f32", "image": {"split": "rows"}, "packed_cache": "off", "use_template": False,
        "prompt": "<|vision_start|><|image_pad|><|vision_end|>", "generation": {"max_new_tokens": 8},
        "pipeline": {"vision_encoder": {"device": "cuda:1"}, "connector": {"device": "cpu"}, "backbone": {"device": "cuda"}}}))
    plan = run("--manifest", apart, "--plan", library=emulated)
    assert plan.returncode == 0, plan.stderr
    for part in (") on cuda:1\n", ") on cpu\n", ") on cuda:0\n", "  on cuda:1       ", "  on cpu          ", "  on cuda:0       "):
        assert part in plan.stdout, (part, plan.stdout)
    assert " on cuda" not in run("--manifest", apart, "--plan", "--device", "cpu").stdout
    alone, parted = run("--manifest", apart, "--device", "cpu"), run("--manifest", apart, library=emulated)
    assert alone.returncode == 0 and parted.returncode == 0, (alone.stderr, parted.stderr)
    texts = [json.loads(result.stdout.splitlines()[0])["text"] for result in (alone, parted)]
    assert texts[0] and texts[0] == texts[1], texts
    print("stages apart on two emulated GPUs and the CPU:", texts[1])
