/** @file emulated_runtime.cpp
 *  A runtime whose GPU is the CPU: memory is host memory (each block of its own, filled with NaN, so that sanitizers
 * and comparisons see what a kernel should not have read), streams finish at once, dense products are plain loops.
 *
 *  VLM_EMULATED_ORDER is "serial" (default), "forward", "backward" or "late"; VLM_EMULATED_MEMORY limits the bytes.
 * VLM_EMULATED_CAPABILITY is its compute capability, 90 unless given. VLM_EMULATED_BROKEN names what is wrong with the
 * GPU: "tensor-cores", "products" (cuBLASLt), "epilogues" (what it fuses), "fp8" (its products in fp8), "no fp8" (it
 * has no algorithm for them), or "kernel NAME" for kernels that do nothing. Products are refused where a depth is no
 * multiple of 8, and a fused RELU where the outputs are none, so that both ways around cuBLASLt are walked.
 *
 *  Graphs are modelled as CUDA documents them: while a stream records nothing is done, pointers are kept as given, and
 * a call that cannot be recorded fails and makes the recording invalid. Which stream waits for which counts in the
 * order "late". VLM_EMULATED_GRAPHS tells the driver to fail: "refused" (no recording begins), "invalid N" (the
 * recording of that number from 0 on is found invalid at its end), "fails N" (the call of that number that would be
 * recorded fails), "no executables", "rigid" (no update is taken), "stale" (updates are taken and change nothing), "no
 * launches".
 */
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "host/base/error.hpp"
#include "host/compute/cuda/runtime.hpp"
#include "tests/host/compute/cuda/emulated/emulator.hpp"
#include "tests/host/compute/cuda/emulated/fp8_rules.hpp"

namespace vlm::cuda {

namespace {

float load(uint32_t dtype, const void* data, int64_t i) {
    return static_cast<float>(load_number(dtype, data, i));
}

EmulationOrder order_from_environment() {
    const char* text = std::getenv("VLM_EMULATED_ORDER");
    const std::string order = text != nullptr ? text : "serial";
    if (order == "forward") return EmulationOrder::forward;
    if (order == "backward") return EmulationOrder::backward;
    if (order == "serial") return EmulationOrder::serial;
    if (order == "late") return EmulationOrder::late;
    throw invalid_argument("VLM_EMULATED_ORDER is '" + order + "', known are serial, forward, backward, late");
}

/** What a stream has recorded. */
struct Graph {
    std::vector<std::string> kinds;
    std::vector<std::function<void()>> work;
};

/** Work in order; the first `done` pieces have been done. */
struct Stream {
    std::deque<std::function<void()>> waiting;
    uint64_t done = 0;
    bool records = false, invalid = false;
    Graph recorded;
    uint64_t end() const { return done + waiting.size(); }
};

class EmulatedRuntime final : public Runtime {
  public:
    EmulatedRuntime() : order_(order_from_environment()) {
        const char* limit = std::getenv("VLM_EMULATED_MEMORY");
        if (limit != nullptr) limit_ = std::atoll(limit);
        const char* capability = std::getenv("VLM_EMULATED_CAPABILITY");
        if (capability != nullptr) capability_ = std::atoi(capability);
        const char* broken = std::getenv("VLM_EMULATED_BROKEN");
        if (broken != nullptr) broken_ = broken;
        broken_tensor_cores = broken_ == "tensor-cores";
        const std::string kernel = "kernel ";
        broken_kernel = broken_.starts_with(kernel) ? broken_.substr(kernel.size()) : std::string();
        const char* graphs = std::getenv("VLM_EMULATED_GRAPHS");
        if (graphs != nullptr) graphs_ = graphs;
    }
    ~EmulatedRuntime() override {
        for (const auto& [block, bytes] : blocks_) std::free(block);
    }
    EmulationOrder emulation() const { return order_; }
    std::string name() const override { return "emulated GPU (kernels run on the CPU, for tests)"; }
    int compute_capability() const override { return capability_; }
    void bind() override {}
    void* stream() override { return &streams_[0]; }
    MemoryInfo memory() override { return {limit_ - used_, limit_}; }
    void* allocate(int64_t bytes, void* stream) override {
        forbid(stream, "memory");
        const std::scoped_lock lock(mutex_);
        if (bytes > limit_ - used_) return nullptr;
        constexpr int64_t kAlignment = 256;
        void* block = std::aligned_alloc(kAlignment, static_cast<size_t>((bytes + kAlignment - 1) & -kAlignment));
        if (block == nullptr) return nullptr;
        std::memset(block, 0xFF, static_cast<size_t>(bytes));
        blocks_[block] = bytes;
        used_ += bytes;
        return block;
    }
    void release(void* memory, void* stream) noexcept override {
        {
            // The driver would record it, and free the memory again in every launch.
            const std::scoped_lock lock(queue_mutex_);
            if (of(stream).records) of(stream).invalid = true;
            if (of(stream).records) return;
        }
        add(stream, "free", [this, memory] {
            const std::scoped_lock lock(mutex_);
            const auto block = blocks_.find(memory);
            if (block == blocks_.end()) std::abort();  // freed twice, or never taken
            used_ -= block->second;
            blocks_.erase(block);
            std::free(memory);
        });
    }
    int32_t* shared_word() override { return &word_; }
    void upload(const void* source, void* target, int64_t bytes, void* stream) override {
        forbid(stream, "an event of an upload");
        const char* from = static_cast<const char*>(source);
        add(stream, "upload",
            [taken = std::vector<char>(from, from + bytes), target, bytes] { move(taken.data(), target, bytes); });
    }
    void download(const void* source, void* target, int64_t bytes, void* stream) override {
        synchronize(stream);
        move(source, target, bytes);
    }
    void copy(const void* source, void* target, int64_t bytes, void* stream) override {
        forbid_empty(bytes, stream);
        add(stream, "copy", [source, target, bytes] { move(source, target, bytes); });
    }
    void clear(void* target, int64_t bytes, void* stream) override {
        forbid_empty(bytes, stream);
        add(stream, "clear", [target, bytes] { std::memset(target, 0, static_cast<size_t>(bytes)); });
    }
    void synchronize(void* stream) override {
        forbid(stream, "waiting");
        const std::scoped_lock lock(queue_mutex_);
        run_until(of(stream), of(stream).end());
    }

