/** @file linear_pack.cpp
 *  Packs the weights of a linear layer into panels of 32 outputs (kernels.hpp), once, when the model loads.
 *
 *  The sources may have any float dtype, be transposed or strided, and come in parts. They are read in small square
 * blocks into f32 on the stack, so that neither the source nor the target is walked against the grain of the cache for
 * long, and no f32 copy of a whole matrix ever exists. What has been packed of a mapped source is given back at once:
 * the peak while loading is the packed layers alone.
 */
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/linear.hpp"
#include "host/compute/cpu/quant.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"
#include "host/weights/packed_cache.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kDepthBlock = 64;
constexpr int64_t kMaxSide = int64_t{1} << 31;

/** One part: where its rows begin in the stacked matrix, and how to reach element (output, input). */
struct Part {
    View weight;
    View bias;
    int64_t first = 0, outputs = 0;
    int64_t output_stride = 0, input_stride = 0;
};

/** Sizes of one weight: outputs, inputs, and strides when the trailing dimensions can be walked as one. */
Part read_part(const vlm_tensor* weight, const vlm_tensor* bias, const std::string& what, bool transposed,
               int64_t* inputs) {
    Part part;
    const View v = view_of(weight, what.c_str(), 0);
    if (!is_float(v.dtype)) throw invalid_argument(v.text() + " is no float tensor");
    if (v.ndim < 2) throw invalid_argument(v.text() + ", expected a matrix [out, in]");
    if (transposed && v.ndim != 2) throw invalid_argument(v.text() + ", expected a matrix [in, out]");
    int64_t flat = 1;
    for (int32_t d = v.ndim - 1; d >= 1; --d) {
        const auto i = static_cast<size_t>(d);
        if (d < v.ndim - 1 && v.shape[i] != 1 && v.strides[i] != flat * v.strides[static_cast<size_t>(v.ndim - 1)])
            throw invalid_argument(v.text() + " is strided behind its first dimension, expected compact memory");
        flat *= v.shape[i];
    }
    part.outputs = transposed ? v.shape[1] : v.shape[0];
    *inputs = transposed ? v.shape[0] : flat;
    part.output_stride = transposed ? v.strides[1] : v.strides[0];
    part.input_stride = transposed ? v.strides[0] : v.strides[static_cast<size_t>(v.ndim - 1)];
    if (part.outputs < 1 || *inputs < 1 || part.outputs > kMaxSide || *inputs > kMaxSide)
        throw invalid_argument(v.text() + " is empty or too large for a layer");
    part.weight = v;
    if (bias != nullptr) {
        part.bias = optional_vector(bias, "bias", 0, part.outputs);
        if (!is_float(part.bias.dtype)) throw invalid_argument(part.bias.text() + " is no float tensor");
    }
    return part;
}

/** Reads outputs [0, n) from `part`-relative row `row` and inputs [k, k + depth) into `block[n][kDepthBlock]`. */
void read_block(const Part& part, int64_t row, int64_t n, int64_t k, int64_t depth, float* block) {
    with_type(part.weight.dtype, [&](auto tag) {
        using T = decltype(tag);
        const T* base = part.weight.data<const T>() + row * part.output_stride + k * part.input_stride;
        if (part.input_stride == 1) {
            for (int64_t o = 0; o < n; ++o)
                for (int64_t i = 0; i < depth; ++i)
                    block[o * kDepthBlock + i] = to_float(base[o * part.output_stride + i]);
        } else {
            for (int64_t i = 0; i < depth; ++i)
                for (int64_t o = 0; o < n; ++o)
                    block[o * kDepthBlock + i] = to_float(base[o * part.output_stride + i * part.input_stride]);
        }
    });
}

/** Writes a block of 32 outputs at depth `k` of a panel. */
void write_f32(const float* block, int64_t k, int64_t depth, std::byte* panel) {
    auto* target = reinterpret_cast<float*>(panel) + k * kPanel;
    for (int64_t i = 0; i < depth; ++i)
        for (int64_t o = 0; o < kPanel; ++o) target[i * kPanel + o] = block[o * kDepthBlock + i];
}

