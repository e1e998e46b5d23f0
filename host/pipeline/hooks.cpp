/** @file hooks.cpp
 *  See hooks.hpp. A map decides what a hospital's model sees, so it is checked entry by entry where it can be read for
 * free.
 */
#include "host/pipeline/hooks.hpp"

#include <algorithm>
#include <utility>

namespace vlm {

HookService::HookService(const std::vector<std::unique_ptr<TokenReducer>>& reducers, const Allocator& device)
    : place_{nullptr, device} {
    for (const auto& reducer : reducers) reducers_.push_back(reducer.get());
    abi_ = abi_struct<vlm_hooks>();
    abi_.host = this;
    abi_.needs = [](void* host, uint32_t site, int32_t layer, int32_t layers) -> uint32_t {
        auto& self = *static_cast<HookService*>(host);
        try {
            return self.place_.run != nullptr ? self.needs(*self.place_.run, site, layer, layers) : 0;
        } catch (const Error& error) {
            // No way to say so here; asked for tokens, the owner comes to `reduce`, which has one.
            self.failure_ = error;
            return VLM_NEED_HIDDEN;
        }
    };
    abi_.reduce = [](void* host, const vlm_run_context* run, const vlm_token_view* view,
                     const vlm_token_map** map) -> vlm_status {
        auto& self = *static_cast<HookService*>(host);
        if (view == nullptr || map == nullptr || self.place_.run == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
        try {
            if (const auto failure = std::exchange(self.failure_, std::nullopt)) throw Error(*failure);
            *map = self.reduce(*self.place_.run, *view);
            return VLM_STATUS_OK;
        } catch (const Error& error) {
            run->error(run->host, error.code(), error.what());
            return error.code();
        } catch (const std::exception& error) {
            run->error(run->host, VLM_STATUS_INTERNAL, error.what());
            return VLM_STATUS_INTERNAL;
        }
    };
}

TokenReducer* HookService::acting(Run& run, uint32_t site, int32_t layer, int32_t layers) const {
    for (auto* reducer : reducers_)
        if (reducer->needs(run, site, layer, layers) != 0) return reducer;
    return nullptr;
}

uint32_t HookService::needs(Run& run, uint32_t site, int32_t layer, int32_t layers) const {
    for (auto* reducer : reducers_)
        if (const uint32_t needs = reducer->needs(run, site, layer, layers); needs != 0) return needs;
    return 0;
}

const vlm_token_map* HookService::reduce(Run& run, const vlm_token_view& view) {
    const bool backbone = view.site == VLM_SITE_BACKBONE_LAYER;
    const int64_t sequence = backbone ? backbone_calls_[view.layer]++ : -1;
    auto* reducer = acting(run, view.site, view.layer, view.layers);
    if (reducer == nullptr || view.tokens <= 0) return nullptr;
    // Whoever applies the map follows these numbers: an isolated plugin must not be able to change them any more.
    groups_ = Tensor(VLM_DTYPE_I32, {view.tokens}, reducer->plugin().isolated() ? Allocator::cpu() : place_.memory);
    map_ = abi_struct<vlm_token_map>();
    map_.groups = groups_.abi();
    if (view.scores != nullptr && run.listeners() != nullptr && run.listeners()->tap) {
        Tensor scores(VLM_DTYPE_F32, {view.tokens});
        run.check(run.compute().copy(&run.compute(), run.context(VLM_ABI_VERSION), view.scores, scores.abi()),
                  "copy of attention scores");
        run.listeners()->tap("hook.scores", *scores.abi());
    }
    if (!reducer->reduce(run, view, map_)) return nullptr;

    ReductionRecord record{view.site, view.layer, view.image, view.tokens, map_.group_count, 0, sequence, {}, {}};
    if (groups_.on_cpu()) {
        const auto groups = groups_.span<int32_t>();
        std::vector<bool> used(static_cast<size_t>(map_.group_count), false);
        for (size_t i = 0; i < groups.size(); ++i) {
            if (groups[i] < -1 || groups[i] >= map_.group_count)
                throw Error(VLM_STATUS_INTERNAL, reducer->plugin().id() + ": reduce put token " + std::to_string(i) +
                                                     " into group " + std::to_string(groups[i]) + " of " +
                                                     std::to_string(map_.group_count) +
                                                     "; this is a fault of the plugin");
            if (groups[i] >= 0)
                used[static_cast<size_t>(groups[i])] = true;
            else
                ++record.dropped;
        }
        const auto empty = std::find(used.begin(), used.end(), false);
        if (empty != used.end())
            throw Error(VLM_STATUS_INTERNAL, reducer->plugin().id() + ": reduce left group " +
                                                 std::to_string(empty - used.begin()) +
                                                 " without a member; this is a fault of the plugin");
        record.groups.assign(groups.begin(), groups.end());
        if (backbone && view.images != nullptr) {
            Tensor images(VLM_DTYPE_I32, {view.tokens});
            run.check(run.compute().copy(&run.compute(), run.context(VLM_ABI_VERSION), view.images, images.abi()),
                      "copy of image numbers");
            record.images.assign(images.span<int32_t>().begin(), images.span<int32_t>().end());
        }
    }
    records_.push_back(std::move(record));
    return &map_;
}

}  // namespace vlm
