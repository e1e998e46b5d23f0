"""Writes a checkpoint of train.py as a Hugging Face qwen2_vl folder, and checks it against the library's own class.

Usage: export.py --checkpoint runs/a/last.pt --out ../../models/rx-small
"""

import argparse
import json
import pathlib

import torch
from safetensors.torch import load_file, save_file

import rows
import tokenizer
from model import CONFIG, RxSmall
from muon import Optimiser


def load(path):
    """The model of a checkpoint in float32, with the averaged parameters rounded to bfloat16 as they are shipped."""
    model = RxSmall()
    saved = torch.load(path)
    optimiser = Optimiser(model)
    optimiser.load(saved["optimiser"])
    with torch.no_grad():
        for name, param in optimiser.named:
            param.copy_(optimiser.ema[name])
        table = model.embed.table().bfloat16().float()
        for param in model.parameters():
            param.copy_(param.bfloat16())
        model.embed.letters.zero_()
        model.embed.free.copy_(table)
    return model.eval(), saved


def tensors(model):
    """Parameters under the hub's names, bfloat16."""
    out = {}
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(("embed.", "char_head"))}
    for name, value in state.items():
        if name == "visual.patch_embed.weight":
            # Both frames are the same picture, so each gets half of the weight.
            value = (value.view(-1, 3, 1, 8, 8) / 2).expand(-1, -1, 2, -1, -1)
            name = "visual.patch_embed.proj.weight"
        elif not name.startswith("visual."):
            name = "model." + name
        out[name] = value.bfloat16().contiguous()
    out["model.embed_tokens.weight"] = model.embed.table().detach().bfloat16().contiguous()
    return out


def read(folder):
    """The float32 model of an exported folder (the reverse of `tensors`)."""
    model = RxSmall()
    state = {}
    for name, value in load_file(pathlib.Path(folder) / "model.safetensors").items():
        if name == "visual.patch_embed.proj.weight":
            name, value = "visual.patch_embed.weight", value.float().sum(2).flatten(1)
        elif name == "model.embed_tokens.weight":
            name = "embed.free"
        state[name.removeprefix("model.")] = value.float()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert set(missing) <= {"embed.letters", "char_head.weight", "char_head.bias"} and not unexpected, (missing, unexpected)
    torch.nn.init.zeros_(model.embed.letters)
    return model.eval()


def config():
    v, t = CONFIG["vision"], CONFIG["text"]
    text = {
        k: t[k]
        for k in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "rms_norm_eps",
            "rope_theta",
        )
    }
    return dict(
        architectures=["Qwen2VLForConditionalGeneration"],
        model_type="qwen2_vl",
        **text,
        hidden_act="silu",
        vocab_size=len(tokenizer.TOKENS),
        max_position_embeddings=1024,
        rope_scaling=dict(type="mrope", mrope_section=t["mrope_section"]),
        tie_word_embeddings=True,
        attention_dropout=0.0,
        use_sliding_window=False,
        use_cache=True,
        bos_token_id=None,
        eos_token_id=tokenizer.EOS,
        pad_token_id=tokenizer.PAD,
        image_token_id=tokenizer.IMAGE,
        video_token_id=tokenizer.IMAGE + 1,
        vision_start_token_id=tokenizer.VISION_START,
        vision_end_token_id=tokenizer.VISION_END,
        torch_dtype="bfloat16",
        vision_config=dict(
            model_type="qwen2_vl",
            hidden_size=t["hidden_size"],
            hidden_act="gelu",
            in_channels=3,
            in_chans=3,
            spatial_patch_size=v["patch_size"],
            **{
                k: v[k] for k in ("depth", "embed_dim", "num_heads", "mlp_ratio", "patch_size", "spatial_merge_size", "temporal_patch_size")
            },
        ),
    )


def write(model, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    dump = lambda name, value: (folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    dump("config.json", config())
    dump("generation_config.json", dict(do_sample=False, eos_token_id=tokenizer.EOS, pad_token_id=tokenizer.PAD, max_new_tokens=160))
    # Row images come 32 pixels high and a multiple of 16 wide, so that the processor's resize leaves them alone.
    pixels = dict(shortest_edge=rows.HEIGHT * 32, longest_edge=rows.HEIGHT * rows.MAX_WIDTH)
    dump(
        "preprocessor_config.json",
        dict(
            image_processor_type="Qwen2VLImageProcessor",
            processor_class="Qwen2VLProcessor",
            do_resize=True,
            do_rescale=True,
            do_normalize=True,
            do_convert_rgb=True,
            rescale_factor=1 / 255,
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
            resample=3,
            patch_size=8,
            temporal_patch_size=2,
            merge_size=2,
            min_pixels=pixels["shortest_edge"],
            max_pixels=pixels["longest_edge"],
            size=pixels,
        ),
    )
    tokenizer.write(folder)


@torch.no_grad()
def check(model, folder):
    """Largest difference of logits between this model and the library's class on a random picture and text."""
    from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessor
    from PIL import Image
    import numpy as np

    library = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    image = np.random.default_rng(0).integers(0, 256, (rows.HEIGHT, 208, 3), dtype=np.uint8)
    inputs = Qwen2VLImageProcessor.from_pretrained(folder)(images=[Image.fromarray(image)], return_tensors="pt")
    text = torch.tensor([[tokenizer.VISION_END] + list(range(9, 60))])
    count = int(inputs["image_grid_thw"].prod()) // 4
    ids = torch.cat((torch.tensor([[tokenizer.VISION_START] + [tokenizer.IMAGE] * count]), text), dim=1)
    theirs = library(input_ids=ids, mm_token_type_ids=(ids == tokenizer.IMAGE).int(), **inputs).logits[:, 1 + count :]
    pixels = ((torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255) - 0.5) / 0.5
    ours = model(pixels, text, pointers=False)[0]
    print(
        "tokenizer:",
        AutoTokenizer.from_pretrained(folder)("<s_name>가a").input_ids == [tokenizer.VOCAB[t] for t in ("<s_name>", "가", "a")],
    )
    return float((theirs - ours).abs().max()), float(ours.abs().max())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, saved = load(args.checkpoint)
    write(model, args.out)
    difference, largest = check(model, args.out)
    print(
        f"step {saved['optimiser']['steps']}, {saved['seen']} rows; logits differ from the library's by {difference:.2e} of {largest:.1f}"
    )
    if difference > 1e-3 * max(1.0, largest):
        raise SystemExit("the exported model does not compute what was trained")


if __name__ == "__main__":
    main()
