/** @file decoder.cpp
 *  Everything that is not the forward pass.
 */
#include "decoder.hpp"

#include <algorithm>
#include <string>
#include <vlm/sdk/hooks.hpp>

#include "context.hpp"
#include "forward.hpp"
#include "item.hpp"

namespace vlm::decoder {

Decoder::Decoder(const sdk::ComponentConfig& config) : config_(read_config(config.config, config.model)) {}

void Decoder::load(const sdk::Weights& weights) {
    auto spec = sdk::make_struct<vlm_kv_spec>();
    spec.layers = config_.layers;
    spec.kv_heads = config_.kv_heads;
    spec.head_dim = config_.head_dim;
    cache_bytes_ = sdk::Ops(weights.run()).kv_token_bytes(spec);
    weights_ = load_weights(config_, weights);
}

void Decoder::describe(vlm_backbone_description& description) const {
    description.hidden_size = config_.visual_size;
    description.output_size = config_.total_vocab();
    description.max_positions = config_.max_positions;
    // These two kinds stretch the positions that the model was trained with; the others write the stretched number.
    const auto kind = config_.rope.kind;
    if (kind == RopeConfig::Kind::linear || kind == RopeConfig::Kind::dynamic)
        description.max_positions =
            static_cast<int64_t>(static_cast<double>(config_.max_positions) * std::max(1.0, config_.rope.factor));
    description.layers = config_.layers;
    description.output = VLM_OUTPUT_LOGITS;
    description.delivery = config_.cross_interval > 0 ? VLM_DELIVERY_CROSS_ATTENTION : VLM_DELIVERY_INLINE;
    description.sites = config_.cross_interval > 0 ? 0 : 1u << VLM_SITE_BACKBONE_LAYER;
    description.takes_merged = config_.cross_interval > 0 ? 0 : 1;
    // Before `load` no device has been seen; f32 is the most that one stores.
    description.kv_bytes_per_token =
        cache_bytes_ > 0 ? cache_bytes_ : 2 * int64_t{config_.layers} * config_.kv_heads * config_.head_dim * 4;
}

std::unique_ptr<sdk::BackboneContext> Decoder::make_context(const sdk::Run& run, int64_t max_tokens) const {
    if (max_tokens < 1 || max_tokens > std::numeric_limits<int32_t>::max()) {
        throw sdk::invalid_argument("context_create: max_tokens is " + std::to_string(max_tokens) +
                                    ", expected a positive 32-bit number");
    }
    if (weights_.layers.empty())
        throw sdk::failed_precondition("context_create: the decoder has no weights yet; load first");
    return std::make_unique<Context>(config_, *run.compute(), max_tokens);
}

void Decoder::truncate(sdk::BackboneContext& context, int64_t tokens) const {
    static_cast<Context&>(context).truncate(tokens);
}

void Decoder::state(const sdk::BackboneContext& context, vlm_backbone_state& state) const {
    state = static_cast<const Context&>(context).state();
}

/** Sizes are upper bounds of what forward.cpp holds at one time: rows before reduction, each buffer rounded up. */
sdk::BackbonePlan Decoder::plan(const vlm_backbone_request& request) const {
    Item item(const_cast<vlm_backbone_request&>(request));
    int64_t tokens = count_tokens(config_, item.request);
    int64_t rows = 0;
    bool merged = false;
    for (const vlm_segment& s : item.segments) {
        if (s.kind == VLM_SEGMENT_TEXT) {
            rows += s.count;
        } else if (config_.cross_interval == 0) {
            const vlm_visual_input& image = item.images[static_cast<size_t>(s.image)];
            rows += std::min(s.count, image.tokens->view.shape[0]);
            merged |= image.row_of_position != nullptr;
        }
    }
    int64_t memory = 0;
    if (config_.cross_interval > 0) {
        for (const vlm_visual_input& image : item.images) memory += sdk::Tensor(image.tokens).size(0);
    }
    sdk::BackbonePlan plan;
    if (request.logits == VLM_LOGITS_LAST) plan.output_rows = std::min<int64_t>(rows, 1);
    if (request.logits == VLM_LOGITS_ALL) plan.output_rows = rows;

    int64_t keys = item.context->tokens() + tokens;
    int64_t attended = int64_t{config_.heads} * config_.head_dim;
    int64_t widths = 4 * config_.hidden_size + config_.embed_size + 2 * config_.qkv_size() + 2 * attended +
                     (config_.gated ? 3 : 2) * config_.intermediate;
    int64_t unmerged = merged ? config_.qkv_size() + 2 * attended : 0;
    int64_t tables = 8 * int64_t{config_.head_dim} + 64;
    int64_t dense = config_.mask == MaskKind::prefix || config_.mask == MaskKind::block_causal ? tokens * keys : 0;
    int64_t logits = plan.output_rows * (config_.total_vocab() + config_.embed_size + config_.hidden_size);
    int64_t pictures = config_.tap_attention ? tokens * (keys + memory) : 0;
    int64_t elements = rows * widths + tokens * (unmerged + tables) + keys * tables + logits + pictures +
                       memory * (config_.visual_size + 3 * attended);
    constexpr int64_t kRounding = int64_t{1} << 20;
    plan.workspace_bytes = elements * static_cast<int64_t>(sizeof(float)) + dense + kRounding;
    return plan;
}

void Decoder::run(const sdk::Run& run, std::span<vlm_backbone_request> requests) const {
    if (weights_.layers.empty()) throw sdk::failed_precondition("run: the decoder has no weights yet; load first");
    Forward(config_, weights_, run).run(requests);
}

}  // namespace vlm::decoder
