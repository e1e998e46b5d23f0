/** @file linear_pack.cpp
 *  Brings the weights of a layer to the GPU, once, when the model loads.
 *
 *  They stay `[out, in]` as files have them, rows padded to 16 bytes, since cuBLASLt reads that as it is and the own
 * kernel for few rows wants whole pieces. Quantised layers go through f32 on the GPU some rows at a time, and the GPU
 * finds the codes. Which layers keep more bits is decided as on the CPU device.
 */
#include <algorithm>

#include "host/compute/cuda/linear_ops.hpp"
#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

constexpr int64_t kMaxSide = int64_t{1} << 31;
/** Elements to which rows of weights are padded. */
constexpr int64_t kRowStep = 8;
/** Weights that are quantised at once, as f32. */
constexpr int64_t kQuantiseBytes = int64_t{64} << 20;

bool is_float(uint32_t dtype) {
    const uint32_t code = dtype >> 16;
    return code == VLM_TYPE_FLOAT || code == VLM_TYPE_BFLOAT || code == VLM_TYPE_FLOAT8_E4M3FN ||
           code == VLM_TYPE_FLOAT8_E5M2;
}

/** A weight as `[out, in]`, whatever it was. */
View read_weight(const vlm_tensor* weight, const std::string& what, bool transposed) {
    View v = cpu::view_of(weight, what.c_str(), 0);
    if (!is_float(v.dtype)) throw invalid_argument(v.text() + " is no float tensor");
    if (v.ndim < 2 || (transposed && v.ndim != 2))
        throw invalid_argument(v.text() + ", expected a matrix " + (transposed ? "[in, out]" : "[out, in]"));
    const int64_t step = v.strides[static_cast<size_t>(v.ndim - 1)];
    int64_t inputs = 1;
    for (int32_t d = v.ndim - 1; d >= 1; --d) {
        if (v.dim(d) != 1 && d < v.ndim - 1 && v.strides[static_cast<size_t>(d)] != inputs * step)
            throw invalid_argument(v.text() + " is strided behind its first dimension, expected compact memory");
        inputs *= v.dim(d);
    }
    if (v.elements == 0 || v.dim(0) > kMaxSide || inputs > kMaxSide)
        throw invalid_argument(v.text() + " is empty or too large for a layer");
    if (transposed) {
        std::swap(v.shape[0], v.shape[1]);
        std::swap(v.strides[0], v.strides[1]);
    } else {
        v.ndim = 2;
        v.shape[1] = inputs;
        v.strides[1] = step;
    }
    return v;
}

View bias_view(void* memory, uint32_t dtype, int64_t first, int64_t n) {
    View v;
    v.what = "packed biases";
    v.dtype = dtype;
    v.ndim = 1;
    v.shape[0] = n;
    v.strides[0] = 1;
    v.elements = n;
    v.bytes = static_cast<std::byte*>(memory) + first * cpu::element_bytes(dtype);
    return v;
}

void free_layer(State& state, const Queue& queue, LinearLayer& layer) noexcept {
    for (const auto& [memory, bytes] : layer.blocks) state.release(queue, memory, bytes, Purpose::weights);
    layer.blocks.clear();
}

void* take(State& state, const Queue& queue, LinearLayer& layer, int64_t bytes) {
    layer.blocks.reserve(layer.blocks.size() + 1);
    void* memory = state.allocate(queue, bytes, Purpose::weights);
    layer.blocks.emplace_back(memory, bytes);
    return memory;
}

/** A rule decides first. Without one, 4 bits are for the backbone, but for its output layer. That has 8 bits in groups
 * beside fp8 as well: they are finer at the same size, and of a prompt it sees few rows, for which fp8 is no faster. */
WeightType stored_type(const State& state, const std::string& name, uint32_t flags) {
    if (const std::string* type = find_weight_type(state.options.rules, name)) return weight_type_of(*type);
    const bool keep = (flags & VLM_LINEAR_KEEP_PRECISION) != 0;
    const bool other_stage = !state.stage.empty() && state.stage != "backbone";
    if (state.options.weights == WeightType::int4 && (keep || other_stage)) return WeightType::int8;
    if (state.options.weights == WeightType::fp8 && keep) return WeightType::int8;
    return state.options.weights;
}

