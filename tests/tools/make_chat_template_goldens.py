#!/usr/bin/env python3
"""Writes tests/data/chat_templates/cases.json: what transformers makes of the templates beside it.

cases.json: {"variables": [...], "cases": [[template, index of variables, prompt or null when rendering fails], ...]}. Needs `pip install transformers jinja2`.
"""
import json
import pathlib

from transformers.utils.chat_template_utils import _compile_jinja_template

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "data" / "chat_templates"


def said(role, *parts):
    return {"role": role, "content": [{"type": "image"} if p is None else {"type": "text", "text": p} for p in parts]}


def plain(role, text):
    return {"role": role, "content": text}


TOOL = {"type": "function", "function": {"name": "get_weather", "description": "날씨 \"now\" <b>", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1.5}}, "required": ["city"]}}}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {
    "name": "get_weather", "arguments": {"city": "서울", "days": 3, "f": 0.5, "ok": True, "none": None}}}]}
CONVERSATIONS = [
    [plain("user", "  What is this? ")],
    [plain("system", " Be brief. "), plain("user", "안녕 👋\n\nline"), plain("assistant", "Hi <b>&\"there\"'s"), plain("user", "more")],
    [plain("user", "a"), plain("user", "b")],
    [said("user", None, "Describe the image.")],
    [said("system", "Be brief."), said("user", "Compare ", None, None, " these"), said("assistant", "Same. "), said("user", "Sure?")],
    [plain("user", "weather?"), CALL, {"role": "tool", "content": "{\"t\": 21}"}, {"role": "tool", "content": "x"}, plain("assistant", "21")],
    [plain("tool", "alone")],
    [{"role": "user", "content": []}],
]


def main():
    cases = []
    for path in sorted(FOLDER.glob("*.jinja")):
        template = _compile_jinja_template(path.read_text(encoding="utf-8"))
        for messages in CONVERSATIONS:
            for prompt, extra in ((False, {}), (True, {}), (True, {"tools": [TOOL], "add_vision_id": True})):
                variables = {"messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>", **extra}
                try:
                    text = template.render(**variables)
                except Exception:
                    text = None
                cases.append([path.stem, variables, text])
    # Kept small: variables are repeated for every template otherwise.
    pool = []
    for case in cases:
        if case[1] not in pool:
            pool.append(case[1])
        case[1] = pool.index(case[1])
    (FOLDER / "cases.json").write_text(json.dumps({"variables": pool, "cases": cases}, ensure_ascii=False, separators=(",", ":")),
                                       encoding="utf-8")


main()
