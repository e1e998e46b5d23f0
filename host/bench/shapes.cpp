/** @file shapes.cpp
 *  Dimensions are those of the config.json files on the Hub: openai/clip-vit-large-patch14-336,
 *  TinyLlama/TinyLlama-1.1B-Chat-v1.0, llava-hf/llava-1.5-7b-hf, Qwen/Qwen2-VL-2B-Instruct, OpenGVLab/InternVL3-2B-hf.
 */
#include "host/bench/shapes.hpp"

#include <algorithm>
#include <numeric>

#include "host/base/error.hpp"

namespace vlm::bench {
namespace {

constexpr int64_t kChannels = 3;
/** Qwen2-VL's patches span two frames, and its connector joins 2 x 2 patches; so does InternVL's pixel shuffle. */
constexpr int64_t kFrames = 2;
constexpr int64_t kMerge = 4;

ModelShape clip_large(std::string name, std::string description) {
    ModelShape s;
    s.name = std::move(name);
    s.description = std::move(description);
    s.tower = TowerKind::clip;
    s.vision_hidden = 1024;
    s.vision_intermediate = 4096;
    s.vision_layers = 24;
    s.vision_heads = 16;
    s.image_size = 336;
    s.patch_size = 14;
    s.text_type = "llama";
    return s;
}

ModelShape tiny() {
    ModelShape s;
    s.name = "tiny";
    s.description = "a few thousand weights, for trying the tool";
    s.tower = TowerKind::clip;
    s.vision_hidden = 64;
    s.vision_intermediate = 128;
    s.vision_layers = 2;
    s.vision_heads = 4;
    s.image_size = 56;
    s.patch_size = 14;
    s.text_type = "llama";
    s.hidden = 64;
    s.intermediate = 128;
    s.layers = 2;
    s.heads = 4;
    s.kv_heads = 2;
    s.vocabulary = 512;
    return s;
}

ModelShape llava_1_1b() {
    ModelShape s = clip_large("llava-1.1b", "CLIP ViT-L/14-336, 2-layer MLP, TinyLlama-1.1B");
    s.hidden = 2048;
    s.intermediate = 5632;
    s.layers = 22;
    s.heads = 32;
    s.kv_heads = 4;
    s.vocabulary = 32064;
    return s;
}

ModelShape llava_7b() {
    ModelShape s = clip_large("llava-1.5-7b", "CLIP ViT-L/14-336, 2-layer MLP, Vicuna-7B");
    s.hidden = 4096;
    s.intermediate = 11008;
    s.layers = 32;
    s.heads = 32;
    s.kv_heads = 32;
    s.vocabulary = 32064;
    return s;
}

/** Layers as wide as those of the whole, so that shares of time per layer are the same. */
ModelShape llava_7b_quarter() {
    ModelShape s = llava_7b();
    s.name = "llava-1.5-7b-quarter";
    s.description = "8 of the 32 layers of llava-1.5-7b, where memory is short";
    s.layers /= 4;
    return s;
}

/** The 1.5-billion text model that Qwen2-VL-2B and InternVL3-2B share but for the vocabulary. */
void set_qwen_1_5b(ModelShape& s) {
    s.text_type = "qwen2";
    s.hidden = 1536;
    s.intermediate = 8960;
    s.layers = 28;
    s.heads = 12;
    s.kv_heads = 2;
}

ModelShape qwen2_vl_2b() {
    ModelShape s;
    s.name = "qwen2-vl-2b";
    s.description = "Qwen2-VL-2B: native resolution, M-RoPE";
    s.revision = 1;  // Pages up to the 16384 tokens of the Hub's files.
    s.tower = TowerKind::qwen2;
    s.vision_hidden = 1280;
    s.vision_intermediate = 5120;
    s.vision_layers = 32;
    s.vision_heads = 16;
    s.patch_size = 14;
    set_qwen_1_5b(s);
    s.vocabulary = 151936;
    s.tied = true;
    return s;
}

ModelShape internvl_2b() {
    ModelShape s;
    s.name = "internvl-2b";
    s.description = "InternVL3-2B: InternViT-300M with tiles and pixel shuffle, Qwen2.5-1.5B";
    s.tower = TowerKind::intern;
    s.vision_hidden = 1024;
    s.vision_intermediate = 4096;
    s.vision_layers = 24;
    s.vision_heads = 16;
    s.image_size = 448;
    s.patch_size = 14;
    set_qwen_1_5b(s);
    s.vocabulary = 151674;
    return s;
}

/** Collects tensors under a prefix. */
class List {
  public:
    explicit List(std::vector<ShapeTensor>& tensors) : tensors_(tensors) {}

