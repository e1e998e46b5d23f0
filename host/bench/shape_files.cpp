/** @file shape_files.cpp
 *  The JSON files of a shape's checkpoint, as `save_pretrained` would write them, so that other runtimes read the same
 *  folder.
 */
#include <array>

#include "host/bench/shapes.hpp"
#include "host/json/writer.hpp"
#include "host/tokenizer/byte_alphabet.hpp"

namespace vlm::bench {
namespace {

constexpr int64_t kLongestContext = 32768;
constexpr int64_t kBytes = 256;

/** Ids of the special tokens stand behind those of the bytes. */
enum SpecialId : int64_t { kEnd = kBytes, kImage, kVisionStart, kVisionEnd, kVideo };

std::vector<std::pair<SpecialId, const char*>> special_tokens(const ModelShape& shape) {
    switch (shape.tower) {
        case TowerKind::qwen2:
            return {{kEnd, "<|endoftext|>"},
                    {kImage, "<|image_pad|>"},
                    {kVisionStart, "<|vision_start|>"},
                    {kVisionEnd, "<|vision_end|>"},
                    {kVideo, "<|video_pad|>"}};
        case TowerKind::intern:
            return {
                {kEnd, "<|endoftext|>"}, {kImage, "<IMG_CONTEXT>"}, {kVisionStart, "<img>"}, {kVisionEnd, "</img>"}};
        case TowerKind::clip:
            break;
    }
    return {{kEnd, "</s>"}, {kImage, "<image>"}};
}

void write_text_config(const ModelShape& s, json::Writer& w) {
    w.member("hidden_size", s.hidden).member("intermediate_size", s.intermediate);
    w.member("num_hidden_layers", s.layers).member("num_attention_heads", s.heads);
    w.member("num_key_value_heads", s.kv_heads).member("vocab_size", s.vocabulary);
    w.member("max_position_embeddings", kLongestContext);
    const bool qwen = s.text_type == "qwen2";
    w.member("rms_norm_eps", qwen ? 1e-6 : 1e-5).member("rope_theta", qwen ? 1e6 : 1e4);
    w.member("hidden_act", "silu").member("tie_word_embeddings", s.tied);
}

void write_vision_config(const ModelShape& s, json::Writer& w) {
    w.key("vision_config").begin_object();
    if (s.tower == TowerKind::qwen2) {
        w.member("model_type", "qwen2_vl").member("depth", s.vision_layers).member("embed_dim", s.vision_hidden);
        w.member("hidden_size", s.hidden).member("num_heads", s.vision_heads);
        w.member("mlp_ratio", s.vision_intermediate / s.vision_hidden).member("patch_size", s.patch_size);
    } else {
        w.member("hidden_size", s.vision_hidden).member("intermediate_size", s.vision_intermediate);
        w.member("num_hidden_layers", s.vision_layers).member("num_attention_heads", s.vision_heads);
        if (s.tower == TowerKind::clip) {
            constexpr int64_t kProjection = 768;
            w.member("model_type", "clip_vision_model").member("projection_dim", kProjection);
            w.member("image_size", s.image_size).member("patch_size", s.patch_size);
        } else {
            w.member("model_type", "internvl_vision").member("attention_bias", true);
            w.key("image_size").begin_array().value(s.image_size).value(s.image_size).end_array();
            w.key("patch_size").begin_array().value(s.patch_size).value(s.patch_size).end_array();
        }
    }
    w.end_object();
}

void write_channels(json::Writer& w, const char* key, const std::array<double, 3>& values) {
    w.key(key).begin_array();
    for (const double v : values) w.value(v);
    w.end_array();
}

}  // namespace

std::string config_json(const ModelShape& s) {
    json::Writer w(2);
    w.begin_object();
    switch (s.tower) {
        case TowerKind::clip:
            w.key("architectures").begin_array().value("LlavaForConditionalGeneration").end_array();
            w.member("model_type", "llava").member("image_token_index", static_cast<int64_t>(kImage));
            w.member("vision_feature_layer", -2).member("vision_feature_select_strategy", "default");
            w.member("image_seq_length", (s.image_size / s.patch_size) * (s.image_size / s.patch_size));
            break;
        case TowerKind::intern:
            w.key("architectures").begin_array().value("InternVLForConditionalGeneration").end_array();
            w.member("model_type", "internvl").member("image_token_id", static_cast<int64_t>(kImage));
            w.member("image_seq_length", (s.image_size / s.patch_size) * (s.image_size / s.patch_size) / 4);
            break;
        case TowerKind::qwen2:
            w.key("architectures").begin_array().value("Qwen2VLForConditionalGeneration").end_array();
            w.member("model_type", "qwen2_vl").member("image_token_id", static_cast<int64_t>(kImage));
            w.member("video_token_id", static_cast<int64_t>(kVideo));
            w.member("vision_start_token_id", static_cast<int64_t>(kVisionStart));
            w.member("vision_end_token_id", static_cast<int64_t>(kVisionEnd));
            break;
    }
    if (s.tower == TowerKind::qwen2) {
        write_text_config(s, w);
        w.key("rope_scaling").begin_object().member("type", "mrope").key("mrope_section").begin_array();
        w.value(16).value(24).value(24).end_array().end_object();
    } else {
        w.member("tie_word_embeddings", s.tied);
        w.key("text_config").begin_object().member("model_type", s.text_type);
        write_text_config(s, w);
        w.end_object();
    }
    write_vision_config(s, w);
    w.member("torch_dtype", "bfloat16").member("eos_token_id", static_cast<int64_t>(kEnd)).end_object();
    return w.take();
}

std::string preprocessor_json(const ModelShape& s) {
    json::Writer w(2);
    w.begin_object();
    const bool intern = s.tower == TowerKind::intern;
    if (s.tower == TowerKind::qwen2) {
        constexpr int64_t kLeast = 56 * 56, kMost = 28 * 28 * 16384;  // of the Hub's files, not of the class
        w.member("image_processor_type", "Qwen2VLImageProcessor").member("min_pixels", kLeast);
        w.member("max_pixels", kMost).member("patch_size", s.patch_size).member("merge_size", 2);
        w.member("temporal_patch_size", 2);
    } else if (intern) {
        w.member("image_processor_type", "GotOcr2ImageProcessor").member("crop_to_patches", true);
        w.member("min_patches", 1).member("max_patches", 12);
        w.key("size").begin_object().member("height", s.image_size).member("width", s.image_size).end_object();
    } else {
        w.member("image_processor_type", "CLIPImageProcessor").member("do_center_crop", true);
        w.key("crop_size").begin_object().member("height", s.image_size).member("width", s.image_size).end_object();
        w.key("size").begin_object().member("shortest_edge", s.image_size).end_object();
    }
    w.member("do_convert_rgb", true).member("do_resize", true).member("resample", 3);
    w.member("do_rescale", true).member("rescale_factor", 1.0 / 255).member("do_normalize", true);
    if (intern) {
        write_channels(w, "image_mean", {0.485, 0.456, 0.406});
        write_channels(w, "image_std", {0.229, 0.224, 0.225});
    } else {
        write_channels(w, "image_mean", {0.48145466, 0.4578275, 0.40821073});
        write_channels(w, "image_std", {0.26862954, 0.26130258, 0.27577711});
    }
    w.end_object();
    return w.take();
}

std::string tokenizer_json(const ModelShape& s) {
    json::Writer w;
    w.begin_object().member("version", "1.0").member("truncation", nullptr).member("padding", nullptr);
    w.key("added_tokens").begin_array();
    for (const auto& [id, text] : special_tokens(s)) {
        w.begin_object().member("id", static_cast<int64_t>(id)).member("content", text).member("single_word", false);
        w.member("lstrip", false).member("rstrip", false).member("normalized", false).member("special", true);
        w.end_object();
    }
    w.end_array().member("normalizer", nullptr);
    const auto byte_level = [&](const char* key) {
        w.key(key).begin_object().member("type", "ByteLevel").member("add_prefix_space", false);
        w.member("trim_offsets", true).member("use_regex", true).end_object();
    };
    byte_level("pre_tokenizer");
    w.member("post_processor", nullptr);
    byte_level("decoder");
    w.key("model").begin_object().member("type", "BPE").member("dropout", nullptr).member("unk_token", nullptr);
    w.member("continuing_subword_prefix", nullptr).member("end_of_word_suffix", nullptr).member("fuse_unk", false);
    w.member("byte_fallback", false).member("ignore_merges", false).key("vocab").begin_object();
    for (int64_t byte = 0; byte < kBytes; ++byte)
        w.member(tok::to_byte_alphabet(std::string(1, static_cast<char>(byte))), byte);
    w.end_object().key("merges").begin_array().end_array().end_object().end_object();
    return w.take();
}

}  // namespace vlm::bench
