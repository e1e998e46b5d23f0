"""Writes a Llama with random weights as a GGUF file for llama.cpp: sizes of a checkpoint's config.json, no vocabulary.

Blocks are filled with random bytes and one scale; what the numbers are does not change how long they take.
"""
import argparse
import json
import pathlib

import gguf
import numpy

TYPES = {"bf16": gguf.GGMLQuantizationType.BF16, "int8": gguf.GGMLQuantizationType.Q8_0,
         "int4": gguf.GGMLQuantizationType.Q4_0}


def blocks(random, rows, columns, weights):
    """Raw bytes `[rows][bytes per row]` of a matrix."""
    if weights == "bf16":
        values = random.standard_normal(rows * columns, dtype=numpy.float32) * numpy.float32(0.02)
        return (values.view(numpy.uint32) >> 16).astype(numpy.uint16).reshape(rows, columns).view(numpy.uint8)
    codes = 32 if weights == "int8" else 16
    raw = random.integers(0, 256, (rows, columns // 32, 2 + codes), dtype=numpy.uint8)
    raw[:, :, :2] = numpy.array([0.02 / codes / 4], dtype=numpy.float16).view(numpy.uint8)
    return raw.reshape(rows, -1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True, help="checkpoint folder")
    parser.add_argument("--weights", choices=sorted(TYPES), required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    config = json.loads((arguments.model / "config.json").read_text())
    text = config.get("text_config", config)
    width, inner, heads = text["hidden_size"], text["intermediate_size"], text["num_attention_heads"]
    kv_heads, layers, vocabulary = text["num_key_value_heads"], text["num_hidden_layers"], text["vocab_size"]
    dim = text.get("head_dim") or width // heads
    unfinished = arguments.out.with_name(arguments.out.name + ".part")
    writer = gguf.GGUFWriter(unfinished, "llama")
    writer.add_context_length(text.get("max_position_embeddings", 2048))
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(dim)
    writer.add_layer_norm_rms_eps(text.get("rms_norm_eps", 1e-5))
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("no_vocab")
    random = numpy.random.default_rng(1)

    def matrix(name, rows, columns):
        writer.add_tensor(name, blocks(random, rows, columns, arguments.weights), raw_dtype=TYPES[arguments.weights])

    def ones(name):
        writer.add_tensor(name, numpy.ones(width, dtype=numpy.float32))

    matrix("token_embd.weight", vocabulary, width)
    for i in range(layers):
        ones(f"blk.{i}.attn_norm.weight")
        matrix(f"blk.{i}.attn_q.weight", heads * dim, width)
        matrix(f"blk.{i}.attn_k.weight", kv_heads * dim, width)
        matrix(f"blk.{i}.attn_v.weight", kv_heads * dim, width)
        matrix(f"blk.{i}.attn_output.weight", width, heads * dim)
        ones(f"blk.{i}.ffn_norm.weight")
        matrix(f"blk.{i}.ffn_gate.weight", inner, width)
        matrix(f"blk.{i}.ffn_up.weight", inner, width)
        matrix(f"blk.{i}.ffn_down.weight", width, inner)
    ones("output_norm.weight")
    matrix("output.weight", vocabulary, width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(arguments.out)


if __name__ == "__main__":
    main()
