/** @file half_by_similarity.cpp
 *  A vendor's token reducer: keeps every second visual token, and lets the tokens choose which.
 *
 *  A token that is like the one in front of it says little new, so the half of the tokens with the highest cosine to
 * their left neighbour joins that neighbour. Paper and sky shrink to a few tokens, and what changes stays.
 *
 *  Nothing here knows an encoder: the reducer looks at features behind the encoder or at tokens behind the connector,
 * and answers with a token map that the host applies.
 */
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vlm/sdk/plugin.hpp>

namespace {

namespace sdk = vlm::sdk;

/** Options: `site` ("connector_output" or "encoder_output") and `keep`, the part of the tokens that stays (0.5). */
class HalfBySimilarity : public sdk::TokenReducer {
  public:
    explicit HalfBySimilarity(const sdk::ComponentConfig& c)
        : site_(c.config.choice<uint32_t>(
              "site", "connector_output",
              {{"connector_output", VLM_SITE_CONNECTOR_OUTPUT}, {"encoder_output", VLM_SITE_ENCODER_OUTPUT}})),
          keep_(c.config.get("keep", 0.5)) {
        c.config.refuse_unknown();
        if (!(keep_ > 0 && keep_ <= 1))
            throw sdk::invalid_argument("half_by_similarity: 'keep' must be above 0 and at most 1, found " +
                                        std::to_string(keep_));
    }

    uint32_t needs(const sdk::Run&, uint32_t site, int32_t, int32_t) const override {
        return site == site_ ? VLM_NEED_HIDDEN : 0;
    }

    int64_t reduce(const sdk::Run& run, const vlm_token_view& view, sdk::Tensor groups) const override {
        const sdk::Ops ops(run);
        const sdk::Tensor hidden(view.hidden, "hidden");
        const std::vector<float> x = ops.download(hidden);
        const auto tokens = static_cast<size_t>(view.tokens);
        const auto width = x.size() / std::max<size_t>(1, tokens);
        // Class tokens and registers stand in front and stay alone; the first token behind them has no neighbour.
        const auto first = static_cast<size_t>(view.protected_tokens) + 1;
        if (tokens <= first) return 0;

        std::vector<double> alike(tokens, -2);
        for (size_t t = first; t < tokens; ++t) {
            if (t % kPollEvery == 0) run.poll();
            alike[t] = cosine(x.data() + (t - 1) * width, x.data() + t * width, width);
        }
        std::vector<size_t> order(tokens - first);
        std::iota(order.begin(), order.end(), first);
        std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return alike[a] > alike[b]; });
        const auto stay = static_cast<size_t>(std::ceil(keep_ * static_cast<double>(tokens)));
        order.resize(std::min(order.size(), tokens - std::max<size_t>(stay, 1)));
        if (order.empty()) return 0;

        std::vector<bool> joins(tokens, false);
        for (const size_t t : order) joins[t] = true;
        std::vector<int32_t> group_of(tokens);
        int32_t last = -1;
        for (size_t t = 0; t < tokens; ++t) group_of[t] = joins[t] ? last : ++last;
        sdk::HostTensor<int32_t> map(std::move(group_of), {view.tokens});
        ops.copy(map.view(), groups.rows(0, view.tokens));
        return last + 1;
    }

  private:
    static constexpr size_t kPollEvery = 256;

    /** Cosine of two rows; -1 where one is zero or not a number, so that nothing merges for it. */
    static double cosine(const float* a, const float* b, size_t width) {
        double dot = 0, aa = 0, bb = 0;
        for (size_t i = 0; i < width; ++i) {
            dot += double{a[i]} * b[i];
            aa += double{a[i]} * a[i];
            bb += double{b[i]} * b[i];
        }
        const double value = dot / std::sqrt(aa * bb);
        return std::isfinite(value) ? value : -1;
    }

    uint32_t site_;
    double keep_;
};

constexpr sdk::Identity kIdentity = {
    .id = "com.example.half_by_similarity",
    .name = "Every second token, by similarity",
    .vendor = "Example Ltd",
    .version = "1.0.0",
    .license = "MIT",
    .url = "https://example.com/half-by-similarity",
    .capabilities = R"({"kinds": ["vlm.token_reducer/1"], "devices": ["cpu", "cuda"], "deterministic": true,
                        "hooks": ["encoder_output", "connector_output"]})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, HalfBySimilarity)