void write_bf16(const float* block, int64_t k, int64_t depth, std::byte* panel) {
    auto* target = reinterpret_cast<uint16_t*>(panel);
    for (int64_t i = 0; i < depth; ++i)
        for (int64_t o = 0; o < kPanel; ++o)
            target[(k + i) / 2 * 2 * kPanel + 2 * o + (k + i) % 2] = float_to_bf16(block[o * kDepthBlock + i]);
}

void write_f16(const float* block, int64_t k, int64_t depth, std::byte* panel) {
    auto* target = reinterpret_cast<uint16_t*>(panel) + k * kPanel;
    for (int64_t i = 0; i < depth; ++i)
        for (int64_t o = 0; o < kPanel; ++o) target[i * kPanel + o] = float_to_f16(block[o * kDepthBlock + i]);
}

/** Outputs of one panel; they may come from several parts. */
struct PanelOutputs {
    int64_t first, count;

    PanelOutputs(const vlm_linear& layer, int64_t index) {
        const int64_t inside = index % layer.segment_panels * kPanel;
        first = index / layer.segment_panels * layer.segment_outputs + inside;
        count = std::min(kPanel, layer.segment_outputs - inside);
    }
};

/** Calls `write(block, k, depth)` for the blocks of a panel in rising depth. */
template <class Write>
void for_each_block(const vlm_linear& layer, const std::vector<Part>& parts, int64_t index, Write&& write) {
    const auto [first, count] = PanelOutputs(layer, index);
    alignas(64) float block[kPanel * kDepthBlock];
    for (int64_t k = 0; k < layer.depth; k += kDepthBlock) {
        const int64_t depth = std::min(kDepthBlock, layer.depth - k);
        const int64_t present = std::clamp<int64_t>(layer.in - k, 0, depth);
        std::fill(std::begin(block), std::end(block), 0.0f);
        for (const Part& part : parts) {
            const int64_t begin = std::max(first, part.first);
            const int64_t end = std::min(first + count, part.first + part.outputs);
            if (begin < end && present > 0)
                read_block(part, begin - part.first, end - begin, k, present, block + (begin - first) * kDepthBlock);
        }
        write(block, k, depth);
    }
}

/** Where a weight lies that cannot be quantised, as an error. */
Error unquantisable(const vlm_linear& layer, const std::vector<Part>& parts, int64_t index) {
    std::string place = "a weight";
    const int64_t first = PanelOutputs(layer, index).first;
    for_each_block(layer, parts, index, [&](const float* block, int64_t k, int64_t depth) {
        for (int64_t o = kPanel - 1; o >= 0; --o)
            for (int64_t i = depth - 1; i >= 0; --i)
                if (const float w = block[o * kDepthBlock + i]; !(std::abs(w) <= kQuantLimit))
                    place = "the weight from input " + std::to_string(k + i) + " to output " +
                            std::to_string(first + o) + " is " + std::to_string(w);
    });
    return invalid_argument(layer.name + ": " + place + ", which cannot be stored as " + weight_type_name(layer.type) +
                            "; check the checkpoint, or give this layer another type with weights_of");
}

void quantise_panel(State& state, const vlm_linear& layer, const std::vector<Part>& parts, int64_t index,
                    std::byte* panel) {
    const ScratchBuffer memory(state.scratch, checked_product(layer.depth, kPanel, sizeof(float)));
    auto* weights = memory.as<float>();
    for_each_block(layer, parts, index, [&](const float* block, int64_t k, int64_t depth) {
        write_f32(block, k, depth, memory.as<std::byte>());
    });
    const QuantLayout layout = QuantLayout::of(quant_bits(layer.type), layer.depth);
    if (!quant_kernels().quantise_panel(weights, layout, panel)) throw unquantisable(layer, parts, index);
}

