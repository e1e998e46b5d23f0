/** @file cpu_compute.cpp
 *  Fills the table, keeps the counters, and holds the edge between exceptions and statuses.
 */
#include "host/compute/cpu/cpu_compute.hpp"

#include "host/base/cpu_features.hpp"
#include "host/base/log.hpp"
#include "host/compute/cpu/attention.hpp"
#include "host/compute/cpu/linear.hpp"
#include "host/compute/cpu/linear_amx.hpp"
#include "host/compute/cpu/memory.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"

namespace vlm {

namespace {

constexpr std::array<const char*, static_cast<size_t>(Op::count)> kOpNames = {
    "create", "copy",        "fill",       "linear",       "matmul",       "attention", "rope_table",
    "rope",   "interpolate", "layer_norm", "rms_norm",     "l2_normalize", "softmax",   "activation",
    "add",    "multiply",    "gather",     "scatter_mean", "permute",      "patches",   "mean",
    "argmax", "top_k",       "merge_map",  "keep_map",     "carry_map"};

WeightType parse_weights(const std::string& text, Precision mode) {
    if (text == "auto") return mode == Precision::f32 ? WeightType::f32 : WeightType::bf16;
    return expect_weight_type(text, "weights");
}

KvType parse_kv(const std::string& text) {
    for (const KvType type : {KvType::automatic, KvType::f32, KvType::bf16, KvType::f16, KvType::int8})
        if (text == kv_type_name(type)) return type;
    throw invalid_argument("kv \"" + text + "\" is unknown on the CPU; known are auto, f32, bf16, f16, int8");
}

/** Quantised weights take quantised activations, which only "f32" forbids. */
Precision parse_precision(const std::string& text, const std::string& weights) {
    if (text == "f32") return Precision::f32;
    if (text == "bf16") return Precision::bf16;
    if (text == "auto" && (weights == "int8" || weights == "int4")) return Precision::bf16;
    if (text == "auto") return active_isa() >= Isa::avx512_bf16 ? Precision::bf16 : Precision::f32;
    throw invalid_argument("dtype \"" + text + "\" is unknown on the CPU; known are auto, f32, bf16");
}

}  // namespace

const char* weight_type_name(WeightType type) noexcept {
    static constexpr std::array<const char*, 5> names = {"f32", "f16", "bf16", "int8", "int4"};
    return names[static_cast<size_t>(type)];
}

const char* kv_type_name(KvType type) noexcept {
    static constexpr std::array<const char*, 5> names = {"auto", "f32", "bf16", "f16", "int8"};
    return names[static_cast<size_t>(type)];
}

std::optional<WeightType> weight_type_of(const std::string& name) noexcept {
    for (const WeightType type :
         {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::int8, WeightType::int4})
        if (name == weight_type_name(type)) return type;
    return std::nullopt;
}

WeightType expect_weight_type(const std::string& name, const std::string& what) {
    if (const auto type = weight_type_of(name)) return *type;
    if (name == "fp8")
        throw invalid_argument(what +
                               " \"fp8\" is for GPUs with compute capability 8.9 or later, the CPU has no products in "
                               "fp8; use \"int8\", which takes as much memory, or a device \"cuda\"");
    throw invalid_argument(what + " \"" + name +
                           "\" is unknown on the CPU; known are auto, f32, f16, bf16, int8, int4");
}

const char* op_name(Op op) noexcept {
    return op < Op::count ? kOpNames[static_cast<size_t>(op)] : "unknown";
}

uint64_t CpuStatistics::flops() const {
    uint64_t total = 0;
    for (const auto& kind : ops) total += kind.flops;
    return total;
}

CpuCompute::CpuCompute(const CpuOptions& options) {
    if (options.scratch_limit < 0)
        throw invalid_argument("scratch_limit is " + std::to_string(options.scratch_limit) + ", expected 0 or more");
    state_ = std::make_unique<cpu::State>(options);
    table_ = {};
    table_.struct_size = sizeof(table_);
    table_.abi_version = VLM_ABI_VERSION;
    table_.impl = state_.get();
    table_.device = {VLM_DEVICE_CPU, 0};
    table_.activation_dtype = VLM_DTYPE_F32;
    cpu::fill_operations(table_);
}

CpuCompute::~CpuCompute() {
    cpu::free_all_tensors(*state_);
}

void CpuCompute::end_run(const vlm_run_context* run) {
    cpu::free_run_tensors(*state_, run);
}

CpuStatistics CpuCompute::statistics() const {
    CpuStatistics s;
    for (size_t i = 0; i < s.ops.size(); ++i) {
        const auto& counter = state_->counters[i];
        s.ops[i] = {counter.calls.load(), counter.flops.load(), counter.nanoseconds.load()};
    }
    s.scratch_bytes = state_->scratch.in_use();
    s.peak_scratch_bytes = state_->scratch.peak();
    s.packed_bytes = state_->packed_bytes.load();
    s.kept_bytes = state_->kept_bytes.load();
    s.kv_bytes = state_->kv_bytes.load();
    return s;
}

void CpuCompute::reset_statistics() {
    for (auto& counter : state_->counters) {
        counter.calls = 0;
        counter.flops = 0;
        counter.nanoseconds = 0;
    }
    state_->scratch.reset_peak();
}

DeviceCounters CpuCompute::counters() const {
    const CpuStatistics s = statistics();
    return {static_cast<double>(s.flops()), s.packed_bytes + s.kept_bytes, s.peak_scratch_bytes};
}

void CpuCompute::begin_stage(LoadingStage stage) {
    const std::lock_guard lock(state_->layers_mutex);
    state_->stage = std::move(stage);
}

std::vector<PackedLayer> CpuCompute::packed_layers() const {
    const std::lock_guard lock(state_->layers_mutex);
    return state_->layers;
}

std::string CpuCompute::packing() const {
    const CpuOptions& options = state_->options;
    return std::string("cpu, ") + isa_name(active_isa()) + ", " + (options.mode == Precision::f32 ? "f32" : "bf16") +
           " with " + weight_type_name(options.weights);
}

int CpuCompute::packing_version() const {
    return cpu::kPackingVersion;
}

double CpuCompute::weight_element_bytes() const {
    switch (state_->options.weights) {
        case WeightType::f16:
        case WeightType::bf16:
            return 2;
        case WeightType::int8:
            return 8.25 / 8;  // quant.hpp
        case WeightType::int4:
            return 4.5 / 8;
        case WeightType::f32:
            break;
    }
    return sizeof(float);
}

ExactRows CpuCompute::exact_rows() const {
    // oneDNN, where it takes all rows, sums as it likes.
    if (state_->dense == DenseEngine::onednn) return {};
    return {cpu::kFewRows, cpu::kExactRows};  // spans of keys are cut for so few rows only
}

void CpuCompute::use_packed_cache(std::shared_ptr<PackedCache> cache) {
    if (cache) state_->open_caches.push_back(cache);
    state_->packed_cache = std::move(cache);
}

std::string CpuCompute::description() const {
    const int threads = state_->pool.threads();
    constexpr int64_t many_rows = 256;
    const CpuOptions& options = state_->options;
    const bool amx = cpu::amx_for(state_->dense, options.mode, options.weights, many_rows) != nullptr;
    const bool onednn = !amx && cpu::onednn_multiplies(state_->dense, state_->onednn, active_isa(), options.mode,
                                                       options.weights, many_rows);
    return std::string("CPU, ") + isa_name(active_isa()) + ", " + (options.mode == Precision::f32 ? "f32" : "bf16") +
           " with " + weight_type_name(options.weights) + " weights and " + kv_type_name(state_->kv) + " cache, " +
           std::to_string(threads) + (threads == 1 ? " thread" : " threads") + (amx ? ", own AMX kernels" : "") +
           (onednn ? std::string(", oneDNN ") + cpu::onednn_version() : std::string());
}

const std::string& CpuCompute::load_error() noexcept {
    return cpu::load_error_slot();
}

std::shared_ptr<Device> open_cpu_device(const DeviceOptions& options) {
    CpuOptions cpu_options;
    cpu_options.mode = parse_precision(options.dtype, options.weights);
    cpu_options.weights = parse_weights(options.weights, cpu_options.mode);
    cpu_options.kv = parse_kv(options.kv);
    cpu_options.rules = options.weight_rules;
    return std::make_shared<CpuCompute>(cpu_options);
}

namespace cpu {

std::string& load_error_slot() noexcept {
    thread_local std::string message;
    return message;
}

vlm_status report(const vlm_run_context* run, vlm_status code, const char* op, const std::string& message) noexcept {
    try {
        const std::string text = std::string(op) + ": " + message;
        if (run != nullptr && run->error != nullptr) {
            run->error(run->host, code, text.c_str());
        } else {
            load_error_slot() = text;
            log_message(VLM_LOG_ERROR, "cpu", text);
        }
    } catch (...) {
        return code;  // Without memory for the message the code has to do.
    }
    return code;
}

vlm_status report_exception(const vlm_run_context* run, const char* op) noexcept {
    try {
        throw;
    } catch (const Error& error) {
        return report(run, error.code(), op, error.what());
    } catch (const std::bad_alloc&) {
        return report(run, VLM_STATUS_RESOURCE_EXHAUSTED, op, "out of memory");
    } catch (const std::exception& error) {
        return report(run, VLM_STATUS_INTERNAL, op, error.what());
    } catch (...) {
        return report(run, VLM_STATUS_UNKNOWN, op, "a foreign exception");
    }
}

}  // namespace cpu
}  // namespace vlm
