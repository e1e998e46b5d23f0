#!/usr/bin/env python3
"""Reference folders (see `vlmhost parity`) of checkpoint layouts that the reference generator does not have.

    python make_families.py --generator FOLDER_OF_make_golden.py --out tests/data/families

siglip: a dual encoder with a sigmoid loss, texts padded to a fixed length.
internvl_chat: a tiny InternVL of transformers whose config and tensors are renamed to the layout of its authors' own files.
"""
import argparse, json, sys
from pathlib import Path

import torch
import transformers as T
from safetensors.torch import load_file, save_file


def siglip(c):
    tok = golden_common.unigram_tokenizer(["<pad>", "</s>", "<unk>"], [], size=300, template="$A </s>", eos_token="</s>",
                                          pad_token="</s>", unk_token="<unk>")
    text = T.SiglipTextConfig(vocab_size=len(tok), hidden_size=20, intermediate_size=32, num_hidden_layers=2,
                              num_attention_heads=2, max_position_embeddings=24, pad_token_id=tok.pad_token_id)
    vision = T.SiglipVisionConfig(hidden_size=20, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4,
                                  image_size=24, patch_size=8)
    ip = T.SiglipImageProcessorPil(size={"height": 24, "width": 24})

    class Processor:
        tokenizer, image_processor = tok, ip

        def save_pretrained(self, folder):
            tok.save_pretrained(folder)
            ip.save_pretrained(folder)

    model = T.SiglipModel(T.SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    job = golden_run.Job(
        model, Processor(), [(["a photo of a cat", "a red circle", "42 mg"], ["photo", "alpha", "large"])],
        {"vision.last_hidden": "vision_model", "text.last_hidden": "text_model"}, generate=False,
        encode=lambda p, im: {**tok(p, padding="max_length", max_length=24, return_tensors="pt"),
                              **ip(im, return_tensors="pt")},
        outputs=lambda m, i, o: {"image_embeds": o.image_embeds, "text_embeds": o.text_embeds,
                                 "logits": o.logits_per_image, "logits_per_text": o.logits_per_text},
        notes=["texts are padded to max_position_embeddings and the padding is attended to (no mask); the last row is pooled",
               "logits = exp(logit_scale) * cos + logit_bias; probability = sigmoid"])
    encode = job.encode
    job.encode = lambda p, im: {k: v for k, v in encode(p, im).items() if k in ("input_ids", "pixel_values")}
    return job


def small_internvl(c):
    job = make_golden.internvl(c)
    vision = T.InternVLVisionConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
                                    image_size=[32, 32], patch_size=[8, 8], attention_bias=True, layer_scale_init_value=0.1)
    old = job.model.config
    text = T.Qwen2Config(vocab_size=488, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=512, bos_token_id=None, eos_token_id=None)
    job.model = T.InternVLForConditionalGeneration(T.InternVLConfig(
        vision_config=vision, text_config=text, image_token_id=old.image_token_id, image_seq_length=4,
        downsample_ratio=0.5, tie_word_embeddings=False))
    job.hub_style, job.n_new = False, 8
    return job


RENAMED = [("vision_tower.", "vision_model."), ("embeddings.cls_token", "embeddings.class_embedding"),
           ("embeddings.position_embeddings", "embeddings.position_embedding"),
           ("embeddings.patch_embeddings.projection", "embeddings.patch_embedding"), ("encoder.layer.", "encoder.layers."),
           ("attention.projection_layer", "attn.proj"), ("layernorm_before", "norm1"), ("layernorm_after", "norm2"),
           ("lambda_1", "ls1"), ("lambda_2", "ls2"), ("multi_modal_projector.layer_norm", "mlp1.0"),
           ("multi_modal_projector.linear_1", "mlp1.1"), ("multi_modal_projector.linear_2", "mlp1.3")]


def to_authors_layout(folder):
    tensors, renamed = load_file(str(folder / "model.safetensors")), {}
    for name in sorted(tensors):
        if ".k_proj." in name and "vision_tower" in name or ".v_proj." in name and "vision_tower" in name:
            continue
        value = tensors[name]
        if ".q_proj." in name and "vision_tower" in name:
            value = torch.cat([tensors[name.replace("q_proj", p)] for p in ("q_proj", "k_proj", "v_proj")])
            name = name.replace("attention.q_proj", "attn.qkv")
        for a, b in RENAMED:
            name = b + name[len(a):] if name.startswith(a) else name.replace("." + a, "." + b)
        renamed[name] = value.contiguous()
    save_file(renamed, str(folder / "model.safetensors"), metadata={"format": "pt"})
    c = json.loads((folder / "config.json").read_text())
    v, t = c["vision_config"], dict(c["text_config"])
    t["rope_theta"] = t.pop("rope_parameters")["rope_theta"]
    t.pop("layer_types", None)
    t["architectures"] = ["Qwen2ForCausalLM"]
    vision = {k: v[k] for k in ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers",
                                "layer_norm_eps", "hidden_act", "norm_type")}
    vision |= {"model_type": "intern_vit_6b", "architectures": ["InternVisionModel"], "image_size": v["image_size"][0],
               "patch_size": v["patch_size"][0], "qk_normalization": False, "qkv_bias": True, "use_flash_attn": True,
               "drop_path_rate": 0.0, "num_channels": 3, "dropout": 0.0, "attention_dropout": 0.0,
               "initializer_factor": 1.0, "initializer_range": 0.02}
    config = {"architectures": ["InternVLChatModel"], "auto_map": {}, "downsample_ratio": c["downsample_ratio"],
              "dynamic_image_size": True, "force_image_size": v["image_size"][0], "llm_config": t, "max_dynamic_patch": 3,
              "min_dynamic_patch": 1, "model_type": "internvl_chat", "pad2square": False, "ps_version": "v2",
              "select_layer": -1, "template": "Hermes-2", "torch_dtype": "float32", "use_backbone_lora": 0,
              "use_llm_lora": 0, "use_thumbnail": True, "vision_config": vision}
    golden_common.write_json(folder / "config.json", config)
    golden_common.write_json(folder / "preprocessor_config.json", {
        "crop_size": v["image_size"][0], "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": v["image_size"][0]})
    for name in ("processor_config.json", "video_preprocessor_config.json", "generation_config.json"):
        (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    sys.path.insert(0, str(args.generator))
    import golden_common, golden_run, make_golden
    torch.set_num_threads(1)
    for name, make in (("siglip", siglip), ("internvl_chat", small_internvl)):
        print(name, golden_run.build(name, make, golden_run.Ctx(3, "small"), args.out)["cases"])
    to_authors_layout(args.out / "internvl_chat")
    for file in args.out.rglob("*.safetensors"):
        file.chmod(0o644)
