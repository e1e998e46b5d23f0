/** @file faulty_compute.hpp
 *  A compute service that fails at a chosen call: what a plugin does when the memory is full or a device goes away.
 */
#pragma once
#include <vlm/compute.h>

#include <atomic>

namespace vlm {

/** Stands in front of a real service and passes every call on, except the one that is to fail. */
class FaultyCompute {
  public:
    /** Call number `fails_at` (from 0) answers RESOURCE_EXHAUSTED; negative: none does. */
    FaultyCompute(const vlm_compute& real, int fails_at);
    FaultyCompute(const FaultyCompute&) = delete;
    FaultyCompute& operator=(const FaultyCompute&) = delete;

    const vlm_compute* table() const { return &front_.table; }
    /** Calls that could have failed so far. */
    int calls() const { return front_.calls.load(); }

    /** The table, and behind it what its functions need: they get its address as `self`. */
    struct Front {
        vlm_compute table;
        const vlm_compute* real;
        int fails_at;
        mutable std::atomic<int> calls;
    };

  private:
    Front front_;
};

}  // namespace vlm
