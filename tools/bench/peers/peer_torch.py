"""PyTorch with transformers, bf16 and SDPA (see serve.py).

The checkpoint that vlmhost wrote is loaded as it is. The same work as `vlmhost bench`: the tower runs up to the layer
whose features are used, a prompt's last row alone gets logits, and single steps of decoding follow a prompt.
"""
import argparse
import copy
import time

import torch
import transformers

from serve import serve, timed


def machine(device):
    """What the GPU can do: operations of a large product in bf16, and bytes read by a sum of 4 GB, per second."""
    a = torch.randn(8192, 8192, dtype=torch.bfloat16, device=device)
    multiply = min(timed(lambda: a @ a, 10, torch.cuda.synchronize)) / 1e3
    b = torch.ones(1 << 31, dtype=torch.bfloat16, device=device)
    read = min(timed(b.sum, 10, torch.cuda.synchronize)) / 1e3
    return {"operations_per_s": 2 * 8192**3 / multiply, "read_bytes_per_s": 2 * (1 << 31) / read}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--context", type=int, default=640)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    device = arguments.device
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    begin = time.perf_counter()
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        arguments.model, dtype=torch.bfloat16, attn_implementation="sdpa").eval().to(device)
    load_ms = (time.perf_counter() - begin) * 1e3
    text, inner = model.config.text_config, model.model
    language, head = inner.language_model, model.lm_head
    # Towers that take images of any size are left out: they would need the very image of the other side.
    tower = getattr(inner, "vision_tower", None)
    if tower is not None:
        size = model.config.vision_config.image_size
        pixels = torch.rand(1, 3, size, size, dtype=torch.bfloat16, device=device)
        layers = model.config.vision_config.num_hidden_layers + 1 + model.config.vision_feature_layer
        transformer = getattr(tower, "vision_model", tower)
        transformer.encoder.layers = transformer.encoder.layers[:layers]
    prompt = torch.randn(1, arguments.context, text.hidden_size, dtype=torch.bfloat16, device=device)

    def encode():
        return tower(pixels).last_hidden_state

    def prefill(embeddings=prompt, cache=None):
        out = language(inputs_embeds=embeddings, past_key_values=cache, use_cache=True)
        return head(out.last_hidden_state[:, -1:])

    def first_token():
        visual = inner.multi_modal_projector(encode()[:, 1:])
        prefill(torch.cat([prompt[:, visual.shape[1]:], visual], 1))

    read = transformers.DynamicCache(config=text)  # the prompt, for decode

    def decode(request):
        batch = request["batch"]
        if read.get_seq_length() == 0:
            prefill(cache=read)
        cache = copy.deepcopy(read)
        cache.batch_repeat_interleave(batch)
        token = torch.randn(batch, 1, text.hidden_size, dtype=torch.bfloat16, device=device)

        def step():
            out = language(inputs_embeds=token, past_key_values=cache, use_cache=True)
            return head(out.last_hidden_state)

        return timed(step, request["steps"], wait)

    stages = {"prefill": lambda r: timed(prefill, r["runs"], wait), "decode": decode}
    if device.startswith("cuda"):
        stages["machine"] = lambda r: machine(device)
    if tower is not None:
        stages["encode"] = lambda r: timed(encode, r["runs"], wait)
        stages["first token"] = lambda r: timed(first_token, r["runs"], wait)
    with torch.inference_mode():
        serve({"name": "PyTorch", "load_ms": load_ms, "threads": torch.get_num_threads(),
               "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}, stages)


if __name__ == "__main__":
    main()