    bool multiply(const DenseProduct& p, void* stream,
                  const std::function<void*(int64_t bytes)>& take_workspace) override {
        if (p.e4m3) expect_fp8(p);
        if (p.e4m3 && broken_ == "no fp8") return false;
        if (p.in % 8 != 0 || (p.epilogue == Epilogue::relu && p.out % 8 != 0)) return false;
        // A library that works in it destroys what others keep there.
        const int64_t bytes = 4 * p.rows;
        void* workspace = take_workspace(bytes);
        add(stream, "product", [this, p, workspace, bytes] {
            std::memset(workspace, 0xFF, static_cast<size_t>(bytes));
            multiply_now(p);
        });
        return true;
    }

    void* step_stream() override { return &streams_[1]; }
    bool order(void* earlier, void* later) noexcept override {
        uint64_t end = 0;
        {
            const std::scoped_lock lock(queue_mutex_);
            if (of(earlier).records || of(later).records) return false;
            end = of(earlier).end();
        }
        add(later, "wait", [this, earlier, end] { run_until(of(earlier), end); });
        return true;
    }
    void* pinned(int64_t bytes) override {
        pinned_.emplace_back(std::make_unique<char[]>(static_cast<size_t>(bytes)), bytes);
        return pinned_.back().first.get();
    }
    void upload_pinned(const void* source, void* target, int64_t bytes, void* stream) override {
        forbid_empty(bytes, stream);
        const auto* place = static_cast<const char*>(source);
        const bool known = std::any_of(pinned_.begin(), pinned_.end(), [&](const auto& block) {
            return place >= block.first.get() && place + bytes <= block.first.get() + block.second;
        });
        if (!known) throw std::logic_error("an upload from memory that is not pinned");
        add(stream, "pinned upload", [source, target, bytes] { move(source, target, bytes); });
    }
    bool begin_capture(void* stream) noexcept override {
        const std::scoped_lock lock(queue_mutex_);
        if (graphs_ == "refused" || of(stream).records) return false;
        of(stream).records = true;
        of(stream).invalid = false;
        of(stream).recorded = {};
        return true;
    }
    void* end_capture(void* stream) noexcept override {
        const std::scoped_lock lock(queue_mutex_);
        of(stream).records = false;
        const bool fails = graphs_ == "invalid " + std::to_string(captures_++);
        if (of(stream).invalid || fails) return nullptr;
        return new Graph(std::move(of(stream).recorded));
    }
    void free_graph(void* graph) noexcept override { delete static_cast<Graph*>(graph); }
    void* instantiate(void* graph) noexcept override {
        return graphs_ == "no executables" ? nullptr : new Graph(*static_cast<Graph*>(graph));
    }
    bool update(void* executable, void* graph) noexcept override {
        auto& old = *static_cast<Graph*>(executable);
        const auto& fresh = *static_cast<Graph*>(graph);
        if (graphs_ == "rigid" || old.kinds != fresh.kinds) return false;
        // A driver that takes an update and does the old work all the same.
        if (graphs_ != "stale") old = fresh;
        return true;
    }
    bool launch(void* executable, void* stream) noexcept override {
        const Graph& graph = *static_cast<Graph*>(executable);
        if (graphs_ == "no launches") return false;
        for (size_t i = 0; i < graph.work.size(); ++i) add(stream, graph.kinds[i].c_str(), graph.work[i]);
        return true;
    }
    void free_executable(void* executable) noexcept override { delete static_cast<Graph*>(executable); }

