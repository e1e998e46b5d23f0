/** @file plugin.cpp
 *  `org.vlmhost.fastv`: drops visual tokens that the language model has stopped looking at (FastV, arXiv 2403.06764).
 *
 *  Before layer K the visual tokens are ranked by the attention that the last row paid them in layer K-1, averaged over
 * heads. The best `n - floor(n * ratio)` stay, text always stays, and nobody is renumbered. It happens once, at
 * prefill; from layer K on the cache is physically shorter. A merged token (DyMU) is ranked by the mean over its
 * positions, or by their sum.
 *
 *  Options: `layer` (K, at least 1), `ratio` (part that is dropped, 0 to below 1) or `keep` (part that stays, above 0
 *  to 1), `score` ("mean" or "sum"). Tokens that the pipeline marks as protected (print) are never dropped. When
 * nothing is to be dropped the plugin asks for nothing, and the model computes what it computes without it.
 */
#include "vlm/sdk/plugin.hpp"

#include <cmath>

namespace {

using namespace vlm::sdk;

class FastV : public TokenReducer {
  public:
    explicit FastV(const ComponentConfig& c)
        : layer_(c.config.get<int32_t>("layer", 2)),
          ratio_(read_ratio(c.config)),
          sum_(c.config.choice<bool>("score", "mean", {{"mean", false}, {"sum", true}})) {
        c.config.refuse_unknown();
        if (layer_ < 1)
            throw invalid_argument("fastv: 'layer' must be at least 1, because layer K-1 gives the scores; found " +
                                   std::to_string(layer_));
    }

    uint32_t needs(const Run& /*run*/, uint32_t site, int32_t layer, int32_t layers) const override {
        if (site != VLM_SITE_BACKBONE_LAYER) return 0;
        if (layer_ >= layers)
            throw invalid_argument("fastv: 'layer' is " + std::to_string(layer_) + ", but the backbone has only " +
                                   std::to_string(layers) + " layers");
        return layer == -1 || (layer == layer_ && ratio_ > 0) ? VLM_NEED_SCORES : 0;
    }

    int64_t reduce(const Run& run, const vlm_token_view& view, Tensor groups) const override {
        const Ops ops(run);
        const auto images = on_host(ops, view.host_images, view.images, view.tokens, view.image);
        const auto keep = on_host<uint8_t>(ops, view.host_keep, view.keep, view.tokens, 0);
        HostTensor<uint8_t> droppable({view.tokens});
        int64_t visual = 0;
        int64_t free = 0;
        for (size_t i = 0; i < images.size(); ++i) {
            if (images[i] < 0) continue;
            ++visual;
            droppable.data()[i] = keep[i] == 0 ? 1 : 0;
            free += droppable.data()[i];
        }
        const auto dropped = std::min(free, static_cast<int64_t>(static_cast<double>(visual) * ratio_));
        if (dropped == 0) return 0;
        const Tensor scores(sum_ && view.score_sums != nullptr ? view.score_sums : view.scores, "scores");
        ops.keep_map(scores, ops.copied(droppable.view(), VLM_DTYPE_U8), free - dropped, groups);
        return view.tokens - dropped;
    }

  private:
    /** What the owner has on the CPU, else what lies on the device (which has to be waited for), else `otherwise`. */
    template <typename T>
    static std::vector<T> on_host(const Ops& ops, const T* host, const vlm_tensor* device, int64_t count, T otherwise) {
        if (host != nullptr) return {host, host + count};
        if (device != nullptr) return ops.download<T>(Tensor(device, "images, keep"));
        return std::vector<T>(static_cast<size_t>(count), otherwise);
    }

    /** The part that is dropped, from `ratio` or `keep`. */
    static double read_ratio(const Config& config) {
        const double ratio = config.get<double>("ratio", 0.5);
        if (!(ratio >= 0 && ratio < 1))
            throw invalid_argument(
                "fastv: 'ratio' is the part that is dropped, from 0 to below 1 (something must be kept); found " +
                std::to_string(ratio));
        if (!config.has("keep")) return ratio;
        if (config.has("ratio")) throw invalid_argument("fastv: give 'ratio' or 'keep' (1 - ratio), not both");
        const double keep = config.require<double>("keep");
        if (!(keep > 0 && keep <= 1))
            throw invalid_argument("fastv: 'keep' is the part that stays, above 0 to 1; found " + std::to_string(keep));
        constexpr double kRounding = 1e-12;  // 1 - 0.9 is a little less than 0.1, and floor() would notice
        return keep == 1 ? 0 : 1 - keep + kRounding;
    }

    int32_t layer_;
    double ratio_;
    bool sum_;
};

constexpr Identity kIdentity = {
    .id = "org.vlmhost.fastv",
    .name = "FastV token pruning",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2403.06764",
    .capabilities = R"({"kinds": ["vlm.token_reducer/1"], "hooks": ["backbone_layer"], "devices": ["cpu", "cuda"],
                        "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, FastV)