/** Sources of a panel that has been packed are not needed again. */
void release_rows(const State& state, const vlm_linear& layer, const std::vector<Part>& parts, int64_t index) {
    if (!state.stage.release) return;
    const auto [first, count] = PanelOutputs(layer, index);
    for (const Part& part : parts) {
        const int64_t begin = std::max(first, part.first), end = std::min(first + count, part.first + part.outputs);
        if (begin >= end || part.input_stride != 1) continue;
        const auto row = static_cast<uint64_t>(part.output_stride * element_bytes(part.weight.dtype));
        state.stage.release(part.weight.bytes + static_cast<uint64_t>(begin - part.first) * row,
                            static_cast<uint64_t>(end - begin) * row);
    }
}

void pack_panel(State& state, const vlm_linear& layer, const std::vector<Part>& parts, int64_t index,
                std::byte* panel) {
    if (is_quantised(layer.type)) {
        quantise_panel(state, layer, parts, index, panel);
    } else {
        const auto write = layer.type == WeightType::f32    ? write_f32
                           : layer.type == WeightType::bf16 ? write_bf16
                                                            : write_f16;
        for_each_block(layer, parts, index,
                       [&](const float* block, int64_t k, int64_t depth) { write(block, k, depth, panel); });
    }
    release_rows(state, layer, parts, index);
}

void pack_bias(vlm_linear& layer, const std::vector<Part>& parts) {
    const bool any = std::any_of(parts.begin(), parts.end(), [](const Part& p) { return p.bias.bytes != nullptr; });
    if (!any) return;
    layer.bias.assign(static_cast<size_t>(layer.segments * layer.segment_panels * kPanel), 0.0f);
    for (const Part& part : parts) {
        if (part.bias.bytes == nullptr) continue;
        with_type(part.bias.dtype, [&](auto tag) {
            using T = decltype(tag);
            for (int64_t o = 0; o < part.outputs; ++o) {
                const int64_t output = part.first + o;
                const int64_t place =
                    output / layer.segment_outputs * layer.segment_panels * kPanel + output % layer.segment_outputs;
                layer.bias[static_cast<size_t>(place)] = to_float(part.bias.data<const T>()[o]);
            }
        });
    }
}

/** A rule decides first. Without one, 4 bits are for the backbone, where most weights are and decoding reads all of
 * them for every token; its output layer and the stages before it, which the answer depends on most
 * (docs/performance.md has the measurements), have 8. */
WeightType stored_type(const State& state, const std::string& name, uint32_t flags) {
    const CpuOptions& options = state.options;
    if (const std::string* type = find_weight_type(options.rules, name))
        return expect_weight_type(*type, "weights_of, for " + name + ":");
    const bool keep = (flags & VLM_LINEAR_KEEP_PRECISION) != 0;
    const bool other_stage = !state.stage.name.empty() && state.stage.name != "backbone";
    if (options.weights == WeightType::int4 && (keep || other_stage)) return WeightType::int8;
    return options.weights;
}

/** Sizes of the packed layer. */
void plan_layer(vlm_linear& layer) {
    layer.segments = layer.out % 2 == 0 ? 2 : 1;
    layer.segment_outputs = layer.out / layer.segments;
    layer.segment_panels = (layer.segment_outputs + kPanel - 1) / kPanel;
    layer.depth = layer.in;
    if (is_quantised(layer.type)) {
        const QuantLayout layout = QuantLayout::of(quant_bits(layer.type), layer.in);
        layer.depth = layout.depth();
        layer.panel_bytes = layout.bytes();
    } else {
        if (layer.type == WeightType::bf16) layer.depth = (layer.in + kPairDepth - 1) / kPairDepth * kPairDepth;
        layer.panel_bytes = checked_product(layer.depth, kPanel, layer.type == WeightType::f32 ? 4 : 2);
    }
    layer.bytes = checked_product(layer.panel_bytes, layer.segments * layer.segment_panels);
}

std::string cached_name(const vlm_linear& layer) {
    return layer.name + " " + weight_type_name(layer.type) + " " + std::to_string(layer.in) + " x " +
           std::to_string(layer.out);
}

