"""The shipped model, loaded by Hugging Face transformers, reads the committed row images as expected.json says.

The same pictures and texts serve the C++ tests, so both sides are held to one answer. Plain Python: exit status 1 on a failure,
0 with a message where torch or transformers is not installed.
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODEL, ROWS = ROOT / "models" / "rx-small", ROOT / "tests" / "data" / "rx_rows"


def main():
    try:
        import torch
        from PIL import Image
        from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessor
    except ImportError as error:
        print(f"skipped: {error} (install tools/train/requirements.txt to run this test)")
        return 0
    torch.set_num_threads(1)
    model = Qwen2VLForConditionalGeneration.from_pretrained(MODEL, dtype=torch.float32).eval()
    tokenizer, processor = AutoTokenizer.from_pretrained(MODEL), Qwen2VLImageProcessor.from_pretrained(MODEL)
    expected = json.loads((ROWS / "expected.json").read_text(encoding="utf-8"))
    assert len(expected) >= 3, "expected.json lists fewer than three rows"
    failures = 0
    for name, want in expected.items():
        inputs = processor(images=[Image.open(ROWS / name)], return_tensors="pt")
        count = int(inputs["image_grid_thw"].prod()) // 4
        ids = torch.tensor([tokenizer.convert_tokens_to_ids(["<|vision_start|>"] + ["<|image_pad|>"] * count + ["<|vision_end|>"])])
        image_token = tokenizer.convert_tokens_to_ids("<|image_pad|>")
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=(ids == image_token).int(), **inputs)
        got = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        print(("ok    " if got == want else "WRONG ") + f"{name}: {got}" + ("" if got == want else f"   (expected {want})"))
        failures += got != want
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
