#!/usr/bin/env python3
"""The pages of the families say what the program does.

Every recipe has one sample manifest and one page; the pages have one form; the worked counts of visual tokens are those of
`vlmhost --plan` with the sample manifest and the configuration of a hub repository (tests/data/hub_configs.json, or the page's own);
and with the sample manifest the reference folders give the reference's answers.

Usage: families.py VLMHOST SOURCE_FOLDER [REFERENCE_FOLDER]
"""
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

vlmhost, source = sys.argv[1], pathlib.Path(sys.argv[2])
references = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3] else None
SECTIONS = ["What is special", "Images become tokens", "Configuration", "Prompt", "Run", "Differences from the reference"]
pages = {p.name: p.read_text(encoding="utf-8") for p in sorted((source / "docs/families").glob("*.md")) if p.name != "README.md"}
index = (source / "docs/families/README.md").read_text(encoding="utf-8")
manifests = {p.stem: p for p in sorted((source / "samples/manifests").glob("*.json"))}
recipes = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted((source / "plugins/recipes").glob("*.json"))}
problems = []


def vlm(*arguments):
    return subprocess.run([vlmhost, *map(str, arguments)], capture_output=True, text=True, timeout=300)


# One manifest for each recipe, with the recipe's own plugins, on one page.
if set(manifests) != set(recipes):
    problems.append(f"recipes and sample manifests differ: {sorted(set(manifests) ^ set(recipes))}")
page_of = {}
for name in sorted(set(manifests) & set(recipes)):
    manifest, link = json.loads(manifests[name].read_text(encoding="utf-8")), f"../../samples/manifests/{name}.json"
    stages = {k: v["plugin"] for k, v in manifest["pipeline"].items() if k != "post_processors"}
    wanted = {k: v["plugin"] for k, v in recipes[name]["stages"].items()}
    if stages != wanted:
        problems.append(f"{name}.json names {stages}, the recipe {wanted}")
    at = [page for page, text in pages.items() if link in text]
    if len(at) != 1:
        problems.append(f"{link} is linked from {at}, expected one page of docs/families")
    else:
        page_of[name] = at[0]
        if f"docs/families/{at[0]}" not in manifest["comment"]:
            problems.append(f"{name}.json does not name its page docs/families/{at[0]}")
    failed = vlm("--manifest", manifests[name], "--plan")
    if failed.returncode != 1 or manifest["model"] not in failed.stderr or "is not a folder" not in failed.stderr:
        problems.append(f"{name}.json without its checkpoint: {failed.stderr.strip()}")

# All pages have one form.
for page, text in pages.items():
    if re.findall(r"^## (.+)$", text, re.M) != SECTIONS:
        problems.append(f"{page}: sections are {re.findall(r'^## (.+)$', text, re.M)}, expected {SECTIONS}")
    if f"({page})" not in index:
        problems.append(f"docs/families/README.md does not link {page}")

# Worked counts: rows `checkpoint` | tokens | … of the tables.
hub = json.loads((source / "tests/data/hub_configs.json").read_text(encoding="utf-8"))
counted = 0
for page, text in pages.items():
    entries = {**hub}
    for block in re.findall(r"```json\n(.*?)```", text, re.S):
        config = json.loads(block)
        if "model_type" in config:
            entries[config["model_type"]] = {"config": config, "preprocessor": {}}
    for name, count in re.findall(r"^\| `([^`]+)` \| (\d+) \|", text, re.M):
        kind = entries[name]["config"]["model_type"]
        recipe = next(r for r, content in recipes.items() if kind in content["model_type"])
        with tempfile.TemporaryDirectory() as folder:
            for file, key in (("config.json", "config"), ("preprocessor_config.json", "preprocessor")):
                (pathlib.Path(folder) / file).write_text(json.dumps(entries[name][key]), encoding="utf-8")
            # --plan asks for no weights, but for a file that could have them.
            (pathlib.Path(folder) / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
            plan = vlm("--manifest", manifests[recipe], "--model", folder, "--plan")
        found = re.search(r"visual tokens\s+(\d+)", plan.stdout)
        counted += 1
        if not found or found[1] != count:
            problems.append(f"{page}: {name} is said to make {count} tokens of 1080 x 1440, --plan says "
                            f"{found[1] if found else plan.stderr.strip()}")
if counted < len(pages):
    problems.append(f"only {counted} worked counts on {len(pages)} pages")

# The sample manifests answer as the references do.
answered, left_out = [], []
for folder in sorted(references.iterdir()) if references and references.is_dir() else []:
    if not all((folder / f).exists() for f in ("config.json", "inputs.json", "expected.json")):
        continue
    if (folder / "reducer.json").exists():
        left_out.append(folder.name)
        continue
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    recipe = next((r for r, content in recipes.items() if kind in content["model_type"]), None)
    if recipe is None:
        problems.append(f"{folder.name}: no recipe for model_type {kind}")
        continue
    case = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))["cases"][0]
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["cases"][0]
    command = ["--manifest", manifests[recipe], "--model", folder, "--dtype", "f32", "--raw", "--json"]
    for image in case["images"]:
        command += ["--image", folder / image]
    marker = (recipes[recipe]["prompt"]["marker"] if "marker" in recipes[recipe].get("prompt", {}) else [""])[0]
    prompts = case["prompt"] if isinstance(case["prompt"], list) else []
    for prompt in prompts:
        command += ["--text", prompt]
    if not prompts:
        command += ["--prompt", case["prompt"].replace("{}", marker)]
    if "generated_ids" in expected:
        command += ["--max-new-tokens", len(expected["generated_ids"])]
    run = vlm(*command)
    if run.returncode != 0:
        problems.append(f"{folder.name}: {run.stderr.strip()}")
        continue
    result = json.loads(run.stdout)
    if "action" in expected:
        good = max(abs(a - b) for a, b in zip(result["action"], expected["action"], strict=True)) < 1e-5
    elif "generated_text" in expected:
        # The reference goes on behind the end of text.
        stopped = result["finish_reason"] == "stop_token"
        text, wanted = result["text"].strip(), expected["generated_text"].strip()
        good = wanted.startswith(text) if stopped else wanted == text
    else:
        scores = [s for row in result.get("logits_per_image", []) for s in row]
        scores += [p["score"] for row in result.get("predictions", []) for p in row]
        good = bool(scores) and abs(max(map(abs, scores)) - expected["logits_absmax"]) < 2e-4
    answered.append(folder.name)
    if not good:
        problems.append(f"{folder.name} with {manifests[recipe].name}: {run.stdout[:300]}, expected {str(expected)[:300]}")
if problems:
    sys.exit("\n".join(problems))
print(f"{len(manifests)} manifests on {len(pages)} pages, {counted} counts; answered as the reference: {', '.join(answered) or 'none'}"
      f"; left out, they are about reducers: {', '.join(left_out) or 'none'}")
if not answered:
    print("no reference folders were compared; set VLM_GOLDEN_DIR")
