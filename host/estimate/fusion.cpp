/** @file fusion.cpp
 *  See fusion.hpp. Language models are always run on the counting device; only what a model does not have (another
 *  connector, gated blocks, another tower) is put together from formulas.
 */
#include "host/estimate/fusion.hpp"

#include <algorithm>
#include <cmath>

namespace vlm::estimate {
namespace {

constexpr double kLatents = 64;
constexpr double kResamplerBlocks = 6;
constexpr double kLayersPerGate = 4;
constexpr double kPatch = 30;
constexpr double kPatchNumbers = 3 * kPatch * kPatch;

Work linear_work(double flops, double bytes) {
    Work work;
    work.linear_flops = flops;
    work.weight_bytes = bytes;
    return work;
}

Work sum(Work a, const Work& b) {
    a.linear_flops += b.linear_flops;
    a.matmul_flops += b.matmul_flops;
    a.attention_flops += b.attention_flops;
    a.weight_bytes += b.weight_bytes;
    a.kv_bytes += b.kv_bytes;
    return a;
}

/** What stands in front of a connector. */
struct Tower {
    std::string name;
    double rows = 0;
    double width = 0;
    Work work;
    double weight_bytes = 0;
    double scratch_bytes = 0;
};

/** CLIP ViT-L/14-336 (arXiv 2103.00020), whose class token is not passed on. */
Tower clip_large(double element) {
    constexpr double kWidth = 1024, kLayers = 24, kRows = 577, kPixels = 3.0 * 14 * 14;
    const double weights = kLayers * 12 * kWidth * kWidth;
    Tower tower{"the tower of CLIP ViT-L/14-336", kRows - 1, kWidth, {}, (weights + kPixels * kWidth) * element, 0};
    tower.work = linear_work(2 * (kRows * weights + (kRows - 1) * kPixels * kWidth), tower.weight_bytes);
    tower.work.attention_flops = kLayers * 4 * kRows * kRows * kWidth;
    return tower;
}

/** What all three kinds share. */
class Comparison {
  public:
    Comparison(const Pipeline& pipeline, DryDevice& device, const Stages& stages, int width, int height,
               int64_t new_tokens)
        : pipeline_(pipeline),
          device_(device),
          stages_(stages),
          width_(width),
          height_(height),
          fresh_(static_cast<double>(new_tokens)),
          text_(pipeline.backbone().description()),
          element_(device.weight_element("backbone")),
          visual_element_(device.weight_element("vision_encoder")),
          d_(static_cast<double>(text_.hidden_size)),
          words_(static_cast<double>(stages.text_tokens)),
          kv_token_(static_cast<double>(text_.kv_bytes_per_token)) {
        towerless_ = pipeline.encoder().description().layers == 0;
        inside_ = pipeline.connector().description().delivery == VLM_DELIVERY_INLINE;
        if (towerless_) {
            tower_ = clip_large(visual_element_);
        } else {
            tower_ = {"this tower",
                      static_cast<double>(stages.feature_rows),
                      static_cast<double>(pipeline.encoder().description().hidden_size),
                      stages.encode,
                      weights_of("vision_encoder"),
                      static_cast<double>(stages.visual_scratch_bytes)};
        }
    }

    Fusion projection() {
        if (inside_ && !towerless_) return own("projection", "as this model: its visual tokens in the sequence");
        Fusion kind = derived("projection", "all features of " + tower_.name + " in the sequence, one linear layer");
        kind.visual_tokens = tower_.rows;
        kind.encode = tower_.work;
        const double weights = tower_.width * d_;
        kind.connect = linear_work(2 * tower_.rows * weights, weights * visual_element_);
        kind.new_weights = weights;
        in_sequence(kind, tower_.weight_bytes + kind.connect.weight_bytes, tower_.scratch_bytes);
        kind.connector_compression = tower_.width / d_;
        return kind;
    }

    Fusion cross_attention() {
        if (!inside_) return own("cross-attention", "as this model: its latents beside the sequence");
        Fusion kind = derived("cross-attention", "64 latents of a six-block resampler on " + tower_.name +
                                                     ", a gated block before every 4th layer");
        const double v = tower_.width, seen = tower_.rows + kLatents;
        kind.visual_tokens = kLatents;
        kind.sequence = words_;
        kind.encode = tower_.work;
        // A block: queries and outputs of the latents, keys and values of features and latents, an MLP of factor 4.
        const double resampler = kResamplerBlocks * 12 * v * v;
        kind.connect = linear_work(kResamplerBlocks * (4 * kLatents * v * v + 4 * seen * v * v + 16 * kLatents * v * v),
                                   resampler * visual_element_);
        kind.connect.attention_flops = kResamplerBlocks * 4 * kLatents * seen * v;

        // A gated block has the language model's shape: queries and outputs of words, keys and values of latents, and
        // an MLP, which is two thirds of a layer's dense work.
        const auto layers = static_cast<double>(text_.layers);
        const double blocks = std::max(1.0, std::floor(layers / kLayersPerGate));
        const double layer = (read(2).prefill.linear_flops - read(1).prefill.linear_flops) / layers;
        const double per_word = 4 * d_ * d_ + layer * 2 / 3;
        const double kv_width = kv_token_ / layers / 2 / device_.cache_element();
        const double gates = blocks * (2 * d_ * d_ + 2 * v * kv_width + layer / 3);
        const TextWork text = read(words_);
        kind.fits = fits(words_);
        Work prefill = linear_work(blocks * (words_ * per_word + kLatents * 4 * v * kv_width), gates * element_);
        prefill.attention_flops = blocks * 4 * words_ * kLatents * d_;
        Work decode = linear_work(blocks * per_word, gates * element_);
        decode.attention_flops = blocks * 4 * kLatents * d_;
        const double memory = blocks * kLatents * kv_token_ / layers;
        decode.kv_bytes = memory;
        if (kind.fits) {
            kind.prefill = sum(text.prefill, prefill);
            kind.decode = sum(text.decode, decode);
        }
        kind.kv_bytes = words_ * kv_token_ + memory;
        kind.weight_bytes = weights_of("backbone") + gates * element_ + tower_.weight_bytes + kind.connect.weight_bytes;
        kind.new_weights = gates + resampler;
        finish(kind, std::max(tower_.scratch_bytes, static_cast<double>(text.scratch_bytes)), kLatents * v);
        kind.connector_compression = tower_.rows / kLatents;
        return kind;
    }

