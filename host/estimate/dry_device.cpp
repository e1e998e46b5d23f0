/** @file dry_device.cpp
 *  See dry_device.hpp. The table is that of the CPU with the costly functions replaced.
 */
#include "host/estimate/dry_device.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "host/base/error.hpp"

namespace vlm::estimate {

/** `compute` stands first, so that the pointer that plugins pass back is the whole. */
struct DryDevice::Table {
    vlm_compute compute;
    Work work;
    double element_bytes = 2;
    double cache_element_bytes = 2;
    double packed_bytes = 0;
    bool four_bits = false, fp8 = false;
    std::string stage;  ///< That loads its weights.
    std::map<std::string, double> stage_weights;
    mutable std::mutex mutex;
};

namespace {

using Table = DryDevice::Table;

Table& table_of(const vlm_compute* self) {
    return *reinterpret_cast<Table*>(const_cast<vlm_compute*>(self));
}

int64_t elements(const vlm_tensor* tensor) {
    return tensor == nullptr ? 0
                             : element_count({tensor->view.shape, static_cast<size_t>(std::max(0, tensor->view.ndim))});
}
int64_t last(const vlm_tensor* tensor) {
    return tensor->view.shape[tensor->view.ndim - 1];
}
void zero(vlm_tensor* tensor) {
    if (tensor == nullptr || tensor->view.strides != nullptr) return;
    std::memset(static_cast<char*>(tensor->view.data) + tensor->view.byte_offset, 0,
                static_cast<size_t>(elements(tensor) * tensor->view.dtype.bits / 8));
}

/** Memory that is never written stays the kernel's one page of zeros, so that a table of gigabytes costs nothing. */
struct KeptTensor {
    vlm_tensor tensor{};
    int64_t shape[VLM_MAX_DIMS]{};
    void* memory = nullptr;
    size_t bytes = 0;
};

vlm_status keep(const vlm_compute* self, const vlm_tensor* source, uint32_t to, vlm_tensor** tensor) {
    auto kept = std::make_unique<KeptTensor>();
    kept->tensor = *source;
    std::copy_n(source->view.shape, source->view.ndim, kept->shape);
    kept->bytes = std::max<size_t>(64, static_cast<size_t>(elements(source)) * (to & 0xFFFFu) / 8);
    kept->memory =
        mmap(nullptr, kept->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (kept->memory == MAP_FAILED) return VLM_STATUS_RESOURCE_EXHAUSTED;
    auto& view = kept->tensor.view;
    view.data = kept->memory;
    view.device = self->device;
    view.dtype = {static_cast<uint8_t>(to >> 16), static_cast<uint8_t>(to & 0xFFFFu), 1};
    view.shape = kept->shape;
    view.strides = nullptr;
    view.byte_offset = 0;
    Table& table = table_of(self);
    const std::lock_guard lock(table.mutex);
    table.packed_bytes += static_cast<double>(kept->bytes);
    table.stage_weights[table.stage] += static_cast<double>(elements(source));
    *tensor = &kept.release()->tensor;
    return VLM_STATUS_OK;
}

void release(const vlm_compute*, vlm_tensor* tensor) {
    if (tensor == nullptr) return;
    const std::unique_ptr<KeptTensor> kept(reinterpret_cast<KeptTensor*>(tensor));
    munmap(kept->memory, kept->bytes);
}

struct DryLinear {
    int64_t in = 0;
    int64_t out = 0;
    double bytes = 0;
};

/** 4 bits are for the backbone without its output layer, and fp8 for all but that. */
double stored_element(const Table& table, uint32_t flags) {
    const bool keep = (flags & VLM_LINEAR_KEEP_PRECISION) != 0;
    const bool other_stage = !table.stage.empty() && table.stage != "backbone";
    const bool finer = (table.four_bits && (keep || other_stage)) || (table.fp8 && keep);
    return finer ? weight_element_bytes("int8") : table.element_bytes;
}

vlm_status linear_pack(const vlm_compute* self, const vlm_linear_spec* spec, vlm_linear** linear) {
    auto layer = std::make_unique<DryLinear>();
    for (uint32_t i = 0; i < spec->part_count; ++i) {
        const vlm_tensor* weight = spec->weights[i];
        const int64_t first = weight->view.shape[0], rest = first > 0 ? elements(weight) / first : 0;
        const bool transposed = (spec->flags & VLM_LINEAR_TRANSPOSED) != 0;
        layer->in = transposed ? first : rest;
        layer->out += transposed ? rest : first;
    }
    Table& table = table_of(self);
    const std::lock_guard lock(table.mutex);
    layer->bytes =
        static_cast<double>(layer->in) * static_cast<double>(layer->out) * stored_element(table, spec->flags);
    table.packed_bytes += layer->bytes;
    table.stage_weights[table.stage] += static_cast<double>(layer->in) * static_cast<double>(layer->out);
    *linear = reinterpret_cast<vlm_linear*>(layer.release());
    return VLM_STATUS_OK;
}

void linear_release(const vlm_compute*, vlm_linear* linear) {
    delete reinterpret_cast<DryLinear*>(linear);
}

vlm_status linear(const vlm_compute* self, const vlm_run_context*, const vlm_linear* linear, const vlm_tensor* x,
                  const vlm_epilogue*, vlm_tensor*) {
    const auto& layer = *reinterpret_cast<const DryLinear*>(linear);
    const double weights = static_cast<double>(layer.in) * static_cast<double>(layer.out);
    const double rows = layer.in > 0 ? static_cast<double>(elements(x)) / static_cast<double>(layer.in) : 0;
    Table& table = table_of(self);
    const std::lock_guard lock(table.mutex);
    table.work.linear_flops += 2 * rows * weights;
    table.work.weight_bytes += layer.bytes;
    return VLM_STATUS_OK;
}

vlm_status matmul(const vlm_compute* self, const vlm_run_context*, const vlm_tensor* a, const vlm_tensor*, int32_t,
                  float, vlm_tensor* c) {
    zero(c);  // similarities decide maps
    Table& table = table_of(self);
    const std::lock_guard lock(table.mutex);
    table.work.matmul_flops += 2 * static_cast<double>(elements(c)) * static_cast<double>(last(a));
    return VLM_STATUS_OK;
}

struct DryCache {
    vlm_kv_spec spec{};
    std::vector<int64_t> lengths;
};

vlm_status kv_create(const vlm_compute*, const vlm_kv_spec* spec, vlm_kv_cache** cache) {
    if (spec->layers < 0) return VLM_STATUS_INVALID_ARGUMENT;
    auto made = std::make_unique<DryCache>();
    made->spec = *spec;
    made->lengths.assign(static_cast<size_t>(spec->layers), 0);
    *cache = reinterpret_cast<vlm_kv_cache*>(made.release());
    return VLM_STATUS_OK;
}
void kv_destroy(const vlm_compute*, vlm_kv_cache* cache) {
    delete reinterpret_cast<DryCache*>(cache);
}
int64_t kv_length(const vlm_compute*, const vlm_kv_cache* cache, int32_t layer) {
    return reinterpret_cast<const DryCache*>(cache)->lengths.at(static_cast<size_t>(layer));
}
vlm_status kv_truncate(const vlm_compute*, vlm_kv_cache* cache, int32_t layer, int64_t length) {
    auto& held = reinterpret_cast<DryCache*>(cache)->lengths.at(static_cast<size_t>(layer));
    held = std::min(held, length);
    return VLM_STATUS_OK;
}
int64_t kv_bytes(const vlm_compute* self, const vlm_kv_cache* cache) {
    const auto& dry = *reinterpret_cast<const DryCache*>(cache);
    double elements = 0;
    for (const int64_t length : dry.lengths)
        elements += 2.0 * static_cast<double>(length) * dry.spec.kv_heads * dry.spec.head_dim;
    return static_cast<int64_t>(elements * table_of(self).cache_element_bytes);
}

/** Pairs of a row and a key that it sees. */
double visible_pairs(const vlm_attention& args, int64_t rows, int64_t keys) {
    double pairs = 0;
    if (args.mask_rule == VLM_MASK_FULL) return static_cast<double>(rows) * static_cast<double>(keys);
    if (args.mask_rule == VLM_MASK_DENSE) {
        const auto* mask = static_cast<const uint8_t*>(args.mask->view.data) + args.mask->view.byte_offset;
        return static_cast<double>(elements(args.mask) - std::count(mask, mask + elements(args.mask), uint8_t{0}));
    }
    const auto range = [](const vlm_tensor* tensor, int64_t i, int64_t fallback) -> int64_t {
        if (tensor == nullptr) return fallback;
        const auto* base = static_cast<const char*>(tensor->view.data) + tensor->view.byte_offset;
        return reinterpret_cast<const int32_t*>(base)[i];
    };
    for (int64_t i = 0; i < rows; ++i) {
        const bool causal = args.mask_rule == VLM_MASK_CAUSAL;
        const int64_t end = std::min(keys, causal ? keys - rows + i + 1 : range(args.key_end, i, keys));
        pairs += static_cast<double>(std::max<int64_t>(0, end - (causal ? 0 : range(args.key_begin, i, 0))));
    }
    return pairs;
}

vlm_status attention(const vlm_compute* self, const vlm_run_context*, const vlm_attention* args) {
    const vlm_tensor* q = args->q;
    const int64_t rows = q->view.shape[0], heads = q->view.shape[1], head_dim = q->view.shape[2];
    const int64_t fresh = args->k != nullptr ? args->k->view.shape[0] : 0;
    int64_t keys = fresh, kv_heads = args->k != nullptr ? args->k->view.shape[1] : heads;
    if (args->cache != nullptr) {
        auto& cache = *reinterpret_cast<DryCache*>(args->cache);
        keys = cache.lengths.at(static_cast<size_t>(args->layer)) += fresh;
        kv_heads = cache.spec.kv_heads;
    }
    const double cached = static_cast<double>(keys);
    if (args->key_rows != nullptr) keys = elements(args->key_rows);
    zero(args->last_row_scores);
    zero(args->weights);
    Table& table = table_of(self);
    const std::lock_guard lock(table.mutex);
    table.work.attention_flops += 2 * visible_pairs(*args, rows, keys) * static_cast<double>(heads) *
                                  static_cast<double>(head_dim + last(args->out));
    table.work.kv_bytes +=
        cached * static_cast<double>(kv_heads * (head_dim + last(args->out))) * table.cache_element_bytes;
    return VLM_STATUS_OK;
}

/** Work that passes over memory once: small beside the products, and its results are not looked at. */
template <typename... Arguments>
vlm_status nothing(const vlm_compute*, const vlm_run_context*, Arguments...) {
    return VLM_STATUS_OK;
}

CpuOptions options_for(const std::string& dtype) {
    CpuOptions options;
    options.mode = dtype == "f32" ? Precision::f32 : Precision::bf16;
    return options;
}

}  // namespace

Work Work::operator-(const Work& before) const {
    return {linear_flops - before.linear_flops, matmul_flops - before.matmul_flops,
            attention_flops - before.attention_flops, weight_bytes - before.weight_bytes, kv_bytes - before.kv_bytes};
}

double DryDevice::weight_element_bytes() const {
    return table_->element_bytes;
}

double weight_element_bytes(const std::string& weights) {
    if (weights == "f32") return 4;
    if (weights == "bf16" || weights == "f16" || weights == "auto" || weights.empty()) return 2;
    if (weights == "int8") return 8.25 / 8;
    if (weights == "int4") return 4.5 / 8;
    if (weights == "fp8") return 1 + 4.0 / 1024;
    throw invalid_argument("weights '" + weights + "' are none; known: f32, f16, bf16, int8, int4, fp8, auto");
}

DryDevice::DryDevice(const std::string& dtype, const std::string& weights)
    : cpu_(options_for(dtype)), table_(std::make_unique<Table>()) {
    const bool wide = dtype == "f32";
    vlm_compute& t = table_->compute;
    t = *cpu_.table();
    table_->element_bytes = estimate::weight_element_bytes(weights == "auto" && wide ? "f32" : weights);
    table_->four_bits = weights == "int4";
    table_->fp8 = weights == "fp8";
    table_->cache_element_bytes = wide ? 4 : 2;
    t.keep = keep;
    t.release = release;
    t.linear_pack = linear_pack;
    t.linear_release = linear_release;
    t.linear = linear;
    t.matmul = matmul;
    t.attention = attention;
    t.kv_create = kv_create;
    t.kv_destroy = kv_destroy;
    t.kv_length = kv_length;
    t.kv_truncate = kv_truncate;
    t.kv_bytes = kv_bytes;
    t.gather = nothing<const vlm_tensor*, const vlm_tensor*, vlm_tensor*>;
    t.rope = nothing<vlm_tensor*, const vlm_tensor*, const vlm_tensor*, int32_t>;
    t.interpolate = nothing<const vlm_tensor*, int32_t, int32_t, int32_t, vlm_tensor*>;
    t.layer_norm = nothing<const vlm_tensor*, const vlm_tensor*, const vlm_tensor*, float, vlm_tensor*>;
    t.rms_norm = nothing<const vlm_tensor*, const vlm_tensor*, float, float, vlm_tensor*>;
    t.l2_normalize = nothing<const vlm_tensor*, float, vlm_tensor*>;
    t.softmax = nothing<const vlm_tensor*, vlm_tensor*>;
    t.activation = nothing<const vlm_tensor*, uint32_t, vlm_tensor*>;
    t.add = nothing<const vlm_tensor*, const vlm_tensor*, float, vlm_tensor*>;
    t.multiply = nothing<const vlm_tensor*, const vlm_tensor*, vlm_tensor*>;
    t.permute = nothing<const vlm_tensor*, const int32_t*, vlm_tensor*>;
    t.patches = nothing<const vlm_tensor*, int32_t, int32_t, int32_t, vlm_tensor*>;
}

DryDevice::~DryDevice() = default;

const vlm_compute* DryDevice::compute() const {
    return &table_->compute;
}

DeviceCounters DryDevice::counters() const {
    const std::lock_guard lock(table_->mutex);
    return {table_->work.flops(), static_cast<int64_t>(table_->packed_bytes), cpu_.counters().peak_scratch_bytes};
}

void DryDevice::begin_stage(LoadingStage stage) {
    const std::lock_guard lock(table_->mutex);
    table_->stage = stage.name;
}

double DryDevice::stage_weights(const std::string& stage) const {
    const std::lock_guard lock(table_->mutex);
    const auto found = table_->stage_weights.find(stage);
    return found != table_->stage_weights.end() ? found->second : 0;
}

double DryDevice::weight_element(const std::string& stage) const {
    return table_->four_bits && stage != "backbone" ? estimate::weight_element_bytes("int8") : table_->element_bytes;
}

double DryDevice::cache_element() const {
    return table_->cache_element_bytes;
}

Work DryDevice::work() const {
    const std::lock_guard lock(table_->mutex);
    return table_->work;
}

}  // namespace vlm::estimate
