/** @file plugin.cpp
 *  `org.vlmhost.dymu`: merges similar visual tokens inside the tower (DyMU, arXiv 2504.17040; ToMe, arXiv 2210.09461).
 *
 *  After the attention of each layer the even tokens propose to the odd token whose key is most similar (cosine of the
 * keys averaged over heads). DyMU accepts proposals above a threshold of that layer, so a plain picture becomes few
 * tokens and a page of small print stays many; ToMe accepts a fixed number. At most half of the tokens merge per layer,
 * and class tokens never do. Sizes, the weighted mean and the bias of log sizes are the tower's work: this plugin only
 * answers with the map.
 *
 *  Options, one of:
 *  - `thresholds`: one cosine per layer, or the object that `vlmhost calibrate dymu` writes, with that list in it; from
 *    1.0 on a layer merges nothing (scores must be strictly above, and rounding does not count).
 *  - `r`: tokens to merge, one number per layer or one for all.
 *  - `tokens`: merge evenly over all layers but the last until this many are left (576 → 72).
 */
#include "vlm/sdk/plugin.hpp"

#include <cmath>
#include <limits>

namespace {

using namespace vlm::sdk;

class Dymu : public TokenReducer {
  public:
    explicit Dymu(const ComponentConfig& c)
        : thresholds_(read_thresholds(c.config)),
          merges_(c.config.list<int64_t>("r", {})),
          target_(c.config.get<int64_t>("tokens", 0)) {
        const bool by_count = c.config.has("tokens");
        const int given = (thresholds_.empty() ? 0 : 1) + (merges_.empty() ? 0 : 1) + (by_count ? 1 : 0);
        c.config.refuse_unknown();
        if (given != 1)
            throw invalid_argument(
                "dymu: give exactly one of 'thresholds' (a cosine per layer), 'r' (merges per layer) and "
                "'tokens' (how many to keep)");
        if (by_count && target_ < 1)
            throw invalid_argument("dymu: 'tokens' must be at least 1, found " + std::to_string(target_));
        for (const int64_t r : merges_)
            if (r < 0) throw invalid_argument("dymu: 'r' must not be negative, found " + std::to_string(r));
        for (const float threshold : thresholds_)
            if (std::isnan(threshold)) throw invalid_argument("dymu: a threshold is not a number");
    }

    uint32_t needs(const Run& /*run*/, uint32_t site, int32_t layer, int32_t layers) const override {
        if (site != VLM_SITE_ENCODER_LAYER) return 0;
        check_length("thresholds", thresholds_.size(), layers);
        if (merges_.size() > 1) check_length("r", merges_.size(), layers);
        const bool idle = layer >= 0 && (merges_at(layer) == 0 || threshold_at(layer) >= 1.F);
        return idle ? 0 : VLM_NEED_KEYS;
    }

    int64_t reduce(const Run& run, const vlm_token_view& view, Tensor groups) const override {
        const Ops ops(run);
        const Tensor keys(view.keys, "keys");
        const int64_t even = (view.tokens + 1) / 2;
        const int64_t odd = view.tokens / 2;
        // Half of the tokens that may merge: no token merges twice in a layer.
        int64_t limit = (view.tokens - view.protected_tokens) / 2;
        const float threshold = threshold_at(view.layer);
        if (thresholds_.empty()) limit = std::min(limit, planned_merges(view));
        if (odd == 0 || limit <= 0) return 0;

        Scratch unit = ops.like(keys);
        ops.l2_normalize(keys, std::numeric_limits<float>::min(), unit);
        // Protected tokens beyond the first stand in the odd set too; a zero key attracts nobody.
        if (view.protected_tokens > 1) ops.fill(unit.rows(1, view.protected_tokens - 1), 0);
        const Scratch scores = ops.create({even, odd});
        ops.matmul(every_second(ops, unit, 0, even), every_second(ops, unit, 1, odd), true, 1.F, scores);
        const Scratch best = ops.create({even}, VLM_DTYPE_F32);
        const Scratch partner = ops.create({even}, VLM_DTYPE_I32);
        ops.argmax(scores, best, partner);
        const int64_t count = ops.merge_map(best, partner, threshold, limit, view.protected_tokens, groups);
        // By threshold, a layer in which nothing merges still puts the even tokens in front of the odd ones, as in
        // every other layer: the pairs of the next layer depend on it.
        return count == view.tokens && thresholds_.empty() ? 0 : count;
    }

  private:
    static void check_length(const char* option, size_t found, int32_t layers) {
        if (found != 0 && found != static_cast<size_t>(layers))
            throw invalid_argument("dymu: '" + std::string(option) + "' has " + std::to_string(found) +
                                   " values, but the encoder has " + std::to_string(layers) +
                                   " layers; calibrate it for this encoder");
    }

    /** `thresholds` as a list, or as the object of a thresholds file, whose other members say where it came from. */
    static std::vector<float> read_thresholds(const Config& config) {
        const nlohmann::json* given = config.find("thresholds");
        if (given == nullptr || !given->is_object()) return config.list<float>("thresholds", {});
        const Config file = Config::parse(given->dump(), "dymu: 'thresholds'");
        auto thresholds = file.list<float>("thresholds", {});
        if (file.get("kind", "dymu") != "dymu" || thresholds.empty())
            throw invalid_argument(
                "dymu: 'thresholds' is an object, but not one that vlmhost calibrate dymu wrote: it needs \"kind\": "
                "\"dymu\" and a list \"thresholds\"");
        return thresholds;
    }

    /** Cosine above which a layer merges; everything when another option decides. */
    float threshold_at(int32_t layer) const {
        if (thresholds_.empty()) return -std::numeric_limits<float>::infinity();
        return thresholds_[static_cast<size_t>(layer)];
    }

    /** Merges of a layer by `r`; -1 when another option decides. */
    int64_t merges_at(int32_t layer) const {
        if (merges_.empty()) return -1;
        return merges_.size() == 1 ? merges_[0] : merges_[static_cast<size_t>(layer)];
    }

    int64_t planned_merges(const vlm_token_view& view) const {
        if (target_ == 0) return merges_at(view.layer);
        const int64_t surplus = view.tokens - view.protected_tokens - target_;
        // LLaVA takes the features in front of the last layer, so what is not merged by then would stay.
        const int64_t layers_left = std::max(1, view.layers - 1 - view.layer);
        return std::max<int64_t>(0, (surplus + layers_left - 1) / layers_left);
    }

    /** Rows `first`, `first + 2`, … of `x`. */
    static Scratch every_second(const Ops& ops, const Tensor& x, int32_t first, int64_t count) {
        HostTensor<int32_t> rows({count});
        for (size_t i = 0; i < rows.data().size(); ++i) rows.data()[i] = first + 2 * static_cast<int32_t>(i);
        const Scratch index = ops.copied(rows.view(), VLM_DTYPE_I32);
        return ops.gather(x, index);
    }

    std::vector<float> thresholds_;
    std::vector<int64_t> merges_;
    int64_t target_;
};

constexpr Identity kIdentity = {
    .id = "org.vlmhost.dymu",
    .name = "DyMU and ToMe token merging",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2504.17040",
    .capabilities = R"({"kinds": ["vlm.token_reducer/1"], "hooks": ["encoder_layer"], "devices": ["cpu", "cuda"],
                        "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, Dymu)