    Fusion early_fusion() {
        if (towerless_) return own("early fusion", "as this model: its patches in the sequence, no tower");
        Fusion kind =
            derived("early fusion", "patches of 30 x 30 pixels and a newline per row, one linear layer, no tower");
        const double rows = std::ceil(height_ / kPatch), columns = std::ceil(width_ / kPatch);
        kind.visual_tokens = rows * (columns + 1);
        kind.connect = linear_work(rows * columns * 2 * kPatchNumbers * d_, kPatchNumbers * d_ * visual_element_);
        in_sequence(kind, kind.connect.weight_bytes, 0);
        kind.new_weights = device_.stage_weights("backbone") + kPatchNumbers * d_;
        kind.connector_compression = kPatchNumbers * columns / ((columns + 1) * d_);
        return kind;
    }

  private:
    Fusion derived(const char* kind, const std::string& how) const {
        Fusion fusion;
        fusion.kind = kind;
        // Such a language model computes its gated blocks without a picture too.
        fusion.how = inside_ ? how : how + "; the gated blocks stay";
        return fusion;
    }

    Fusion own(const char* name, const char* how) {
        Fusion kind;
        kind.kind = name;
        kind.how = how;
        kind.own = true;
        kind.visual_tokens = static_cast<double>(stages_.visual_tokens);
        kind.sequence = words_ + (inside_ ? kind.visual_tokens : 0);
        kind.fits = stages_.fits;
        kind.encode = stages_.encode;
        kind.connect = stages_.connect;
        kind.prefill = stages_.prefill;
        kind.decode = stages_.decode;
        kind.kv_bytes = static_cast<double>(stages_.kv_bytes);
        kind.weight_bytes = static_cast<double>(device_.counters().weight_bytes);
        kind.new_weights = device_.stage_weights("connector") + (towerless_ ? device_.stage_weights("backbone") : 0);
        const auto out = static_cast<double>(pipeline_.connector().description().output_size);
        finish(kind, static_cast<double>(stages_.scratch_bytes), kind.visual_tokens * out);
        kind.connector_compression = static_cast<double>(stages_.feature_rows) *
                                     static_cast<double>(pipeline_.encoder().description().hidden_size) /
                                     std::max(1.0, kind.visual_tokens * out);
        return kind;
    }

    /** The language model reads the visual tokens as it reads words. */
    void in_sequence(Fusion& kind, double other_weights, double other_scratch) {
        kind.sequence = words_ + kind.visual_tokens;
        kind.fits = fits(kind.sequence);
        double scratch = other_scratch;
        if (kind.fits) {
            const TextWork text = read(kind.sequence);
            kind.prefill = text.prefill;
            kind.decode = text.decode;
            scratch = std::max(scratch, static_cast<double>(text.scratch_bytes));
        }
        kind.kv_bytes = kind.sequence * kv_token_;
        kind.weight_bytes = weights_of("backbone") + other_weights;
        finish(kind, scratch, kind.visual_tokens * d_);
    }

    void finish(Fusion& kind, double scratch, double numbers) const {
        kind.peak_bytes = peak_bytes(kind.weight_bytes, kind.kv_bytes + fresh_ * kv_token_, scratch, width_, height_);
        kind.compression = 3.0 * width_ * height_ / std::max(1.0, numbers);
    }

    double weights_of(const char* stage) const { return static_cast<double>(pipeline_.weight_bytes(stage)); }
    bool fits(double tokens) const {
        return text_.max_positions <= 0 || tokens + 1 <= static_cast<double>(text_.max_positions);
    }
    TextWork read(double tokens) const { return text_work(pipeline_, std::llround(tokens)); }

    const Pipeline& pipeline_;
    DryDevice& device_;
    const Stages& stages_;
    int width_, height_;
    double fresh_;
    vlm_backbone_description text_;
    double element_, visual_element_, d_, words_, kv_token_;
    bool towerless_ = false, inside_ = true;
    Tower tower_;
};

}  // namespace

double Fusion::seconds(const Machine& machine, int64_t new_tokens) const {
    double total = static_cast<double>(new_tokens) * estimate::seconds(decode, machine);
    for (const Work* work : {&encode, &connect, &prefill}) total += estimate::seconds(*work, machine);
    return total;
}

std::vector<Fusion> compare_fusion(const Pipeline& pipeline, DryDevice& device, const Stages& stages, int width,
                                   int height, int64_t new_tokens) {
    const auto& text = pipeline.backbone().description();
    if (text.output != VLM_OUTPUT_LOGITS || text.hidden_size <= 0 || text.layers <= 0) return {};
    Comparison comparison(pipeline, device, stages, width, height, new_tokens);
    return {comparison.projection(), comparison.cross_attention(), comparison.early_fusion()};
}

}  // namespace vlm::estimate
