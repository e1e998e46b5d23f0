/** @file cuda_runtime.cu
 *  The GPU itself: one non-blocking stream, the driver's stream-ordered pool, and pinned memory for uploads.
 *
 *  The pool keeps what is freed (a transformer asks for the same sizes in every layer), so that after the first layer
 * no call reaches the system. Uploads go through pinned slots in turn: the caller's memory is free when a call returns,
 * and the host only waits when it comes back to a slot whose copy is still under way. Nothing else waits.
 */
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

#include "host/base/error.hpp"
#include "host/compute/cuda/dense_products.hpp"
#include "host/compute/cuda/driver_errors.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/runtime.hpp"

namespace vlm::cuda {

namespace {

constexpr int64_t kSlotBytes = int64_t{8} << 20;
constexpr size_t kSlots = 4;

void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    cudaGetLastError();
    throw Error(error == cudaErrorMemoryAllocation ? VLM_STATUS_RESOURCE_EXHAUSTED : VLM_STATUS_INTERNAL,
                std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

std::string words_of(cudaError_t error) {
    return std::string(cudaGetErrorName(error)) + ": " + cudaGetErrorString(error);
}

cudaStream_t native(void* stream) {
    return static_cast<cudaStream_t>(stream);
}

/** Of all kernels the least; whether it is there says whether the others are. */
struct Nothing {
    static constexpr int kThreads = 32;
    template <class Block>
    __device__ void operator()(Block&) const {}
};

/** What CUDA says when it is asked for machine code, or PTX to compile, for the current GPU; empty: there is some. */
std::string kernel_error() {
    cudaFuncAttributes attributes{};
    const cudaError_t error = cudaFuncGetAttributes(&attributes, run_body<Nothing>);
    if (error == cudaSuccess) return {};
    cudaGetLastError();
    return words_of(error);
}

/** Makes the GPU the thread's, which begins the driver's work on it. */
void begin_on(int ordinal, const cudaDeviceProp& properties) {
    cudaError_t error = cudaSetDevice(ordinal);
    if (error == cudaSuccess) error = cudaFree(nullptr);  // before CUDA 12 the first call after it begins
    if (error == cudaSuccess) return;
    cudaGetLastError();
    throw Error(error == cudaErrorMemoryAllocation ? VLM_STATUS_RESOURCE_EXHAUSTED : VLM_STATUS_UNAVAILABLE,
                why_not_opened(properties.name, words_of(error)));
}

/** Pinned memory with one event per slot. */
class Staging {
  public:
    Staging() {
        try {
            for (Slot& slot : slots_) {
                check(cudaHostAlloc(&slot.memory, kSlotBytes, cudaHostAllocDefault), "pinned memory");
                check(cudaEventCreateWithFlags(&slot.copied, cudaEventDisableTiming), "an event");
            }
        } catch (...) {
            free_all();
            throw;
        }
    }
    ~Staging() { free_all(); }
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    void upload(const void* source, void* target, int64_t bytes, cudaStream_t stream) {
        const std::scoped_lock lock(mutex_);
        const char* from = static_cast<const char*>(source);
        char* to = static_cast<char*>(target);
        while (bytes > 0) {
            Slot& slot = slots_[next_];
            // Small uploads share a slot, or every mask and position of a step would wait for its turn. An event only
            // speaks for one stream.
            if (used_ > 0 && (used_ == kSlotBytes || bytes > kSlotBytes - used_ || slot.stream != stream)) {
                next_slot();
                continue;
            }
            if (used_ == 0) check(cudaEventSynchronize(slot.copied), "an earlier upload");
            const int64_t count = std::min(bytes, kSlotBytes - used_);
            std::memcpy(slot.memory + used_, from, static_cast<size_t>(count));
            check(cudaMemcpyAsync(to, slot.memory + used_, static_cast<size_t>(count), cudaMemcpyHostToDevice, stream),
                  "an upload");
            check(cudaEventRecord(slot.copied, stream), "an upload");
            slot.stream = stream;
            used_ = std::min(kSlotBytes, (used_ + count + 255) / 256 * 256);
            from += count;
            to += count;
            bytes -= count;
        }
    }

  private:
    struct Slot {
        char* memory = nullptr;
        cudaEvent_t copied = nullptr;
        cudaStream_t stream = nullptr;
    };
    void next_slot() {
        next_ = (next_ + 1) % kSlots;
        used_ = 0;
    }
    void free_all() noexcept {
        for (Slot& slot : slots_) {
            if (slot.copied != nullptr) cudaEventDestroy(slot.copied);
            if (slot.memory != nullptr) cudaFreeHost(slot.memory);
        }
    }

    std::mutex mutex_;
    std::array<Slot, kSlots> slots_;
    size_t next_ = 0;
    int64_t used_ = 0;
};

class Gpu final : public Runtime {
  public:
    explicit Gpu(int ordinal) : ordinal_(ordinal) {
        check(cudaGetDeviceProperties(&properties_, ordinal), "reading the GPU's properties");
        begin_on(ordinal, properties_);
        int pools = 0;
        check(cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, ordinal), "reading the GPU's properties");
        const std::string reason =
            why_unusable({properties_.name, properties_.major, properties_.minor, pools != 0, kernel_error()});
        if (!reason.empty()) throw Error(VLM_STATUS_UNAVAILABLE, reason);
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream");
        check(cudaStreamCreateWithFlags(&step_stream_, cudaStreamNonBlocking), "a stream");
        check(cudaEventCreateWithFlags(&reached_, cudaEventDisableTiming), "an event");
        check(cudaDeviceGetDefaultMemPool(&pool_, ordinal), "the memory pool");
        uint64_t keep = UINT64_MAX;
        check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep), "the memory pool");
        check(cudaHostAlloc(&word_, sizeof(*word_), cudaHostAllocMapped), "pinned memory");
        *word_ = 0;
        check(cudaHostAlloc(&landing_, kSlotBytes, cudaHostAllocDefault), "pinned memory");
        staging_ = std::make_unique<Staging>();
        const std::string kind = std::string(properties_.name) + " sm_" + std::to_string(properties_.major) +
                                 std::to_string(properties_.minor);
        products_ = std::make_unique<DenseProducts>(kind, properties_.major);
    }
    ~Gpu() override {
        cudaSetDevice(ordinal_);
        cudaStreamSynchronize(stream_);
        cudaStreamSynchronize(step_stream_);
        products_.reset();
        staging_.reset();
        cudaFreeHost(word_);
        cudaFreeHost(landing_);
        for (void* memory : pinned_) cudaFreeHost(memory);
        cudaEventDestroy(reached_);
        cudaStreamDestroy(step_stream_);
        cudaStreamDestroy(stream_);
        cudaMemPoolTrimTo(pool_, 0);  // others on this GPU can have it now
        cudaGetLastError();
    }

