/** @file linear_ops.cpp
 *  linear_pack, linear, matmul.
 *
 *  Weights stay `[out, in]` as files have them, rows padded to 16 bytes, since cuBLASLt reads that as it is and the own
 * kernel for few rows wants whole pieces. Three ways to multiply: up to eight rows the own kernel, everything fused;
 * more rows cuBLASLt with what it can fuse (fuse_epilogue); the rest in a pass over the products.
 */
#include "host/compute/cuda/linear_ops.hpp"

#include <algorithm>

#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

constexpr int64_t kMaxSide = int64_t{1} << 31;
/** Elements to which rows of weights are padded. */
constexpr int64_t kRowStep = 8;

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

/** Outputs [first, first + n) of a layer's weights as a view on the GPU. */
View weight_rows(const PackedLayer& layer, int64_t first, int64_t n) {
    View v;
    v.what = "packed weights";
    v.dtype = layer.dtype;
    v.ndim = 2;
    v.shape = {n, layer.in};
    v.strides = {layer.stride, 1};
    v.elements = n * layer.in;
    v.bytes = static_cast<std::byte*>(layer.weight) + first * layer.stride * cpu::element_bytes(layer.dtype);
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

void free_layer(State& state, const Queue& queue, PackedLayer& layer) noexcept {
    for (const auto& [memory, bytes] : layer.blocks) state.release(queue, memory, bytes, Purpose::weights);
    layer.blocks.clear();
}

void* take(State& state, const Queue& queue, PackedLayer& layer, int64_t bytes) {
    layer.blocks.reserve(layer.blocks.size() + 1);
    void* memory = state.allocate(queue, bytes, Purpose::weights);
    layer.blocks.emplace_back(memory, bytes);
    return memory;
}

void upload_biases(State& state, const Queue& queue, PackedLayer& layer, const std::vector<View>& biases) {
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

/** Reads and checks the epilogue. */
LinearEpilogue read_epilogue(State& state, const PackedLayer& layer, const vlm_epilogue* epilogue, const View& y) {
    LinearEpilogue e;
    e.bias = layer.bias;
    e.outputs = y.last();
    if (epilogue == nullptr) return e;
    if (epilogue->struct_size < sizeof(vlm_epilogue) || epilogue->struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument("epilogue has struct_size " + std::to_string(epilogue->struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_epilogue)));
    if (epilogue->activation > VLM_ACT_SIGMOID)
        throw invalid_argument("activation " + std::to_string(epilogue->activation) + " is unknown");
    e.activation = epilogue->activation;
    e.gated = epilogue->gated != 0;
    if (epilogue->residual != nullptr) {
        const View r = state.activation(epilogue->residual, "residual");
        if (r.elements != y.elements || r.last() != y.last()) cpu::expect_same_shape(r, y);
        e.residual = rows_of(r);
    }
    if (epilogue->scale != nullptr) {
        const View s = state.compact(epilogue->scale, "scale", VLM_DTYPE_F32);
        if (s.elements != 1 && s.elements != y.last())
            throw invalid_argument(s.text() + ", expected [" + std::to_string(y.last()) + "] or [1]");
        e.scale = s.data<const float>();
        e.scale_each = s.elements != 1;
    }
    return e;
}

bool uniform(const RowLayout& rows) {
    return rows.rows.dims == 1;
}

/** Rows [first, first + count) of rows a fixed distance apart. */
RowLayout rows_from(RowLayout rows, int64_t first, int64_t count, int64_t element) {
    rows.data += first * rows.rows.stride[0] * element;
    rows.count = rows.rows.shape[0] = count;
    return rows;
}

/** Plain products by the own kernel, for shapes that cuBLASLt refuses: slow, but an answer. */
void multiply_in_pieces(const Queue& queue, uint32_t dtype, const PackedLayer& layer, const RowLayout& x,
                        const RowLayout& sums) {
    const int64_t element = cpu::element_bytes(dtype);
    LinearEpilogue none;
    none.outputs = layer.out;
    for (int64_t first = 0; first < x.count; first += kFewRows) {
        const int64_t count = std::min(kFewRows, x.count - first);
        launch_few_rows(queue, dtype, rows_from(x, first, count, element), layer.dtype, layer.weight, layer.stride,
                        none, rows_from(sums, first, count, element));
    }
}

/** `y = epilogue(x W^T)` by cuBLASLt. */
void multiply_many(State& state, const Queue& queue, const PackedLayer& layer, const View& x, const LinearEpilogue& e,
                   const RowLayout& y) {
    const uint32_t dtype = state.options.activation_dtype;
    const int64_t element = cpu::element_bytes(dtype);
    std::unique_ptr<Temporary> compact, cast, sums;
    RowLayout rows = rows_of(x);
    if (!uniform(rows)) {
        View flat = x;
        flat.strides = {};
        int64_t stride = 1;
        for (int32_t d = x.ndim - 1; d >= 0; --d) {
            flat.strides[static_cast<size_t>(d)] = stride;
            stride *= x.dim(d);
        }
        compact = std::make_unique<Temporary>(state, queue, checked_product(x.elements, element));
        flat.bytes = compact->as<std::byte>();
        launch_copy(queue, x.elements, dtype, x.bytes, layout_of(x), dtype, flat.bytes, layout_of(flat));
        rows = rows_of(flat);
    }
    DenseProduct product;
    product.dtype = dtype;
    product.rows = rows.count;
    product.in = layer.in;
    product.out = layer.out;
    product.x = rows.data;
    product.x_stride = rows.count > 1 ? rows.rows.stride[0] : layer.in;
    product.weight = layer.weight;
    product.weight_stride = layer.stride;
    if (layer.dtype != dtype) {
        // Weights of another precision are widened or narrowed for this call; many rows make that worth it.
        cast = std::make_unique<Temporary>(state, queue, checked_product(layer.out, layer.stride, element));
        View target = weight_rows(layer, 0, layer.out);
        target.dtype = dtype;
        target.bytes = cast->as<std::byte>();
        const View source = weight_rows(layer, 0, layer.out);
        launch_copy(queue, source.elements, source.dtype, source.bytes, layout_of(source), dtype, target.bytes,
                    layout_of(target));
        product.weight = target.bytes;
    }
    const FusedEpilogue fused = fuse_epilogue(e, y);
    if (fused.complete) {
        DenseProduct whole = product;
        whole.epilogue = fused.epilogue;
        whole.bias = layer.product_bias;
        if (fused.residual) {
            whole.residual = e.residual.data;
            whole.residual_stride = e.residual.count > 1 ? e.residual.rows.stride[0] : layer.out;
        }
        whole.y = y.data;
        whole.y_stride = y.count > 1 ? y.rows.stride[0] : layer.out;
        if (queue.runtime.multiply(whole, queue.stream)) return;
    }
    sums = std::make_unique<Temporary>(state, queue, checked_product(rows.count, layer.out, element));
    RowLayout target;
    target.data = sums->as<char>();
    target.count = rows.count;
    target.columns = layer.out;
    target.rows.dims = 1;
    target.rows.shape[0] = rows.count;
    target.rows.stride[0] = layer.out;
    product.y = target.data;
    product.y_stride = layer.out;
    if (!queue.runtime.multiply(product, queue.stream)) multiply_in_pieces(queue, dtype, layer, rows, target);
    launch_epilogue(queue, dtype, target, e, y);
}

}  // namespace

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
        auto layer = std::make_unique<PackedLayer>();
        layer->name = spec->name != nullptr ? spec->name : "layer";
        layer->dtype = state.options.weight_dtype;
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
        layer->stride = divide_up(layer->in, kRowStep) * kRowStep;
        const int64_t bytes = checked_product(layer->out, layer->stride, cpu::element_bytes(layer->dtype));
        try {
            layer->weight = take(state, queue, *layer, bytes);
            if (layer->stride != layer->in) queue.runtime.clear(layer->weight, bytes, queue.stream);
            for (size_t i = 0; i < weights.size(); ++i)
                upload_view(state, queue, weights[i],
                            weight_rows(*layer, layer->parts[i], layer->parts[i + 1] - layer->parts[i]));
            upload_biases(state, queue, *layer, biases);
        } catch (...) {
            free_layer(state, queue, *layer);
            throw;
        }
        *linear = reinterpret_cast<vlm_linear*>(layer.release());
    });
}

