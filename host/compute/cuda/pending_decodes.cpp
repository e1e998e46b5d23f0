/** @file pending_decodes.cpp
 *  See pending_decodes.hpp. One call travels in the arguments of its launch; more go to the GPU as an array.
 */
#include "host/compute/cuda/pending_decodes.hpp"

#include <algorithm>

#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

namespace {

/** Calls of a launch differ in rows, caches and lengths only. */
bool alike(const AttentionCall& a, const AttentionCall& b) {
    return a.heads == b.heads && a.group == b.group && a.source.kv_heads == b.source.kv_heads &&
           a.source.head_dim == b.source.head_dim && a.source.value_dim == b.source.value_dim;
}

}  // namespace

void PendingDecodes::add(State& state, const Queue& queue, const AttentionCall& call) {
    {
        const std::scoped_lock lock(mutex_);
        if (calls_.empty() || (stream_ == queue.stream && alike(calls_.front(), call))) {
            calls_.push_back(call);
            stream_ = queue.stream;
            any_ = true;
            return;
        }
    }
    flush(state);
    add(state, queue, call);
}

void PendingDecodes::settle(State& state, const void* pages) {
    bool used = false;
    {
        const std::scoped_lock lock(mutex_);
        for (const AttentionCall& call : calls_) used = used || (pages != nullptr && call.source.pages == pages);
    }
    if (used) flush(state);
}

void PendingDecodes::flush(State& state) {
    if (!any_) return;
    const std::scoped_lock lock(mutex_);
    // Until they are launched, other threads must not go past: their next operation may read what these write.
    const struct Done {
        PendingDecodes& self;
        ~Done() {
            self.calls_.clear();
            self.any_ = false;
        }
    } done{*this};
    if (!calls_.empty()) launch(state, {state.runtime(), stream_}, calls_);
}

void PendingDecodes::flush_quietly(State& state) noexcept {
    try {
        flush(state);
    } catch (...) {
        return;  // The run has failed; so has what waited for its launch.
    }
}

void PendingDecodes::launch(State& state, const Queue& queue, const std::vector<AttentionCall>& calls) {
    int64_t most_keys = 0;
    for (const AttentionCall& call : calls) most_keys = std::max(most_keys, call.keys);
    DecodeBatch batch{};
    batch.one = calls.front();
    batch.count = static_cast<int64_t>(calls.size());
    plan_decodes(batch, most_keys);
    const auto bytes = static_cast<int64_t>(calls.size() * sizeof(AttentionCall));
    const Temporary partials(state, queue, checked_product(batch.partial_floats, 4));
    batch.partials = partials.as<float>();
    if (batch.count == 1) {
        launch_decodes(queue, batch);
        return;
    }
    const Temporary list(state, queue, bytes);
    state.upload(queue, calls.data(), list.as<void>(), bytes);
    batch.calls = list.as<const AttentionCall>();
    launch_decodes(queue, batch);
}

}  // namespace vlm::cuda