    std::string name() const override {
        char memory[32];
        std::snprintf(memory, sizeof(memory), "%.1f GiB",
                      static_cast<double>(properties_.totalGlobalMem) / (1024.0 * 1024.0 * 1024.0));
        return std::string(properties_.name) + ", sm_" + std::to_string(properties_.major) +
               std::to_string(properties_.minor) + ", " + memory;
    }
    int compute_capability() const override { return 10 * properties_.major + properties_.minor; }
    void bind() override { check(cudaSetDevice(ordinal_), "choosing the GPU"); }
    void* stream() override { return stream_; }
    MemoryInfo memory() override {
        size_t free = 0, total = 0;
        check(cudaMemGetInfo(&free, &total), "reading the free memory");
        uint64_t reserved = 0, used = 0;
        check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved), "the memory pool");
        check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used), "the memory pool");
        return {static_cast<int64_t>(free + (reserved - used)), static_cast<int64_t>(total)};
    }
    void* allocate(int64_t bytes, void* stream) override {
        void* memory = nullptr;
        cudaError_t error = cudaMallocAsync(&memory, static_cast<size_t>(bytes), native(stream));
        if (error == cudaErrorMemoryAllocation) {
            // What the pool keeps may be in pieces of the wrong size.
            cudaGetLastError();
            cudaMemPoolTrimTo(pool_, 0);
            error = cudaMallocAsync(&memory, static_cast<size_t>(bytes), native(stream));
        }
        if (error == cudaErrorMemoryAllocation) {
            cudaGetLastError();
            return nullptr;
        }
        check(error, "taking memory");
        return memory;
    }
    void release(void* memory, void* stream) noexcept override {
        if (memory == nullptr) return;
        cudaSetDevice(ordinal_);
        cudaFreeAsync(memory, native(stream));
    }
    int32_t* shared_word() override { return word_; }

    void upload(const void* source, void* target, int64_t bytes, void* stream) override {
        staging_->upload(source, target, bytes, native(stream));
    }
    void download(const void* source, void* target, int64_t bytes, void* stream) override {
        // Small ones land in pinned memory: the driver would take pageable memory piece by piece.
        const bool small = bytes <= kSlotBytes;
        const std::unique_lock lock = small ? std::unique_lock(landing_mutex_) : std::unique_lock<std::mutex>();
        check(cudaMemcpyAsync(small ? landing_ : target, source, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost,
                              native(stream)),
              "a download");
        synchronize(stream);
        if (small) std::memcpy(target, landing_, static_cast<size_t>(bytes));
    }
    void copy(const void* source, void* target, int64_t bytes, void* stream) override {
        check(cudaMemcpyAsync(target, source, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, native(stream)),
              "a copy");
    }
    void clear(void* target, int64_t bytes, void* stream) override {
        check(cudaMemsetAsync(target, 0, static_cast<size_t>(bytes), native(stream)), "clearing memory");
    }
    void synchronize(void* stream) override {
        check(cudaStreamSynchronize(native(stream)), "waiting for the GPU (an earlier call failed on it)");
    }
    bool multiply(const DenseProduct& product, void* stream,
                  const std::function<void*(int64_t bytes)>& workspace) override {
        return products_->multiply(product, native(stream), workspace);
    }

    void* step_stream() override { return step_stream_; }
    bool order(void* earlier, void* later) noexcept override {
        // One event does: a wait is for what had been recorded when it was asked for.
        const std::scoped_lock lock(reached_mutex_);
        return done(cudaEventRecord(reached_, native(earlier))) &&
               done(cudaStreamWaitEvent(native(later), reached_, 0));
    }
    void* pinned(int64_t bytes) override {
        void* memory = nullptr;
        check(cudaHostAlloc(&memory, static_cast<size_t>(bytes), cudaHostAllocDefault), "pinned memory");
        pinned_.push_back(memory);
        return memory;
    }
    void upload_pinned(const void* source, void* target, int64_t bytes, void* stream) override {
        check(cudaMemcpyAsync(target, source, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, native(stream)),
              "an upload");
    }
    bool begin_capture(void* stream) noexcept override {
        // Relaxed: what other threads and other streams do meanwhile is not the recording's business.
        return done(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeRelaxed));
    }
    void* end_capture(void* stream) noexcept override {
        cudaGraph_t graph = nullptr;
        if (done(cudaStreamEndCapture(native(stream), &graph))) return graph;
        free_graph(graph);
        return nullptr;
    }
    void free_graph(void* graph) noexcept override {
        if (graph != nullptr) done(cudaGraphDestroy(static_cast<cudaGraph_t>(graph)));
    }
    void* instantiate(void* graph) noexcept override {
        cudaGraphExec_t executable = nullptr;
        return done(cudaGraphInstantiate(&executable, static_cast<cudaGraph_t>(graph), 0)) ? executable : nullptr;
    }
    bool update(void* executable, void* graph) noexcept override {
        cudaGraphExecUpdateResultInfo result{};
        return done(
            cudaGraphExecUpdate(static_cast<cudaGraphExec_t>(executable), static_cast<cudaGraph_t>(graph), &result));
    }
    bool launch(void* executable, void* stream) noexcept override {
        return done(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable), native(stream)));
    }
    void free_executable(void* executable) noexcept override {
        done(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable)));
    }

  private:
    /** Whether it went well; a failure is not left for the next call to find. */
    static bool done(cudaError_t error) noexcept {
        if (error != cudaSuccess) cudaGetLastError();
        return error == cudaSuccess;
    }

    const int ordinal_;
    cudaDeviceProp properties_{};
    cudaStream_t stream_ = nullptr, step_stream_ = nullptr;
    std::mutex reached_mutex_;
    cudaEvent_t reached_ = nullptr;
    std::vector<void*> pinned_;
    cudaMemPool_t pool_ = nullptr;
    int32_t* word_ = nullptr;
    std::mutex landing_mutex_;
    char* landing_ = nullptr;
    std::unique_ptr<Staging> staging_;
    std::unique_ptr<DenseProducts> products_;
};

}  // namespace

void check_launch(const char* name) {
    const cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) return;
    // Kernels that run tell late, and the next launch hears it.
    throw Error(VLM_STATUS_INTERNAL, std::string("launching the kernel \"") + name +
                                         "\": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) +
                                         "); it or a kernel before it failed, CUDA_LAUNCH_BLOCKING=1 in the "
                                         "environment tells which");
}

std::unique_ptr<Runtime> open_runtime(int ordinal) {
    DriverReport report;
    cudaDriverGetVersion(&report.driver_version);
    cudaRuntimeGetVersion(&report.runtime_version);
    const cudaError_t error = cudaGetDeviceCount(&report.devices);
    report.no_device = error == cudaErrorNoDevice;
    report.driver_too_old = error == cudaErrorInsufficientDriver && report.driver_version > 0;
    if (error != cudaSuccess) {
        report.error = words_of(error);
        cudaGetLastError();
    }
    const std::string reason = why_unavailable(report, ordinal);
    if (!reason.empty()) throw Error(VLM_STATUS_UNAVAILABLE, reason);
    return std::make_unique<Gpu>(ordinal);
}

}  // namespace vlm::cuda
