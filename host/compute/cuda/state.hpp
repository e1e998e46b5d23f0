/** @file state.hpp
 *  What the operations of the CUDA device share: the GPU, memory by purpose, counters, and the edge at which exceptions
 * become statuses.
 */
#pragma once
#include <vlm/compute.h>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "host/base/error.hpp"
#include "host/compute/cuda/pending_decodes.hpp"
#include "host/compute/cuda/queue.hpp"
#include "host/compute/cuda/runtime.hpp"
#include "host/compute/cuda/steps.hpp"
#include "host/compute/cuda/view.hpp"
#include "host/compute/weight_policy.hpp"

namespace vlm::cuda {

struct OwnedTensor;

/** What memory is for; out-of-memory messages say how much each has. */
enum class Purpose { weights, kept, cache, scratch, host, count };

/** How weights are stored. */
enum class WeightType { f32, bf16, f16, int8, int4, fp8 };
/** @throws Error INVALID_ARGUMENT listing the known ones. */
WeightType weight_type_of(const std::string& name);
const char* weight_type_name(WeightType type) noexcept;
/** VLM_DTYPE_* of weights, 0 for those with codes of 8 and 4 bits. */
uint32_t dtype_of(WeightType type) noexcept;
/** Bits of the codes of int8 and int4, else 0. */
int32_t bits_of(WeightType type) noexcept;

/** How the device computes. */
struct Options {
    uint32_t activation_dtype = VLM_DTYPE_BF16;  ///< VLM_DTYPE_F32 or VLM_DTYPE_BF16.
    WeightType weights = WeightType::bf16;
    std::vector<WeightRule> rules;  ///< Layers that are stored otherwise.

    /** Whether some layer may be stored as fp8. */
    bool wants_fp8() const;
};

/** Reads the words of the manifest. @throws Error INVALID_ARGUMENT listing the known ones. */
Options parse_options(const std::string& dtype, const std::string& weights, const std::string& kv);

/** The inside of an open GPU. */
class State {
  public:
    State(std::unique_ptr<Runtime> runtime, const Options& options, int ordinal, void (*log)(int32_t, const char*));
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    Runtime& runtime() { return *runtime_; }
    const Options options;
    const vlm_device device;
    const std::string description;
    void (*const log)(int32_t, const char*);

    /** The queue of a call; makes the GPU the thread's and launches what waits. `run` may be NULL. */
    Queue queue(const vlm_run_context* run);
    /** The same, but what waits goes on waiting: for attention alone. */
    Queue queue_beside_pending(const vlm_run_context* run);
    /** The same for giving memory back, which has to go on when the GPU has failed for good. */
    Queue quiet_queue(const vlm_run_context* run) noexcept;

    /** @throws Error RESOURCE_EXHAUSTED saying who has the memory. */
    void* allocate(const Queue& queue, int64_t bytes, Purpose purpose);
    void release(const Queue& queue, void* memory, int64_t bytes, Purpose purpose) noexcept;
    int64_t bytes(Purpose purpose) const { return used_[static_cast<size_t>(purpose)].load(); }
    /** Counts scratch that is held beside what allocate() gave. */
    void hold_scratch(int64_t bytes) { used_[static_cast<size_t>(Purpose::scratch)] += bytes; }
    int64_t peak_scratch() const { return peak_scratch_.load(); }

    /** Host to device; `source` may be changed as soon as this returns. */
    void upload(const Queue& queue, const void* source, void* target, int64_t bytes);
    /** See Runtime::multiply. */
    bool multiply(const Queue& queue, const DenseProduct& product);
    /** Where work goes that has to be done before what is being recorded on `queue`, because it outlives a step;
     * `queue` itself when nothing is recorded. */
    Queue ahead_of(const Queue& queue);

    /** Waits, counts it, and checks for indices that kernels have found outside their tensors.
     *  @throws Error OUT_OF_RANGE. */
    void synchronize(const Queue& queue);
    /** The same behind a copy to the host. */
    void download(const Queue& queue, const void* source, void* target, int64_t bytes);
    int64_t synchronizations() const { return synchronizations_.load(); }
    int64_t downloaded_bytes() const { return downloaded_bytes_.load(); }

    /** A word that kernels write a Fault to; read when the host waits anyway. */
    int32_t* fault() const { return fault_; }

    /** Attention that has not been launched yet; that of a step under way is in `steps`. */
    PendingDecodes pending;
    PendingDecodes& pending_of(const Queue& queue) {
        return steps.is_step_stream(queue.stream) ? steps.pending : pending;
    }
    /** Whether the attention kernels for bf16 have shown that they work on this GPU; see self_check.hpp. */
    bool tiles_work = false, decodes_work = false;
    /** Whether ways to multiply have not shown that they do not: cuBLASLt, what it fuses, the kernel for few rows. */
    bool dense_works = true, fused_works = true, few_rows_work = true;
    /** Whether products in fp8 by cuBLASLt have shown that they work; tried when some layer may be stored so. */
    bool fp8_works = false;
    /** Whether the kernel for few rows by the tensor cores has shown that it works. */
    bool row_tiles_work = false;
    /** Whether the kernels that find the largest logits have shown that they work. */
    bool top_logits_work = false;

