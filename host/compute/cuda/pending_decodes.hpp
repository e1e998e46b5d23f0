/** @file pending_decodes.hpp
 *  Attention of single rows that waits for its like.
 *
 *  A backbone asks for attention sequence by sequence, since each has a cache of its own, and 64 small launches per
 * layer take longer than the work. So calls of one row are kept until the next operation of any other kind, and then
 * launched together. Nothing of that shows outside: every other entry of the device launches what waits first.
 */
#pragma once
#include <atomic>
#include <mutex>
#include <vector>

#include "host/compute/cuda/attention_kernels.hpp"

namespace vlm::cuda {

class State;

/** Calls that have been checked and have room in their caches. Thread-safe. */
class PendingDecodes {
  public:
    /** Keeps a call of one row; launches those before when it is of another shape or on another stream. */
    void add(State& state, const Queue& queue, const AttentionCall& call);
    /** Launches what waits when a call reads the cache with this table of pages, which is about to change. */
    void settle(State& state, const void* pages);
    /** Launches what waits. */
    void flush(State& state);
    /** The same where nothing may be thrown: what cannot be launched is forgotten. */
    void flush_quietly(State& state) noexcept;

  private:
    static void launch(State& state, const Queue& queue, const std::vector<AttentionCall>& calls);

    std::mutex mutex_;
    std::atomic<bool> any_{false};
    std::vector<AttentionCall> calls_;
    void* stream_ = nullptr;
};

}  // namespace vlm::cuda
