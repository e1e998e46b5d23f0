/** @file state.cpp
 *  See state.hpp.
 */
#include "host/compute/cuda/state.hpp"

#include <algorithm>
#include <cstdio>

#include "host/compute/cuda/kernels.hpp"

namespace vlm::cuda {

namespace {

std::string mebibytes(int64_t bytes) {
    char text[40];
    std::snprintf(text, sizeof(text), "%.1f MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
    return text;
}

const char* fault_text(int32_t fault) {
    switch (static_cast<Fault>(fault)) {
        case Fault::gather:
            return "gather: a row number lies behind the last row";
        case Fault::scatter_mean:
            return "scatter_mean: a group number lies behind the last group";
        case Fault::carry_map:
            return "carry_map: a group or row number lies outside the map";
        case Fault::merge_map:
            return "merge_map: a partner is no odd token";
        case Fault::key_rows:
            return "attention: an entry of key_rows is no cached row";
        case Fault::quantise:
            return "a weight is no finite number, or too large to be stored as int8, int4 or fp8";
        default:
            return "an index lies outside its tensor";
    }
}

uint32_t parse_dtype(const std::string& what, const std::string& text, uint32_t automatic) {
    if (text == "auto") return automatic;
    if (text == "f32") return VLM_DTYPE_F32;
    if (text == "bf16") return VLM_DTYPE_BF16;
    throw invalid_argument(what + " \"" + text + "\" is unknown on the GPU; known are auto, f32, bf16");
}

std::string describe(Runtime& runtime, const Options& options) {
    return runtime.name() + ", " + (options.activation_dtype == VLM_DTYPE_F32 ? "f32" : "bf16") + " with " +
           weight_type_name(options.weights) + " weights";
}

constexpr WeightType kWeightTypes[] = {WeightType::f32,  WeightType::bf16, WeightType::f16,
                                       WeightType::int8, WeightType::int4, WeightType::fp8};

}  // namespace

WeightType weight_type_of(const std::string& name) {
    for (const WeightType type : kWeightTypes)
        if (name == weight_type_name(type)) return type;
    throw invalid_argument("weights \"" + name +
                           "\" is unknown on the GPU; known are auto, f32, bf16, f16, int8, int4, fp8");
}

const char* weight_type_name(WeightType type) noexcept {
    constexpr const char* names[] = {"f32", "bf16", "f16", "int8", "int4", "fp8"};
    return names[static_cast<size_t>(type)];
}

uint32_t dtype_of(WeightType type) noexcept {
    constexpr uint32_t dtypes[] = {VLM_DTYPE_F32, VLM_DTYPE_BF16, VLM_DTYPE_F16, 0, 0, VLM_DTYPE_F8_E4M3};
    return dtypes[static_cast<size_t>(type)];
}

int32_t bits_of(WeightType type) noexcept {
    return type == WeightType::int8 ? 8 : type == WeightType::int4 ? 4 : 0;
}

bool Options::wants_fp8() const {
    return weights == WeightType::fp8 ||
           std::any_of(rules.begin(), rules.end(), [](const WeightRule& rule) { return rule.type == "fp8"; });
}

Options parse_options(const std::string& dtype, const std::string& weights, const std::string& kv) {
    Options options;
    options.activation_dtype = parse_dtype("dtype", dtype, VLM_DTYPE_BF16);
    options.weights = weights != "auto"                           ? weight_type_of(weights)
                      : options.activation_dtype == VLM_DTYPE_F32 ? WeightType::f32
                                                                  : WeightType::bf16;
    if (parse_dtype("kv", kv, options.activation_dtype) != options.activation_dtype)
        throw invalid_argument("kv \"" + kv + "\": the GPU caches keys and values in the dtype of the activations, " +
                               cpu::dtype_text(options.activation_dtype) + "; leave it at auto");
    return options;
}

State::State(std::unique_ptr<Runtime> runtime, const Options& options_in, int ordinal,
             void (*log_in)(int32_t, const char*))
    : options(options_in),
      device{VLM_DEVICE_CUDA, ordinal},
      description(describe(*runtime, options_in)),
      log(log_in),
      runtime_(std::move(runtime)),
      fault_(runtime_->shared_word()),
      steps(*this) {}

State::~State() = default;

Queue State::queue_beside_pending(const vlm_run_context* run) {
    runtime_->bind();
    return {*runtime_, run != nullptr && run->stream != nullptr ? run->stream : runtime_->stream()};
}

Queue State::queue(const vlm_run_context* run) {
    const Queue queue = queue_beside_pending(run);
    pending_of(queue).flush(*this);
    return queue;
}

Queue State::quiet_queue(const vlm_run_context* run) noexcept {
    const Queue queue{*runtime_, run != nullptr && run->stream != nullptr ? run->stream : runtime_->stream()};
    pending_of(queue).flush_quietly(*this);
    return queue;
}

void* State::allocate(const Queue& queue, int64_t bytes, Purpose purpose) {
    if (steps.recording(queue.stream)) {
        void* place = purpose == Purpose::scratch ? steps.take(bytes) : nullptr;
        if (place != nullptr) {
            used_[static_cast<size_t>(purpose)] += bytes;
            return place;
        }
        steps.leave();
    }
    void* memory = runtime_->allocate(bytes > 0 ? bytes : 1, queue.stream);
    if (memory == nullptr) {
        // What has been freed may still wait for its place in the stream.
        runtime_->synchronize(queue.stream);
        ++synchronizations_;
        memory = runtime_->allocate(bytes > 0 ? bytes : 1, queue.stream);
    }
    if (memory == nullptr) {
        const MemoryInfo info = runtime_->memory();
        const auto used = [this](Purpose p) { return mebibytes(this->bytes(p)); };
        throw resource_exhausted("the GPU has no memory for " + mebibytes(bytes) + " more: " + mebibytes(info.free) +
                                 " of " + mebibytes(info.total) + " are free, weights take " + used(Purpose::weights) +
                                 ", kept tensors " + used(Purpose::kept) + ", keys and values " + used(Purpose::cache) +
                                 ", scratch " + used(Purpose::scratch) + ", tensors of the host " +
                                 used(Purpose::host) +
                                 "; use smaller weights, a shorter context, fewer sequences at once, or another GPU");
    }
    const int64_t now = used_[static_cast<size_t>(purpose)] += bytes;
    if (purpose == Purpose::scratch) {
        steps.measure(now);
        int64_t peak = peak_scratch_.load();
        while (now > peak && !peak_scratch_.compare_exchange_weak(peak, now)) continue;
    }
    return memory;
}

void State::release(const Queue& queue, void* memory, int64_t bytes, Purpose purpose) noexcept {
    if (!steps.give_back(memory)) runtime_->release(memory, queue.stream);
    used_[static_cast<size_t>(purpose)] -= bytes;
}

void State::check_fault() {
    const int32_t fault = *static_cast<volatile int32_t*>(fault_);
    if (fault == 0) return;
    *static_cast<volatile int32_t*>(fault_) = 0;
    throw Error(VLM_STATUS_OUT_OF_RANGE,
                std::string(fault_text(fault)) + " (found while waiting for the GPU; an earlier call is at fault)");
}

void State::upload(const Queue& queue, const void* source, void* target, int64_t bytes) {
    if (steps.recording(queue.stream)) {
        if (steps.upload(source, target, bytes)) return;
        steps.leave();
    }
    runtime_->upload(source, target, bytes, queue.stream);
}

bool State::multiply(const Queue& queue, const DenseProduct& product) {
    std::unique_ptr<Temporary> workspace;
    return runtime_->multiply(product, queue.stream, [&](int64_t bytes) {
        workspace = std::make_unique<Temporary>(*this, queue, bytes);
        return workspace->as<void>();
    });
}

Queue State::ahead_of(const Queue& queue) {
    if (!steps.recording(queue.stream)) return queue;
    steps.ahead();
    return {*runtime_, runtime_->stream()};
}

void State::wait_with(const Queue& queue, const std::function<void()>& wait) {
    if (steps.recording(queue.stream)) steps.leave();
    ++synchronizations_;
    const uint64_t launched = steps.launched();
    wait();
    if (queue.stream == runtime_->stream()) steps.waited(launched);
    check_fault();
}

void State::synchronize(const Queue& queue) {
    wait_with(queue, [&] { runtime_->synchronize(queue.stream); });
}

void State::download(const Queue& queue, const void* source, void* target, int64_t bytes) {
    downloaded_bytes_ += bytes;
    wait_with(queue, [&] { runtime_->download(source, target, bytes, queue.stream); });
}

int64_t checked_product(int64_t a, int64_t b, int64_t c) {
    int64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product))
        throw resource_exhausted("a size of " + std::to_string(a) + " x " + std::to_string(b) + " x " +
                                 std::to_string(c) + " is larger than memory can be");
    return product;
}

vlm_status report(State* state, const vlm_run_context* run, vlm_status code, const char* op,
                  const std::string& message) noexcept {
    try {
        const std::string text = std::string(op) + ": " + message;
        if (run != nullptr && run->error != nullptr) {
            run->error(run->host, code, text.c_str());
        } else if (state != nullptr) {
            state->log(VLM_LOG_ERROR, text.c_str());
        }
    } catch (...) {
        return code;  // Without memory for the message the code has to do.
    }
    return code;
}

vlm_status report_exception(State* state, const vlm_run_context* run, const char* op) noexcept {
    if (state != nullptr && run != nullptr) state->steps.failed(run->stream);
    try {
        throw;
    } catch (const Error& error) {
        return report(state, run, error.code(), op, error.what());
    } catch (const std::bad_alloc&) {
        return report(state, run, VLM_STATUS_RESOURCE_EXHAUSTED, op, "out of memory");
    } catch (const std::exception& error) {
        return report(state, run, VLM_STATUS_INTERNAL, op, error.what());
    } catch (...) {
        return report(state, run, VLM_STATUS_UNKNOWN, op, "a foreign exception");
    }
}

}  // namespace vlm::cuda