    /** Does `work` when its turn comes, or records it. */
    void add(void* stream, const char* kind, std::function<void()> work) {
        const std::scoped_lock lock(queue_mutex_);
        Stream& to = of(stream);
        if (to.records) {
            if (to.invalid) throw Error(VLM_STATUS_INTERNAL, "cudaErrorStreamCaptureInvalidated");
            if (graphs_ == "fails " + std::to_string(recorded_++)) throw Error(VLM_STATUS_INTERNAL, "not in a graph");
            to.recorded.kinds.emplace_back(kind);
            to.recorded.work.push_back(std::move(work));
        } else if (order_ == EmulationOrder::late) {
            to.waiting.push_back(std::move(work));
        } else {
            work();
        }
    }

  private:
    Stream& of(void* stream) { return stream == &streams_[1] ? streams_[1] : streams_[0]; }
    /** What CUDA does about calls that cannot be recorded. */
    void forbid(void* stream, const char* what) {
        const std::scoped_lock lock(queue_mutex_);
        if (!of(stream).records) return;
        of(stream).invalid = true;
        throw Error(VLM_STATUS_INTERNAL, std::string("cudaErrorStreamCaptureUnsupported: ") + what);
    }
    /** A node of a graph that copies nothing cannot be changed. */
    void forbid_empty(int64_t bytes, void* stream) {
        if (bytes == 0) forbid(stream, "a copy of nothing");
    }
    static void run_until(Stream& stream, uint64_t end) {
        while (stream.done < end && !stream.waiting.empty()) {
            const std::function<void()> work = std::move(stream.waiting.front());
            stream.waiting.pop_front();
            ++stream.done;
            work();
        }
    }
    /** What the library would refuse is a mistake of the caller. */
    void expect_fp8(const DenseProduct& p) const {
        Fp8Call call;
        call.capability = capability_;
        call.a_transposed = call.sums_in_f32 = call.scalar_scales = true;  // see dense_products.cpp, and its test
        call.bf16_or_f32 = p.dtype == VLM_DTYPE_BF16 || p.dtype == VLM_DTYPE_F32;
        call.bias_in_bf16 = p.bias == nullptr || p.dtype == VLM_DTYPE_BF16;
        call.m = p.out;
        call.n = p.rows;
        call.k = p.in;
        call.output_bytes = (p.dtype & 0xFFFFu) / 8;
        call.lda = p.weight_stride;
        call.ldb = p.x_stride;
        call.ldc = p.residual != nullptr ? p.residual_stride : p.y_stride;
        call.ldd = p.y_stride;
        call.a = p.weight;
        call.b = p.x;
        call.c = p.residual != nullptr ? p.residual : p.y;
        call.d = p.y;
        const std::string reason = fp8_refusal(call);
        if (!reason.empty()) throw std::logic_error("cuBLASLt refuses a product in fp8: " + reason);
    }
    void multiply_now(const DenseProduct& p) const {
        std::vector<float> x(static_cast<size_t>(p.in)), w(static_cast<size_t>(p.in * p.out));
        const float fault = broken_ == "products" || (p.e4m3 && broken_ == "fp8") ? 2.0f : 1.0f;
        const uint32_t factors = p.e4m3 ? VLM_DTYPE_F8_E4M3 : p.dtype;
        for (int64_t o = 0; o < p.out; ++o)
            for (int64_t k = 0; k < p.in; ++k)
                w[static_cast<size_t>(o * p.in + k)] = load(factors, p.weight, o * p.weight_stride + k);
        for (int64_t r = 0; r < p.rows; ++r) {
            for (int64_t k = 0; k < p.in; ++k) x[static_cast<size_t>(k)] = load(factors, p.x, r * p.x_stride + k);
            for (int64_t o = 0; o < p.out; ++o) {
                const float* row = w.data() + o * p.in;
                float sum = 0.0f;
                for (int64_t k = 0; k < p.in; ++k) sum += x[static_cast<size_t>(k)] * row[k];
                sum *= p.alpha * fault;
                if (p.residual != nullptr) sum += load(p.dtype, p.residual, r * p.residual_stride + o);
                // A bias along the wrong side.
                if (p.bias != nullptr) sum += load(p.dtype, p.bias, broken_ == "epilogues" ? r : o);
                if (p.epilogue == Epilogue::relu) sum = activate(VLM_ACT_RELU, sum);
                if (p.epilogue == Epilogue::gelu_tanh) sum = activate(VLM_ACT_GELU_TANH, sum);
                store_number(p.dtype, p.y, r * p.y_stride + o, static_cast<double>(sum));
            }
        }
    }
    static void move(const void* source, void* target, int64_t bytes) {
        std::memmove(target, source, static_cast<size_t>(bytes));
    }

