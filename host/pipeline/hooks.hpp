/** @file hooks.hpp
 *  The host's side of the hooks: passes token views to the reducers of the pipeline and checks the maps that come back.
 */
#pragma once
#include <vlm/hooks.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "host/pipeline/stages.hpp"

namespace vlm {

/** What one reduction did, for traces and pictures. */
struct ReductionRecord {
    uint32_t site = 0;
    int32_t layer = -1;
    int32_t image = -1;
    int64_t tokens_before = 0;
    int64_t tokens_after = 0;
    int64_t dropped = 0;          ///< Tokens with group -1.
    int64_t sequence = -1;        ///< In the backbone: which sequence, counted among those with visual tokens.
    std::vector<int32_t> groups;  ///< `[tokens_before]`; empty when the run is on another device.
    std::vector<int32_t> images;  ///< `[tokens_before]` in the backbone: image of the sequence, -1: text.
};

/** The reducers of a pipeline as one service. Made per run: it belongs to one thread. */
class HookService {
  public:
    /** Where reducers work: the run whose error sink they write to, and memory of its device. */
    struct Place {
        Run* run = nullptr;
        Allocator memory;
    };

    HookService(const std::vector<std::unique_ptr<TokenReducer>>& reducers, const Allocator& device);
    HookService(const HookService&) = delete;
    HookService& operator=(const HookService&) = delete;

    /** NULL without reducers, so that a hook costs one comparison. */
    const vlm_hooks* abi() const { return reducers_.empty() ? nullptr : &abi_; }

    /** Binds the run whose error sink reducers write to, on the device that the service was made for. */
    void bind(Run* run) { place_.run = run; }
    /** Goes to a run on another device, for stages that compute there. */
    void move_to(Place place) { place_ = std::move(place); }
    const Place& place() const { return place_; }

    const std::vector<ReductionRecord>& records() const { return records_; }

    /** Asks the reducers about the OUTPUT sites, where the host itself owns the tokens; NULL when nothing changes. */
    const vlm_token_map* reduce(Run& run, const vlm_token_view& view);

    /** VLM_NEED_* of the reducer that acts at the site, 0: none. */
    uint32_t needs(Run& run, uint32_t site, int32_t layer, int32_t layers) const;

  private:
    TokenReducer* acting(Run& run, uint32_t site, int32_t layer, int32_t layers) const;

    std::vector<TokenReducer*> reducers_;
    Place place_;
    vlm_hooks abi_{};
    std::optional<Error> failure_;  ///< Of `needs`, until somebody can be told.
    Tensor groups_;
    vlm_token_map map_{};
    std::vector<ReductionRecord> records_;
    std::map<int32_t, int64_t> backbone_calls_;  ///< By layer: one per sequence with visual tokens, in their order.
};

}  // namespace vlm
