#!/usr/bin/env python3
"""Checkpoints that are broken, cut or built to break the program: each must end with a clear message, a non-zero status and no crash.

Usage: bad_checkpoint.py VLMHOST SOURCE_FOLDER [CASE…]
"""
import json
import struct
import sys

from bad_cases import MODEL, ask, case, checkpoint, config, run_cases

# Each case returns the command line and words that the message must have.

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

def tensors(header, data=b"\0" * 64):
    """A safetensors file of that header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def f32(begin, end, *shape):
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}


def broken_weights(name, words, content):
    def made(folder):
        return ask(checkpoint(folder, model_safetensors=content)), ["model.safetensors", *words]
    made.__name__ = f"weights_{name}"
    case(made)


broken_weights("with_offsets_beyond_the_file", ["4096", "truncated"], tensors({"a": f32(0, 4096, 1024)}))
broken_weights("that_overlap", ["overlap"], tensors({"a": f32(0, 32, 8), "b": f32(16, 48, 8)}))
broken_weights("with_offsets_backwards", ["a"], tensors({"a": f32(32, 0, 8)}))
broken_weights("of_unknown_dtype", ["F33"], tensors({"a": {"dtype": "F33", "shape": [8], "data_offsets": [0, 32]}}))
broken_weights("with_a_shape_that_lies", ["a"], tensors({"a": f32(0, 32, 9)}))
broken_weights("with_a_shape_that_overflows", ["a"], tensors({"a": f32(0, 32, 1 << 40, 1 << 40)}))
broken_weights("with_negative_offsets", ["a"], tensors({"a": f32(-8, 24, 8)}))
broken_weights("with_a_header_that_is_no_json", [], tensors(b"{" * 64))
broken_weights("with_a_deep_header", [], tensors(b"[" * 100_000))

@case
def weights_of_another_model(folder):
    other = tensors({"a": f32(0, 32, 8)}, b"\0" * 32)
    return ask(checkpoint(folder, model_safetensors=other)), ["missing from the checkpoint"]



def real_weights(change):
    """The shipped weights with another header; `change` gets {name: entry}."""
    data = (MODEL / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    change(header)
    return tensors(header, data[8 + size:])


@case
def weights_of_integers(folder):
    def change(header):
        for entry in header.values():
            if "dtype" in entry:
                entry["dtype"] = {"F32": "I32", "BF16": "I16", "F16": "I16"}[entry["dtype"]]
    return ask(checkpoint(folder, model_safetensors=real_weights(change))), ["I"]


@case
def one_weight_is_missing(folder):
    missing = []
    def change(header):
        name = next(n for n in header if n.endswith("mlp.down_proj.weight"))
        missing.append(name)
        # The bytes stay covered: another tensor has them.
        header["renamed"] = header.pop(name)
    content = real_weights(change)
    return ask(checkpoint(folder, model_safetensors=content)), ["mlp.down_proj.weight"]


def sharded(folder, weight_map):
    index = json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
    copy = checkpoint(folder, model_safetensors=None)
    (copy / "model.safetensors.index.json").write_bytes(index)
    return copy


@case
def index_names_a_missing_file(folder):
    return ask(sharded(folder, {"a": "model-00001-of-00002.safetensors"})), ["model-00001-of-00002.safetensors"]


@case
def index_leaves_the_folder(folder):
    return ask(sharded(folder, {"a": "../outside.safetensors"})), ["../outside.safetensors"]


@case
def index_is_absolute(folder):
    return ask(sharded(folder, {"a": "/etc/passwd"})), ["/etc/passwd"]


@case
def index_without_a_map(folder):
    copy = sharded(folder, {})
    (copy / "model.safetensors.index.json").write_bytes(b"{}")
    return ask(copy), ["weight_map"]


def broken_config(name, key, value, *words):
    def made(folder):
        def change(c):
            section = c["vision_config"] if key.startswith("vision.") else c.get("text_config", c)
            section[key.removeprefix("vision.")] = value
        return ask(checkpoint(folder, config_json=config(change))), list(words)
    made.__name__ = f"config_{name}"
    case(made)


for width in (10**12, -1, 0, 1.5, "256", None, [256]):
    broken_config(f"hidden_size_{width}", "hidden_size", width, "config.json")
for layers in (10**9, -4, 0, "four"):
    broken_config(f"layers_{layers}", "num_hidden_layers", layers, "num_hidden_layers")
for heads in (-4, 3, 10**9):
    broken_config(f"heads_{heads}", "num_attention_heads", heads, "heads")
broken_config("key_heads_zero", "num_key_value_heads", 0, "num_key_value_heads")
broken_config("vocab_huge", "vocab_size", 10**12, "vocab_size")
broken_config("positions_negative", "max_position_embeddings", -1, "max_position_embeddings")
broken_config("eps_infinite", "rms_norm_eps", float("inf"), "rms_norm_eps", "Infinity")
broken_config("theta_nan", "rope_theta", float("nan"), "rope_theta", "NaN")
broken_config("theta_text", "rope_theta", "ten thousand", "rope_theta")
broken_config("theta_zero", "rope_theta", 0, "rope_theta")
broken_config("activation_unknown", "hidden_act", "wobble", "wobble")
broken_config("patch_zero", "vision.patch_size", 0, "patch_size")
broken_config("patch_huge", "vision.patch_size", 10**9, "patch_size")
broken_config("vision_heads_zero", "vision.num_heads", 0, "num_heads")
broken_config("depth_huge", "vision.depth", 10**9, "depth")


@case
def config_is_empty(folder):
    return ask(checkpoint(folder, config_json=b"")), ["config.json"]


@case
def config_is_a_list(folder):
    return ask(checkpoint(folder, config_json=b"[]")), ["config.json"]


@case
def config_is_nested_deeply(folder):
    return ask(checkpoint(folder, config_json=b'{"model_type":' + b"[" * 1_000_000)), ["config.json"]


@case
def config_is_no_utf8(folder):
    return ask(checkpoint(folder, config_json=b'{"model_type": "\xff\xfe"}')), ["config.json"]


def broken_preprocessor(name, change, *words):
    def made(folder):
        value = json.loads((MODEL / "preprocessor_config.json").read_text())
        value.update(change)
        return ask(checkpoint(folder, preprocessor_config_json=json.dumps(value).encode())), list(words)
    made.__name__ = f"preprocessor_{name}"
    case(made)


for number in (0, -1, 10**12, "big"):
    broken_preprocessor(f"size_{number}", {"size": {"shortest_edge": number, "longest_edge": number}}, "size")
    broken_preprocessor(f"patch_{number}", {"patch_size": number}, "patch_size")
broken_preprocessor("std_zero", {"image_std": [0, 0, 0]}, "image_std")
broken_preprocessor("mean_short", {"image_mean": [0.5, 0.5]}, "image_mean")
broken_preprocessor("factor_infinite", {"rescale_factor": float("inf")}, "rescale_factor")


def tokenizer(folder, change):
    value = json.loads((MODEL / "tokenizer.json").read_text())
    change(value)
    return checkpoint(folder, tokenizer_json=json.dumps(value).encode())


@case
def tokenizer_with_a_cycle(folder):
    # Pieces whose merge is not in the vocabulary, or that are merged from what they make.
    def change(value):
        piece = next(iter(value["model"]["vocab"]))
        value["model"]["merges"] = [[piece, piece], [piece + piece, piece]]
    return ask(tokenizer(folder, change)), ["tokenizer.json"]


@case
def tokenizer_with_ids_beyond_the_model(folder):
    def change(value):
        value["model"]["vocab"]["n"] = 2_000_000_000
    return ask(tokenizer(folder, change), "--raw", "--prompt", "<|vision_start|><|image_pad|><|vision_end|>n"), ["2000000000"]


@case
def tokenizer_with_negative_id(folder):
    def change(value):
        value["model"]["vocab"]["n"] = -5
    return ask(tokenizer(folder, change)), ["tokenizer.json", "-5"]


@case
def tokenizer_without_a_model(folder):
    return ask(tokenizer(folder, lambda value: value.pop("model"))), ["tokenizer.json", "model"]


@case
def tokenizer_of_unknown_kind(folder):
    return ask(tokenizer(folder, lambda value: value["model"].update(type="Runes"))), ["tokenizer.json", "Runes"]


@case
def tokenizer_with_a_bad_pattern(folder):
    split = {"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated", "invert": False}
    return ask(tokenizer(folder, lambda value: value.update(pre_tokenizer=split))), ["tokenizer.json"]


def broken_template(name, text, *words):
    def made(folder):
        value = json.loads((MODEL / "tokenizer_config.json").read_text())
        value["chat_template"] = text
        content = json.dumps(value).encode()
        return ask(checkpoint(folder, tokenizer_config_json=content), "--prompt", "hello"), list(words)
    made.__name__ = f"template_{name}"
    case(made)


broken_template("without_end", "{% for i in range(1000000) %}{% for j in range(1000000) %}x{% endfor %}{% endfor %}", "template")
broken_template("that_grows", "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(200) %}{% set ns.s = ns.s + ns.s %}"
                              "{% endfor %}{{ ns.s }}", "template")
broken_template("that_calls_itself", "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}", "template")
broken_template("of_deep_brackets", "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}", "template")
broken_template("not_closed", "{% for m in messages %}", "template")
broken_template("of_unknown_filter", "{{ 'a' | frobnicate }}", "frobnicate")


sys.exit(run_cases(sys.argv[3:]))