    const EmulationOrder order_;
    std::string broken_, graphs_;
    std::mutex mutex_, queue_mutex_;
    Stream streams_[2];
    int captures_ = 0, recorded_ = 0;
    std::unordered_map<void*, int64_t> blocks_;
    std::vector<std::pair<std::unique_ptr<char[]>, int64_t>> pinned_;
    int64_t limit_ = int64_t{1} << 40, used_ = 0;
    int capability_ = 90;
    int32_t word_ = 0;
};

}  // namespace

EmulationOrder emulation_order(const Runtime& runtime) {
    return static_cast<const EmulatedRuntime&>(runtime).emulation();
}

void enqueue(const Queue& queue, const char* kind, std::function<void()> work) {
    static_cast<EmulatedRuntime&>(queue.runtime).add(queue.stream, kind, std::move(work));
}

Fibers::Fibers(int count) : fibers_(static_cast<size_t>(count)) {
    const auto self = reinterpret_cast<uintptr_t>(this);
    for (Fiber& fiber : fibers_) {
        fiber.stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = kStackBytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, reinterpret_cast<void (*)()>(enter), 2, static_cast<unsigned>(self >> 32),
                    static_cast<unsigned>(self));
    }
}

void Fibers::enter(unsigned high, unsigned low) {
    auto& self = *reinterpret_cast<Fibers*>(static_cast<uintptr_t>(high) << 32 | low);
    const int me = self.current_;
    for (;;) {
        (*self.body_)(me);
        self.fibers_[static_cast<size_t>(me)].done = true;
        self.progress();
        self.yield();
    }
}

void Fibers::yield() {
    if (_setjmp(fibers_[static_cast<size_t>(current_)].place) == 0) _longjmp(scheduler_, 1);
}

void Fibers::resume(Fiber& fiber) {
    if (_setjmp(scheduler_) != 0) return;
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    setcontext(&fiber.context);
}

void Fibers::run(const std::function<void(int)>& body, bool backward) {
    body_ = &body;
    for (Fiber& fiber : fibers_) fiber.done = false;
    const auto count = static_cast<int>(fibers_.size());
    int left = count;
    while (left > 0) {
        const uint64_t before = events_;
        for (int step = 0; step < count; ++step) {
            current_ = backward ? count - 1 - step : step;
            Fiber& fiber = fibers_[static_cast<size_t>(current_)];
            if (fiber.done) continue;
            resume(fiber);
            if (fiber.done) --left;
        }
        if (left > 0 && events_ == before)
            throw std::logic_error("threads of a block wait at a barrier that others do not reach");
    }
}

std::unique_ptr<Runtime> open_runtime(int ordinal) {
    if (ordinal > 1)
        throw Error(VLM_STATUS_UNAVAILABLE,
                    "there is no GPU " + std::to_string(ordinal) + ": the emulation has two, numbered 0 and 1");
    return std::make_unique<EmulatedRuntime>();
}

}  // namespace vlm::cuda