void linear_release(const vlm_compute* self, vlm_linear* linear) {
    if (linear == nullptr || self == nullptr) return;
    guarded_quiet(self, nullptr, "linear_release", [&](State& state, const Queue& queue) {
        const std::unique_ptr<PackedLayer> layer(reinterpret_cast<PackedLayer*>(linear));
        free_layer(state, queue, *layer);
    });
}

vlm_status linear(const vlm_compute* self, const vlm_run_context* run, const vlm_linear* handle, const vlm_tensor* x,
                  const vlm_epilogue* epilogue, vlm_tensor* y) {
    return guarded(self, run, "linear", [&](State& state, const Queue& queue) {
        if (handle == nullptr) throw invalid_argument("the layer is NULL");
        const auto* layer = reinterpret_cast<const PackedLayer*>(handle);
        const View from = state.activation(x, "x"), to = state.activation(y, "y");
        const bool gated = epilogue != nullptr && epilogue->gated != 0;
        if (gated && layer->out % 2 != 0)
            throw invalid_argument(layer->name + " has " + std::to_string(layer->out) +
                                   " outputs, which is odd: no gate and up halves");
        const int64_t outputs = gated ? layer->out / 2 : layer->out;
        if (from.ndim < 1 || to.ndim < 1 || from.last() != layer->in || to.last() != outputs ||
            from.elements / layer->in != to.elements / outputs)
            throw invalid_argument(from.text() + " and " + to.text() + " do not fit " + layer->name +
                                   ": expected [rows, " + std::to_string(layer->in) + "] and [rows, " +
                                   std::to_string(outputs) + "]");
        const LinearEpilogue e = read_epilogue(state, *layer, epilogue, to);
        const int64_t rows = from.elements / layer->in;
        if (rows == 0) return;
        const RowLayout target = rows_of(to);
        if (rows <= kFewRows) {
            launch_few_rows(queue, state.options.activation_dtype, rows_of(from), layer->dtype, layer->weight,
                            layer->stride, e, target);
        } else {
            rows_of(from);  // refuses a strided last dimension
            multiply_many(state, queue, *layer, from, e, target);
        }
        state.flops +=
            2 * static_cast<uint64_t>(rows) * static_cast<uint64_t>(layer->in) * static_cast<uint64_t>(layer->out);
    });
}