/** Points the layer at panels that an earlier start has packed, when there are some. */
bool take_cached(State& state, vlm_linear& layer) {
    if (!state.packed_cache) return false;
    const std::byte* panels = state.packed_cache->next(cached_name(layer), static_cast<uint64_t>(layer.bytes));
    if (panels == nullptr) return false;
    layer.panels = {const_cast<std::byte*>(panels), [](void*) {}};  // read-only memory of the cache
    return true;
}

}  // namespace

vlm_status linear_pack(const vlm_compute* self, const vlm_linear_spec* spec, vlm_linear** linear) {
    return guarded_load(self, "linear_pack", [&](State& state) {
        if (linear == nullptr) throw invalid_argument("the place for the handle is NULL");
        *linear = nullptr;
        if (spec == nullptr) throw invalid_argument("spec is NULL");
        if (spec->struct_size < sizeof(vlm_linear_spec) || spec->struct_size > VLM_STRUCT_SIZE_MAX)
            throw invalid_argument("spec has struct_size " + std::to_string(spec->struct_size) + ", expected " +
                                   std::to_string(sizeof(vlm_linear_spec)));
        if (spec->part_count < 1 || spec->part_count > 65536 || spec->weights == nullptr)
            throw invalid_argument("spec has " + std::to_string(spec->part_count) + " weights, expected at least 1");
        auto layer = std::make_unique<vlm_linear>();
        layer->name = spec->name != nullptr ? spec->name : "layer";
        const std::string full_name = state.stage.name.empty() ? layer->name : state.stage.name + "/" + layer->name;
        layer->type = stored_type(state, full_name, spec->flags);
        std::vector<std::string> names;
        names.reserve(spec->part_count);
        std::vector<Part> parts;
        for (uint32_t i = 0; i < spec->part_count; ++i) {
            names.push_back(layer->name + " weight " + std::to_string(i));
            int64_t inputs = 0;
            Part part = read_part(spec->weights[i], spec->biases != nullptr ? spec->biases[i] : nullptr, names.back(),
                                  (spec->flags & VLM_LINEAR_TRANSPOSED) != 0, &inputs);
            if (i > 0 && inputs != layer->in)
                throw invalid_argument(part.weight.text() + " has " + std::to_string(inputs) +
                                       " inputs, the part before " + std::to_string(layer->in));
            layer->in = inputs;
            part.first = layer->out;
            layer->out += part.outputs;
            parts.push_back(part);
        }
        plan_layer(*layer);
        const int64_t panels = layer->segments * layer->segment_panels;
        pack_bias(*layer, parts);
        if (!take_cached(state, *layer)) {
            layer->panels = {static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>(layer->bytes))),
                             std::free};
            if (layer->panels == nullptr)
                throw resource_exhausted(layer->name + ": the system has no memory for " +
                                         std::to_string(layer->bytes) + " bytes of packed weights");
            state.pool.parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
                for (int64_t p = begin; p < end; ++p)
                    pack_panel(state, *layer, parts, p, layer->panels.get() + p * layer->panel_bytes);
            });
            if (state.packed_cache)
                state.packed_cache->add(cached_name(*layer), layer->panels.get(), static_cast<uint64_t>(layer->bytes));
        }
        int64_t source_bytes = 0;
        for (const Part& part : parts) source_bytes += part.weight.elements * element_bytes(part.weight.dtype);
        if (state.stage.loaded) state.stage.loaded(static_cast<uint64_t>(source_bytes));
        layer->bytes += static_cast<int64_t>(layer->bias.size() * sizeof(float));
        state.packed_bytes += layer->bytes;
        {
            const std::lock_guard lock(state.layers_mutex);
            state.layers.push_back(
                {full_name, weight_type_name(layer->type), checked_product(layer->in, layer->out), layer->bytes});
        }
        *linear = layer.release();
    });
}

void linear_release(const vlm_compute* self, vlm_linear* linear) {
    if (linear == nullptr || self == nullptr) return;
    static_cast<State*>(self->impl)->packed_bytes -= linear->bytes;
    delete linear;
}

}  // namespace vlm::cpu
