#!/usr/bin/env python3
"""Tiny random language models with the logits and greedy ids of transformers: what the golden checkpoints do not cover.

    python make_fixtures.py            # transformers 5.23, torch; writes one folder per model beside this file

Each folder holds a checkpoint (config.json, model.safetensors) and expected.safetensors: case0.input_ids, case0.logits (whole
prompt), case0.generated_ids (argmax, end-of-sequence ignored)."""
import json, shutil
from pathlib import Path

import torch
import transformers as T
from safetensors.torch import save_file


def sizes(**over):
    return {**dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
                   num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2), **over}


def rope(kind="default", **over):
    return {"rope_theta": 10000.0, "rope_type": kind, **over}


def without(d, *keys):
    return {k: v for k, v in d.items() if k not in keys}


OPT = dict(vocab_size=40, hidden_size=16, ffn_dim=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64,
           pad_token_id=0)
MODELS = {
    "llama3_biases": T.LlamaConfig(**sizes(attention_bias=True, mlp_bias=True, head_dim=6, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16))),
    "llama_dynamic": T.LlamaConfig(**sizes(max_position_embeddings=16, rope_parameters=rope("dynamic", factor=2.0))),
    "llama_linear": T.LlamaConfig(**sizes(rope_parameters=rope("linear", factor=3.0))),
    "llama_yarn": T.LlamaConfig(**sizes(rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=16, mscale=0.7,
                                                             mscale_all_dim=1.2, truncate=False, beta_fast=20.0))),
    "mistral_no_window": T.MistralConfig(**sizes(sliding_window=None, head_dim=8)),
    "qwen2_window": T.Qwen2Config(**sizes(use_sliding_window=True, sliding_window=6, max_window_layers=1)),
    "qwen3_yarn": T.Qwen3Config(**sizes(head_dim=6, rope_parameters=rope("yarn", factor=4.0,
                                                                         original_max_position_embeddings=16))),
    "phi3_longrope": T.Phi3Config(**sizes(sliding_window=9, max_position_embeddings=128, original_max_position_embeddings=16,
                                          rope_parameters=rope("longrope", short_factor=[1.0, 1.1], long_factor=[1.5, 3.0],
                                                               original_max_position_embeddings=16))),
    "gemma2": T.Gemma2Config(**sizes(head_dim=6, sliding_window=7, query_pre_attn_scalar=20, attn_logit_softcapping=5.0,
                                     final_logit_softcapping=3.0)),
    "gemma_legacy_gelu": T.GemmaConfig(**sizes(head_dim=8, hidden_act="gelu")),
    "opt_norm_after": T.OPTConfig(**OPT, word_embed_proj_dim=12, do_layer_norm_before=False),
    "opt_no_affine": T.OPTConfig(**OPT, enable_bias=False, layer_norm_elementwise_affine=False, activation_function="gelu"),
    "persimmon_no_qk_norm": T.PersimmonConfig(**without(sizes(qk_layernorm=False, rope_parameters=rope(
        partial_rotary_factor=0.5)), "num_key_value_heads")),
}


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    T.logging.set_verbosity_error()
    here = Path(__file__).parent
    for name, config in MODELS.items():
        g = torch.Generator().manual_seed(7)
        model = T.AutoModelForCausalLM.from_config(config)
        for key, p in model.named_parameters():
            r = torch.randn(p.shape, generator=g)
            norm = "norm" in key and p.ndim == 1
            centre = 1.0 if norm and key.endswith("weight") and "gemma" not in config.model_type else 0.0
            p.copy_(centre + 0.1 * r if p.ndim == 1 else r * (0.4 if "embed" in key else 1.2 / p.shape[-1] ** 0.5))
        folder = here / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        ids = torch.randint(3, 40, (1, 25), generator=g)

        def fresh():                                       # dynamic rotary positions keep state in the module
            m = T.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
            m.generation_config.eos_token_id = None
            return m
        new = fresh().generate(ids, max_new_tokens=10, do_sample=False, eos_token_id=None, pad_token_id=0)[0, -10:]
        save_file({"case0.input_ids": ids, "case0.logits": fresh()(ids).logits.contiguous(),
                   "case0.generated_ids": new.contiguous()}, str(folder / "expected.safetensors"))
        config_json = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config_json, indent=1) + "\n")


if __name__ == "__main__":
    main()
