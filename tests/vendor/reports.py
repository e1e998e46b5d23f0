#!/usr/bin/env python3
"""The reports of `vlmhost check` as programs read them: JSON, JUnit XML, exit status, seed and time limit.

Usage: reports.py VLMHOST TORTURE_FOLDER
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

VLMHOST, TORTURE = sys.argv[1], pathlib.Path(sys.argv[2])


def check(plugin, *options):
    command = [VLMHOST, "check", str(TORTURE / (plugin + ".so")), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


with tempfile.TemporaryDirectory() as folder:
    report = pathlib.Path(folder, "report.xml")
    sound = check("sound_encoder", "--json", "--junit", str(report), "--seed", "7")
    expect(sound.returncode == 0, f"a sound plugin passes: {sound.stdout} {sound.stderr}")
    rules = json.loads(sound.stdout)
    expect(rules["passed"] is True and rules["seed"] == 7, "the JSON report says so, with its seed")
    suite = xml.etree.ElementTree.parse(report).getroot()
    expect(int(suite.get("tests")) == len(rules["rules"]) == len(suite.findall("testcase")), "both reports have all rules")
    expect(int(suite.get("failures")) == 0, "no failure is reported")
    expect(int(suite.get("skipped")) == len(suite.findall("testcase/skipped")) > 0, "skipped rules are marked as skipped")
    expect("seed 7" in suite.get("name"), "the JUnit report says how to repeat it")

    broken = check("encoder_wrong_rows", "--junit", str(report))
    expect(broken.returncode == 1, "a broken rule gives status 1")
    suite = xml.etree.ElementTree.parse(report).getroot()
    names = [case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None]
    expect(names and all(name.startswith("VLM-P-17") for name in names), f"the failing test case names the rule: {names}")

    # What a plugin prints or says must not break the XML.
    expect(check("refuses", "--junit", str(report)).returncode == 1, "a plugin that refuses the host fails")
    xml.etree.ElementTree.parse(report)

    hurried = check("create_hangs", "--limit", "1", "--time-limit", "1", "--json")
    late = [r for r in json.loads(hurried.stdout)["rules"] if "time limit for all checks" in r["message"]]
    expect(late and all(r["status"] == "skip" for r in late), "rules beyond the time limit are skipped and say so")

    nowhere = check("sound_encoder", "--only", "VLM-P-01", "--junit", str(pathlib.Path(folder, "no/such/folder/r.xml")))
    expect(nowhere.returncode == 1 and "cannot be written" in nowhere.stderr, "an unwritable report is an error")

    for slip in ("{", "[3]", "r=3"):
        wrong = check("sound_plugin", "--options", slip, "--only", "VLM-P-13")
        expect(wrong.returncode == 1 and "--options: expected a JSON object" in wrong.stderr and not wrong.stdout, f"--options {slip} is refused")
    absent = subprocess.run([VLMHOST, "chekc", "plugin.so"], capture_output=True, text=True, timeout=60)
    expect(absent.returncode == 1 and "no command 'chekc'" in absent.stderr and '"check"' in absent.stderr, "a mistyped command is named")
print("reports are as programs read them")
