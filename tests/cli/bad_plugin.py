#!/usr/bin/env python3
"""Plugins that are none, that are too new, or that fail in the middle of a question (tests/torture): each must end with a clear
message, a non-zero status and no crash.

Usage: bad_plugin.py VLMHOST SOURCE_FOLDER TORTURE_FOLDER
"""
import pathlib
import sys

from bad_cases import ask, case, manifest, run_cases, written

TORTURE = pathlib.Path(sys.argv[3]).resolve()
ID = "org.vlmhost.torture"


def stage(folder, library, kind="vision_encoder"):
    """The shipped model with that library as one of its stages."""
    choice = {"plugin": ID}
    return ask(manifest(folder, plugins=[str(library)], pipeline={kind: [choice] if kind.endswith("s") else choice}))


def torture(name, words, kind="vision_encoder"):
    def made(folder):
        return stage(folder, TORTURE / f"{name}.so", kind), words
    made.__name__ = name
    case(made)


torture("not_a_plugin", ["not_a_plugin.so", "vlm_plugin_entry"])
torture("future_abi", ["future_abi.so", "ABI"])
torture("size_zero", ["size_zero.so", "struct_size"])
torture("size_absurd", ["size_absurd.so", "struct_size"])
torture("no_id", ["no_id.so"])
torture("bad_identity", ["bad_identity.so"])
torture("bad_version", ["bad_version.so"])
torture("null_description", ["null_description.so"])
torture("no_get_interface", ["no_get_interface.so"])
torture("refuses", ["refuses.so"])
torture("create_fails", ["does not offer"])
torture("stage_refuses", ["the tripod is missing"])
torture("create_nothing", [ID])
torture("table_size_zero", [ID])
torture("stage_fails", [ID, "the lamp of the scanner is cold"])
torture("stage_wrong_rows", [ID, "rows", "planned"])
torture("sound_encoder", ["takes no options", "config.json"])
torture("sound_post", ["vision_encoder"])
torture("post_no_json", [ID, "JSON"], "post_processors")


@case
def plugin_is_text(folder):
    return stage(folder, written(folder, "text.so", b"this is no library")), ["text.so"]


@case
def plugin_is_empty(folder):
    return stage(folder, written(folder, "empty.so", b"")), ["empty.so"]


@case
def plugin_is_cut(folder):
    return stage(folder, written(folder, "cut.so", (TORTURE / "sound_encoder.so").read_bytes()[:2000])), ["cut.so"]


@case
def plugin_is_missing(folder):
    return stage(folder, folder / "none.so"), ["none.so"]


sys.exit(run_cases([]))