    std::atomic<uint64_t> flops{0};
    std::string stage;                                     ///< Of the pipeline, while it loads its weights.
    void (*loaded)(void* host, uint64_t bytes) = nullptr;  ///< Hears of weights of the stage, see library.h.
    void* loaded_host = nullptr;
    std::atomic<bool> said_slow{false};      ///< That cuBLASLt has refused a shape.
    std::atomic<bool> said_expanded{false};  ///< That it has refused one in fp8.

    /** Tensors made by `create` and alive, per context; and those made by `keep`. */
    std::mutex tensors_mutex;
    std::unordered_map<const void*, std::unordered_set<OwnedTensor*>> run_tensors;
    std::unordered_set<OwnedTensor*> kept_tensors;

    /** Tells whoever loads that a weight is on its way. */
    void tell_loaded(const View& source) const {
        if (loaded != nullptr)
            loaded(loaded_host, static_cast<uint64_t>(source.elements * cpu::element_bytes(source.dtype)));
    }

    View view(const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim = -1) const {
        return view_on(device, tensor, what, dtype, ndim);
    }
    View activation(const vlm_tensor* tensor, const char* what, int32_t ndim = -1) const {
        return view_on(device, tensor, what, options.activation_dtype, ndim);
    }
    View compact(const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim = -1) const {
        return compact_on(device, tensor, what, dtype, ndim);
    }
    View vector(const vlm_tensor* tensor, const char* what, uint32_t dtype, int64_t elements) const {
        return vector_on(device, tensor, what, dtype, elements);
    }

  private:
    void check_fault();
    /** Runs `wait`, which waits for the queue; nothing is recorded there any more. */
    void wait_with(const Queue& queue, const std::function<void()>& wait);

    std::unique_ptr<Runtime> runtime_;
    int32_t* fault_;
    std::atomic<int64_t> used_[static_cast<size_t>(Purpose::count)] = {};
    std::atomic<int64_t> peak_scratch_{0};
    std::atomic<int64_t> synchronizations_{0}, downloaded_bytes_{0};

  public:
    Steps steps;  ///< Made last: it needs the runtime.
};

/** Memory for the time of one operation; freed in the order of the stream. */
class Temporary {
  public:
    Temporary(State& state, const Queue& queue, int64_t bytes)
        : state_(state), queue_(queue), bytes_(bytes), data_(state.allocate(queue, bytes, Purpose::scratch)) {}
    ~Temporary() { state_.release(queue_, data_, bytes_, Purpose::scratch); }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;

    template <class T>
    T* as() const {
        return static_cast<T*>(data_);
    }

  private:
    State& state_;
    Queue queue_;
    int64_t bytes_;
    void* data_;
};

/** `a * b * c` for sizes. @throws Error RESOURCE_EXHAUSTED when the product overflows. */
int64_t checked_product(int64_t a, int64_t b, int64_t c = 1);

/** Sends `message` to the error sink of `run`, or to the log when there is none; returns `code`. */
vlm_status report(State* state, const vlm_run_context* run, vlm_status code, const char* op,
                  const std::string& message) noexcept;
/** Turns the exception in flight into a status. */
vlm_status report_exception(State* state, const vlm_run_context* run, const char* op) noexcept;

inline State& state_of(const vlm_compute* self) {
    if (self == nullptr || self->impl == nullptr) throw invalid_argument("the compute table is NULL");
    return *static_cast<State*>(self->impl);
}

/** Runs `fn(State&, Queue&)`, turns what it throws into a status and a message that begins with the operation's name,
 * and waits for the device when the caller has no stream (context.h).
 *  @tparam kBesidePending  Attention that waits goes on waiting. */
template <bool kBesidePending = false, class Fn>
vlm_status guarded(const vlm_compute* self, const vlm_run_context* run, const char* op, Fn&& fn) noexcept {
    State* state = nullptr;
    try {
        state = &state_of(self);
        const Queue queue = kBesidePending ? state->queue_beside_pending(run) : state->queue(run);
        if constexpr (!kBesidePending) state->steps.advance(queue.stream);
        fn(*state, queue);
        if (run == nullptr || run->stream == nullptr) {
            state->pending_of(queue).flush(*state);
            state->synchronize(queue);
        }
        return VLM_STATUS_OK;
    } catch (...) {
        return report_exception(state, run, op);
    }
}

/** The same for what enqueues nothing that a caller could wait for: memory, handles. */
template <class Fn>
vlm_status guarded_quiet(const vlm_compute* self, const vlm_run_context* run, const char* op, Fn&& fn) noexcept {
    State* state = nullptr;
    try {
        state = &state_of(self);
        const Queue queue = state->queue(run);
        fn(*state, queue);
        return VLM_STATUS_OK;
    } catch (...) {
        return report_exception(state, run, op);
    }
}

}  // namespace vlm::cuda