void upload_plain(State& state, const Queue& queue, LinearLayer& layer, const std::vector<View>& weights) {
    WeightMatrix& m = layer.weight;
    m.stride = divide_up(layer.in, kRowStep) * kRowStep;
    const int64_t bytes = checked_product(layer.out, m.stride, cpu::element_bytes(m.dtype));
    m.data = take(state, queue, layer, bytes);
    if (m.stride != layer.in) queue.runtime.clear(m.data, bytes, queue.stream);
    for (size_t i = 0; i < weights.size(); ++i)
        upload_view(state, queue, weights[i], weight_rows(layer, layer.parts[i], layer.parts[i + 1] - layer.parts[i]));
}

void upload_quantised(State& state, const Queue& queue, LinearLayer& layer, const std::vector<View>& weights) {
    WeightMatrix& m = layer.weight;
    if (m.e4m3()) {
        m.stride = divide_up(layer.in, kE4m3Step) * kE4m3Step;
        const int64_t outputs = divide_up(layer.out, kE4m3Step) * kE4m3Step, bytes = checked_product(outputs, m.stride);
        m.data = take(state, queue, layer, bytes);
        if (outputs != layer.out) queue.runtime.clear(m.data, bytes, queue.stream);
        m.out_scales = static_cast<float*>(take(state, queue, layer, layer.out * 4));
    } else {
        m.groups = divide_up(layer.in, kQuantGroup);
        m.stride = m.groups * kQuantGroup * m.bits / 8;
        const int64_t groups = checked_product(layer.out, m.groups);
        m.data = take(state, queue, layer, checked_product(layer.out, m.stride));
        m.scales = static_cast<uint8_t*>(take(state, queue, layer, groups));
        if (m.bits == 4) m.zeros = static_cast<uint8_t*>(take(state, queue, layer, groups));
        m.bases = static_cast<uint8_t*>(take(state, queue, layer, layer.out));
    }
    const int64_t step = std::clamp<int64_t>(kQuantiseBytes / (layer.in * 4), 1, layer.out);
    const Temporary buffer(state, queue, checked_product(step, layer.in, 4));
    for (size_t i = 0; i < weights.size(); ++i)
        for (int64_t first = 0; first < weights[i].dim(0); first += step) {
            View source = weights[i];
            source.shape[0] = std::min(step, source.dim(0) - first);
            source.elements = source.shape[0] * layer.in;
            source.bytes += first * source.strides[0] * cpu::element_bytes(source.dtype);
            View target = source;
            target.dtype = VLM_DTYPE_F32;
            target.strides[0] = layer.in;
            target.strides[1] = 1;
            target.bytes = buffer.as<std::byte>();
            upload_view(state, queue, source, target);
            launch_quantise(queue, buffer.as<float>(), source.dim(0), layer.in, m.from(layer.parts[i] + first),
                            state.fault());
        }
}

void upload_biases(State& state, const Queue& queue, LinearLayer& layer, const std::vector<View>& biases) {
    if (std::all_of(biases.begin(), biases.end(), [](const View& b) { return b.bytes == nullptr; })) return;
    const uint32_t rounded = state.options.activation_dtype;
    layer.bias = static_cast<float*>(take(state, queue, layer, layer.out * 4));
    queue.runtime.clear(layer.bias, layer.out * 4, queue.stream);
    layer.product_bias = layer.bias;
    if (rounded != VLM_DTYPE_F32) {
        layer.product_bias = take(state, queue, layer, layer.out * cpu::element_bytes(rounded));
        queue.runtime.clear(layer.product_bias, layer.out * cpu::element_bytes(rounded), queue.stream);
    }
    for (size_t i = 0; i < biases.size(); ++i) {
        const int64_t first = layer.parts[i], n = layer.parts[i + 1] - first;
        if (biases[i].bytes == nullptr) continue;
        upload_view(state, queue, biases[i], bias_view(layer.bias, VLM_DTYPE_F32, first, n));
        if (rounded != VLM_DTYPE_F32)
            upload_view(state, queue, biases[i], bias_view(layer.product_bias, rounded, first, n));
    }
}

}  // namespace

