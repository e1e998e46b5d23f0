"""PyTorch with transformers: the stages of one model as JSON. Run by peers.py, in its virtual environment.

The same work as `vlmhost bench`: one image, a prompt of a given length whose last row alone gets logits, and single
steps of decoding behind a prompt of that length.
"""
import argparse
import json
import statistics
import time

import torch
import transformers


def measure(call, runs):
    """Times of `runs` calls in ms, after one that does not count."""
    times = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        call()
        times.append((time.perf_counter() - begin) * 1e3)
    return times[1:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--context", type=int, default=640)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batches", default="1,4,8")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)

    begin = time.perf_counter()
    model = transformers.AutoModelForImageTextToText.from_pretrained(
        arguments.model, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    load_ms = (time.perf_counter() - begin) * 1e3
    size = model.config.vision_config.image_size
    pixels = torch.rand(1, 3, size, size, dtype=torch.bfloat16)
    text = model.config.text_config
    tower, language, head = model.model.vision_tower, model.model.language_model, model.lm_head
    stages = {}
    with torch.inference_mode():
        stages["encode"] = measure(lambda: tower(pixels, output_hidden_states=True), arguments.runs)
        prompt = torch.randn(1, arguments.context, text.hidden_size, dtype=torch.bfloat16)

        def prefill(cache=None, batch=1):
            out = language(inputs_embeds=prompt.expand(batch, -1, -1), past_key_values=cache, use_cache=True)
            return head(out.last_hidden_state[:, -1:])

        stages[f"prefill {arguments.context}"] = measure(prefill, arguments.runs)
        for batch in map(int, arguments.batches.split(",")):
            cache = transformers.DynamicCache(config=text)
            prefill(cache, batch)
            token = torch.randn(batch, 1, text.hidden_size, dtype=torch.bfloat16)

            def step():
                out = language(inputs_embeds=token, past_key_values=cache, use_cache=True)
                return head(out.last_hidden_state)

            stages[f"decode x{batch}"] = measure(step, arguments.steps)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    print(json.dumps({"versions": {"torch": torch.__version__, "transformers": transformers.__version__},
                      "threads": torch.get_num_threads(), "load_ms": load_ms, "peak_mb": peak,
                      "stages": {name: statistics.median(times) for name, times in stages.items()}}))


if __name__ == "__main__":
    main()
