/** @file every_second.cpp
 *  A complete vendor plugin: a token reducer that merges each visual token with its right neighbour, or drops the
 * neighbour.
 *
 *  It was never compiled together with an encoder or a language model and works with all of them, because it answers
 * with a token map and whoever owns the tokens applies it.
 */
#include <vlm/sdk/plugin.hpp>

namespace {

/** Options: `site` ("encoder_output" or "connector_output") and `merge` (false: drop instead). */
class EverySecond : public vlm::sdk::TokenReducer {
  public:
    explicit EverySecond(const vlm::sdk::ComponentConfig& c) {
        site_ = c.config.choice<uint32_t>(
            "site", "encoder_output",
            {{"encoder_output", VLM_SITE_ENCODER_OUTPUT}, {"connector_output", VLM_SITE_CONNECTOR_OUTPUT}});
        merge_ = c.config.get("merge", true);
        c.config.refuse_unknown();
    }

    uint32_t needs(const vlm::sdk::Run&, uint32_t site, int32_t, int32_t) const override {
        return site == site_ ? VLM_NEED_HIDDEN : 0;
    }

    int64_t reduce(const vlm::sdk::Run& run, const vlm_token_view& view, vlm::sdk::Tensor groups) const override {
        std::vector<int32_t> group_of(static_cast<size_t>(view.tokens));
        int32_t next = 0;
        for (int64_t token = 0; token < view.tokens; ++token) {
            const int64_t place = token - view.protected_tokens;  // Class tokens and registers stay alone.
            const bool second = place > 0 && place % 2 == 1;
            group_of[static_cast<size_t>(token)] = !second ? next++ : merge_ ? next - 1 : -1;
        }
        vlm::sdk::HostTensor<int32_t> host(std::move(group_of), {view.tokens});
        vlm::sdk::Ops(run).copy(host.view(), groups.rows(0, view.tokens));
        return next;
    }

  private:
    uint32_t site_;
    bool merge_;
};

constexpr vlm::sdk::Identity kIdentity = {
    .id = "com.example.every_second",
    .name = "Every second token",
    .vendor = "Example Ltd",
    .version = "1.0.0",
    .license = "MIT",
    .url = "https://example.com/every-second",
    .capabilities = R"({"kinds": ["vlm.token_reducer/1"], "devices": ["cpu", "cuda"], "deterministic": true,
                        "hooks": ["encoder_output", "connector_output"]})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, EverySecond)