View weight_rows(const LinearLayer& layer, int64_t first, int64_t n) {
    View v;
    v.what = "packed weights";
    v.dtype = layer.weight.dtype;
    v.ndim = 2;
    v.shape = {n, layer.in};
    v.strides = {layer.weight.stride, 1};
    v.elements = n * layer.in;
    v.bytes = static_cast<std::byte*>(layer.weight.data) +
              first * layer.weight.stride * cpu::element_bytes(layer.weight.dtype);
    return v;
}

vlm_status linear_pack(const vlm_compute* self, const vlm_linear_spec* spec, vlm_linear** linear) {
    return guarded(self, nullptr, "linear_pack", [&](State& state, const Queue& queue) {
        if (linear == nullptr) throw invalid_argument("the place for the handle is NULL");
        *linear = nullptr;
        if (spec == nullptr) throw invalid_argument("spec is NULL");
        if (spec->struct_size < sizeof(vlm_linear_spec) || spec->struct_size > VLM_STRUCT_SIZE_MAX)
            throw invalid_argument("spec has struct_size " + std::to_string(spec->struct_size) + ", expected " +
                                   std::to_string(sizeof(vlm_linear_spec)));
        if (spec->part_count < 1 || spec->part_count > 65536 || spec->weights == nullptr)
            throw invalid_argument("spec has " + std::to_string(spec->part_count) + " weights, expected at least 1");
        auto layer = std::make_unique<LinearLayer>();
        layer->name = spec->name != nullptr ? spec->name : "layer";
        layer->type =
            stored_type(state, state.stage.empty() ? layer->name : state.stage + "/" + layer->name, spec->flags);
        layer->weight.dtype = dtype_of(layer->type);
        layer->weight.bits = bits_of(layer->type);
        layer->parts.push_back(0);
        std::vector<View> weights, biases;
        for (uint32_t i = 0; i < spec->part_count; ++i) {
            const std::string what = layer->name + " weight " + std::to_string(i);
            View weight = read_weight(spec->weights[i], what, (spec->flags & VLM_LINEAR_TRANSPOSED) != 0);
            weight.what = "weight";
            if (i > 0 && weight.dim(1) != layer->in)
                throw invalid_argument(what + " has " + std::to_string(weight.dim(1)) + " inputs, the part before " +
                                       std::to_string(layer->in));
            layer->in = weight.dim(1);
            layer->out += weight.dim(0);
            layer->parts.push_back(layer->out);
            const vlm_tensor* bias = spec->biases != nullptr ? spec->biases[i] : nullptr;
            View b;
            if (bias != nullptr) {
                b = cpu::optional_vector(bias, "bias", 0, weight.dim(0));
                if (!is_float(b.dtype)) throw invalid_argument(b.text() + " is no float tensor");
            }
            weights.push_back(weight);
            biases.push_back(b);
        }
        try {
            if (layer->weight.coded()) {
                upload_quantised(state, queue, *layer, weights);
            } else {
                upload_plain(state, queue, *layer, weights);
            }
            upload_biases(state, queue, *layer, biases);
            if (layer->weight.coded()) {
                try {
                    state.synchronize(queue);  // weights that cannot be quantised are found there
                } catch (const Error& error) {
                    throw Error(error.code(), layer->name + ": " + error.what());
                }
            }
        } catch (...) {
            free_layer(state, queue, *layer);
            throw;
        }
        for (const View& weight : weights) state.tell_loaded(weight);
        *linear = reinterpret_cast<vlm_linear*>(layer.release());
    });
}

void linear_release(const vlm_compute* self, vlm_linear* linear) {
    if (linear == nullptr || self == nullptr) return;
    guarded_quiet(self, nullptr, "linear_release", [&](State& state, const Queue& queue) {
        const std::unique_ptr<LinearLayer> layer(reinterpret_cast<LinearLayer*>(linear));
        free_layer(state, queue, *layer);
    });
}

}  // namespace vlm::cuda