vlm_status matmul(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                  int32_t transpose_b, float alpha, vlm_tensor* c) {
    return guarded(self, run, "matmul", [&](State& state, const Queue& queue) {
        const View av = state.activation(a, "a"), bv = state.activation(b, "b"), cv = state.activation(c, "c");
        const auto wrong = [&] {
            return invalid_argument(av.text() + ", " + bv.text() + " and " + cv.text() + " do not fit a product" +
                                    (transpose_b != 0 ? " with the transposed right side" : ""));
        };
        const int32_t last = av.ndim - 1;
        if (av.ndim < 2 || bv.ndim != av.ndim || cv.ndim != av.ndim) throw wrong();
        for (int32_t d = 0; d + 1 < last; ++d)
            if (av.dim(d) != bv.dim(d) || av.dim(d) != cv.dim(d)) throw wrong();
        const int32_t along_n = transpose_b != 0 ? last - 1 : last, along_k = transpose_b != 0 ? last : last - 1;
        if (bv.dim(along_k) != av.dim(last) || bv.dim(along_n) != cv.dim(last) || av.dim(last - 1) != cv.dim(last - 1))
            throw wrong();
        if (cv.last() > 1 && cv.strides[static_cast<size_t>(last)] != 1)
            throw invalid_argument(cv.text() + " is strided in its last dimension, expected stride 1");
        if (cv.elements == 0) return;
        const auto stride = [](const View& v, int32_t d) { return v.strides[static_cast<size_t>(d)]; };
        const auto batch = [&](View v) {
            v.ndim -= 2;
            return layout_of(v);
        };
        Matmul m{};
        m.a = av.bytes;
        m.b = bv.bytes;
        m.c = cv.bytes;
        m.a_batch = batch(av);
        m.b_batch = batch(bv);
        m.c_batch = batch(cv);
        m.m = cv.dim(last - 1);
        m.n = cv.dim(last);
        m.k = av.dim(last);
        m.batch = cv.elements / (m.m * m.n);
        m.a_row = stride(av, last - 1);
        m.a_column = stride(av, last);
        m.b_k = stride(bv, along_k);
        m.b_n = stride(bv, along_n);
        m.c_row = stride(cv, last - 1);
        m.alpha = alpha;
        launch_matmul(queue, state.options.activation_dtype, m);
        state.flops += 2 * static_cast<uint64_t>(cv.elements) * static_cast<uint64_t>(m.k);
    });
}

}  // namespace vlm::cuda
