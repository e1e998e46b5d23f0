"""`vlmhost quality`: the shipped model keeps its predictions with int8 and int4 weights, and mistakes are told."""
import json
import pathlib
import subprocess
import sys

program, source = sys.argv[1], pathlib.Path(sys.argv[2])
manifest = source / "samples/medical/medical.json"
pages = sorted((source / "samples/medical").glob("**/*.png"))
if not pages or not (source / "models/rx-small/model.safetensors").exists():
    print("skipped: the shipped model or the sample pages are not there")
    sys.exit(77)


def run(*arguments):
    return subprocess.run([program, "quality", *map(str, arguments)], capture_output=True, text=True)


images = [argument for page in pages[:3] for argument in ("--image", page)]
sizes = {}
for weights, bar in (("int8", 99.5), ("int4", 97.0)):
    done = run("--manifest", manifest, *images, "--weights", weights, "--json", "--min-agreement", bar)
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert 100 * report["agreement"] >= bar and report["positions"] > 20, report
    assert 0 < report["kl_mean"] <= report["kl_max"], report
    assert len(report["images"]) == len(pages[:3]) and report["answers"] > 0, report
    assert sum(image["positions"] for image in report["images"]) == report["positions"], report
    sizes[weights] = report["weight_bytes"]
    assert sizes[weights] < 0.4 * report["reference_weight_bytes"], report
assert sizes["int4"] < sizes["int8"], sizes

# f32 against itself is the same to the bit; a rule that fits everything undoes the quantisation.
same = json.loads(run("--manifest", manifest, *images[:2], "--dtype", "f32", "--weights", "int4", "--weights-of", "*=f32",
                      "--json").stdout)
assert same["agreement"] == 1 and same["kl_max"] == 0, same

# An agreement that cannot be reached fails the command.
assert run("--manifest", manifest, *images[:2], "--weights", "int4", "--min-agreement", "100.5").returncode == 1

for arguments, expected in ((("--manifest", manifest), "--image"),
                            (("--manifest", manifest, *images[:2], "--weights", "int5"), "int5"),
                            (("--manifest", manifest, *images[:2], "--weights-of", "backbone/*"), "PATTERN=TYPE"),
                            (("--manifest", manifest, *images[:2], "--new-tokens", "0"), "--new-tokens")):
    done = run(*arguments)
    assert done.returncode == 1 and expected in done.stderr, (arguments, done.stderr)
print("ok")