    void prefix(std::string text) { prefix_ = std::move(text); }
    void add(const std::string& name, std::vector<int64_t> shape) {
        tensors_.push_back({prefix_ + name, std::move(shape), ShapeTensor::Fill::random});
    }
    void ones(const std::string& name, int64_t size) {
        tensors_.push_back({prefix_ + name, {size}, ShapeTensor::Fill::ones});
    }
    void linear(const std::string& name, int64_t out, int64_t in, bool bias) {
        add(name + ".weight", {out, in});
        if (bias) add(name + ".bias", {out});
    }
    void layer_norm(const std::string& name, int64_t size) {
        ones(name + ".weight", size);
        add(name + ".bias", {size});
    }

  private:
    std::vector<ShapeTensor>& tensors_;
    std::string prefix_;
};

int64_t grid_patches(const ModelShape& s) {
    const int64_t side = s.image_size / s.patch_size;
    return side * side;
}

void add_clip(const ModelShape& s, List& list) {
    const int64_t d = s.vision_hidden;
    const std::string root = "vision_tower.vision_model.";
    list.prefix(root);
    list.add("embeddings.class_embedding", {d});
    list.add("embeddings.patch_embedding.weight", {d, kChannels, s.patch_size, s.patch_size});
    list.add("embeddings.position_embedding.weight", {grid_patches(s) + 1, d});
    list.layer_norm("pre_layrnorm", d);
    for (int64_t i = 0; i < s.vision_layers; ++i) {
        list.prefix(root + "encoder.layers." + std::to_string(i) + ".");
        for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"})
            list.linear(name, d, d, true);
        list.layer_norm("layer_norm1", d);
        list.linear("mlp.fc1", s.vision_intermediate, d, true);
        list.linear("mlp.fc2", d, s.vision_intermediate, true);
        list.layer_norm("layer_norm2", d);
    }
    list.prefix(root);
    list.layer_norm("post_layernorm", d);
    list.prefix("multi_modal_projector.");
    list.linear("linear_1", s.hidden, d, true);
    list.linear("linear_2", s.hidden, s.hidden, true);
}

void add_intern(const ModelShape& s, List& list) {
    const int64_t d = s.vision_hidden;
    list.prefix("vision_tower.embeddings.");
    list.add("cls_token", {1, 1, d});
    list.add("patch_embeddings.projection.weight", {d, kChannels, s.patch_size, s.patch_size});
    list.add("patch_embeddings.projection.bias", {d});
    list.add("position_embeddings", {1, grid_patches(s) + 1, d});
    for (int64_t i = 0; i < s.vision_layers; ++i) {
        list.prefix("vision_tower.encoder.layer." + std::to_string(i) + ".");
        for (const char* name :
             {"attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.projection_layer"})
            list.linear(name, d, d, true);
        list.ones("lambda_1", d);
        list.ones("lambda_2", d);
        list.layer_norm("layernorm_before", d);
        list.layer_norm("layernorm_after", d);
        list.linear("mlp.fc1", s.vision_intermediate, d, true);
        list.linear("mlp.fc2", d, s.vision_intermediate, true);
    }
    list.prefix("multi_modal_projector.");
    list.layer_norm("layer_norm", kMerge * d);
    list.linear("linear_1", s.hidden, kMerge * d, true);
    list.linear("linear_2", s.hidden, s.hidden, true);
}

void add_qwen2_vision(const ModelShape& s, List& list) {
    const int64_t d = s.vision_hidden;
    list.prefix("visual.");
    list.add("patch_embed.proj.weight", {d, kChannels, kFrames, s.patch_size, s.patch_size});
    for (int64_t i = 0; i < s.vision_layers; ++i) {
        list.prefix("visual.blocks." + std::to_string(i) + ".");
        list.linear("attn.qkv", 3 * d, d, true);
        list.linear("attn.proj", d, d, true);
        list.layer_norm("norm1", d);
        list.layer_norm("norm2", d);
        list.linear("mlp.fc1", s.vision_intermediate, d, true);
        list.linear("mlp.fc2", d, s.vision_intermediate, true);
    }
    list.prefix("visual.merger.");
    list.layer_norm("ln_q", d);
    list.linear("mlp.0", kMerge * d, kMerge * d, true);
    list.linear("mlp.2", s.hidden, kMerge * d, true);
}

void add_text(const ModelShape& s, List& list) {
    const std::string root = s.tower == TowerKind::qwen2 ? "" : "language_model.";
    const int64_t head_dim = s.hidden / s.heads, kv = s.kv_heads * head_dim;
    const bool bias = s.text_type == "qwen2";
    list.prefix(root);
    list.add("model.embed_tokens.weight", {s.vocabulary, s.hidden});
    for (int64_t i = 0; i < s.layers; ++i) {
        list.prefix(root + "model.layers." + std::to_string(i) + ".");
        list.ones("input_layernorm.weight", s.hidden);
        list.linear("self_attn.q_proj", s.hidden, s.hidden, bias);
        list.linear("self_attn.k_proj", kv, s.hidden, bias);
        list.linear("self_attn.v_proj", kv, s.hidden, bias);
        list.linear("self_attn.o_proj", s.hidden, s.hidden, false);
        list.ones("post_attention_layernorm.weight", s.hidden);
        list.linear("mlp.gate_proj", s.intermediate, s.hidden, false);
        list.linear("mlp.up_proj", s.intermediate, s.hidden, false);
        list.linear("mlp.down_proj", s.hidden, s.intermediate, false);
    }
    list.prefix(root);
    list.ones("model.norm.weight", s.hidden);
    if (!s.tied) list.add("lm_head.weight", {s.vocabulary, s.hidden});
}

}  // namespace

int64_t ShapeTensor::elements() const {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

const std::vector<ModelShape>& model_shapes() {
    static const std::vector<ModelShape> shapes = {tiny(),        llava_1_1b(), internvl_2b(),
                                                   qwen2_vl_2b(), llava_7b(),   llava_7b_quarter()};
    return shapes;
}

const ModelShape& model_shape(const std::string& name) {
    const auto& shapes = model_shapes();
    const auto found = std::find_if(shapes.begin(), shapes.end(), [&](const auto& s) { return s.name == name; });
    if (found != shapes.end()) return *found;
    std::string known;
    for (const auto& s : shapes) known += (known.empty() ? "" : ", ") + s.name;
    throw not_found("shape \"" + name + "\" is unknown; known are " + known);
}

std::vector<ShapeTensor> tensors_of(const ModelShape& shape) {
    std::vector<ShapeTensor> tensors;
    List list(tensors);
    switch (shape.tower) {
        case TowerKind::clip:
            add_clip(shape, list);
            break;
        case TowerKind::intern:
            add_intern(shape, list);
            break;
        case TowerKind::qwen2:
            add_qwen2_vision(shape, list);
            break;
    }
    add_text(shape, list);
    return tensors;
}

}  // namespace vlm::bench
