#!/usr/bin/env python3
"""Attention weights and answer scores of a reference folder, computed with transformers (eager attention, float32).

    python make_attention.py REFERENCE_FOLDER... --out tests/data/attention

A reference folder holds a checkpoint and `expected.safetensors` with the inputs of case 0 (docs of `vlmhost parity`). Written
is NAME.safetensors:

    weights.sha256       [32] u8            of model.safetensors, so that a test knows whether it has the same checkpoint
    ids                  [tokens]           the greedy answer that is looked at
    attention            [layers, tokens, positions]  mean over heads; row t chose token t, positions = prompt + tokens - 1
    rollout              [tokens, positions]          product of (I + A) / 2 over all layers
    blocks               [layers, 8]        mean and maximum of visual->visual, visual->text, text->visual, text->text
    answer.ids           [n]                an answer to score
    answer.logprobs      [n]                its log-probabilities behind the prompt
    answer.loss          [1]                mean of -logprobs
"""
import argparse, hashlib, json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

TOKENS = 6
ANSWER = "A red circle, 42 mg."
TAKEN = ("pixel_values", "image_grid_thw", "mm_token_type_ids", "image_sizes")


@torch.no_grad()
def reference(folder):
    expected = json.loads((folder / "expected.json").read_text())
    tensors = load_file(str(folder / "expected.safetensors"))
    model = getattr(transformers, expected["class"]).from_pretrained(folder, dtype=torch.float32,
                                                                    attn_implementation="eager").eval()
    prompt = tensors["case0.input_ids"].long().view(1, -1)
    inputs = {k: tensors["case0." + k] for k in TAKEN if "case0." + k in tensors}

    def forward(ids):
        more = dict(inputs)
        if "mm_token_type_ids" in more:
            more["mm_token_type_ids"] = torch.nn.functional.pad(more["mm_token_type_ids"], (0, ids.shape[1] - prompt.shape[1]))
        return model(input_ids=ids, output_attentions=True, **more)

    answer = tensors["case0.generated_ids"][:TOKENS].long()
    n = prompt.shape[1]
    out = forward(torch.cat([prompt[0], answer[:-1]]).view(1, -1))
    layers = torch.stack([a[0].mean(0) for a in out.attentions])                 # [layers, N, N]
    rollout = torch.eye(layers.shape[-1])
    for a in layers:
        rollout = (torch.eye(a.shape[-1]) + a) / 2 @ rollout
    config = model.config
    image_id = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
    visual = prompt[0] == image_id
    blocks = [[f(a[:n, :n][q][:, k]) for q in (visual, ~visual) for k in (visual, ~visual) for f in (torch.mean, torch.max)]
              for a in layers]
    ids = torch.tensor(transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")).encode(
        ANSWER, add_special_tokens=False))
    logits = forward(torch.cat([prompt[0], ids]).view(1, -1)).logits[0, n - 1:-1]
    logprobs = logits.double().log_softmax(-1).gather(1, ids.view(-1, 1))[:, 0]
    sha = hashlib.sha256((folder / "model.safetensors").read_bytes()).digest()
    return {"weights.sha256": torch.tensor(list(sha), dtype=torch.uint8), "ids": answer.int(),
            "attention": layers[:, n - 1:].contiguous(), "rollout": rollout[n - 1:].contiguous(),
            "blocks": torch.tensor(blocks), "answer.ids": ids.int(), "answer.logprobs": logprobs.float(),
            "answer.loss": -logprobs.mean().float().view(1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for folder in args.folders:
        save_file(reference(folder), str(args.out / (folder.name + ".safetensors")))
        print(folder.name)
