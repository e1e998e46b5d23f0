/** @file state.hpp
 *  What the operations of the CPU device share: options, scratch memory, counters, and the edge at which exceptions
 * become statuses. Every function of the table is one call of `guarded`, so none can let an exception through or forget
 * its counter.
 */
#pragma once
#include <vlm/compute.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "host/base/error.hpp"
#include "host/compute/cpu/cpu_compute.hpp"
#include "host/compute/cpu/linear_onednn.hpp"
#include "host/compute/cpu/scratch.hpp"

namespace vlm::cpu {

struct OwnedTensor;

/** Counters of one operation. */
struct OpCounter {
    std::atomic<uint64_t> calls{0}, flops{0}, nanoseconds{0};
};

/** The inside of CpuCompute. */
class State {
  public:
    explicit State(const CpuOptions& options_in)
        : options(options_in),
          onednn(onednn_version() != nullptr),
          dense(resolve_dense_engine(options_in.dense, onednn)),
          kv(options_in.kv != KvType::automatic   ? options_in.kv
             : options_in.mode == Precision::bf16 ? KvType::bf16
                                                  : KvType::f32),
          pool(options_in.pool != nullptr ? *options_in.pool : ThreadPool::global()),
          scratch(options_in.scratch_limit) {}

    const CpuOptions options;
    const bool onednn;  ///< The build has oneDNN.
    const DenseEngine dense;
    const KvType kv;  ///< Never `automatic`.
    ThreadPool& pool;
    Scratch scratch;
    std::array<OpCounter, static_cast<size_t>(Op::count)> counters;
    std::atomic<int64_t> packed_bytes{0}, kept_bytes{0}, kv_bytes{0};

    /** Tensors made by `create` and alive, per context; and those made by `keep`. */
    std::mutex tensors_mutex;
    std::unordered_map<const void*, std::unordered_set<OwnedTensor*>> run_tensors;
    std::unordered_set<OwnedTensor*> kept_tensors;

    /** The stage that loads now, and what has been packed. Layers are packed by one thread at a time. */
    mutable std::mutex layers_mutex;
    LoadingStage stage;
    std::vector<PackedLayer> layers;

    /** Where packed weights are kept on disk: the one in use, and all whose blobs layers may still point into. */
    std::shared_ptr<PackedCache> packed_cache;
    std::vector<std::shared_ptr<PackedCache>> open_caches;

    void count_flops(Op op, uint64_t flops) {
        counters[static_cast<size_t>(op)].flops.fetch_add(flops, std::memory_order_relaxed);
    }
};

/** Where messages of functions without a run context are kept, per thread. */
std::string& load_error_slot() noexcept;

/** Sends `message` to the error sink of `run`, or keeps it for CpuCompute::load_error; returns `code`. */
vlm_status report(const vlm_run_context* run, vlm_status code, const char* op, const std::string& message) noexcept;

/** Turns the exception in flight into a status. */
vlm_status report_exception(const vlm_run_context* run, const char* op) noexcept;

inline State& state_of(const vlm_compute* self) {
    if (self == nullptr || self->impl == nullptr) throw invalid_argument("the compute table is NULL");
    return *static_cast<State*>(self->impl);
}

/** Runs `fn(State&)` and turns whatever it throws into a status and a message that begins with the operation's name. */
template <class Fn>
vlm_status guarded(const vlm_compute* self, const vlm_run_context* run, Op op, Fn&& fn) noexcept {
    try {
        State& state = state_of(self);
        OpCounter& counter = state.counters[static_cast<size_t>(op)];
        counter.calls.fetch_add(1, std::memory_order_relaxed);
        if (!state.options.timing) {
            fn(state);
            return VLM_STATUS_OK;
        }
        const auto begin = std::chrono::steady_clock::now();
        fn(state);
        const auto spent = std::chrono::steady_clock::now() - begin;
        counter.nanoseconds.fetch_add(
            static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()),
            std::memory_order_relaxed);
        return VLM_STATUS_OK;
    } catch (...) {
        return report_exception(run, op_name(op));
    }
}

/** The same for functions that are called at load and not counted. */
template <class Fn>
vlm_status guarded_load(const vlm_compute* self, const char* name, Fn&& fn) noexcept {
    try {
        fn(state_of(self));
        return VLM_STATUS_OK;
    } catch (...) {
        return report_exception(nullptr, name);
    }
}

}  // namespace vlm::cpu
