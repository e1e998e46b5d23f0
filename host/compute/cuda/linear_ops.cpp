/** @file linear_ops.cpp
 *  linear, matmul.
 *
 *  Three ways to multiply: up to eight rows own kernels, everything fused (in bf16 three and more by the tensor cores);
 * more rows cuBLASLt with what it can fuse (fuse_epilogue); the rest in a pass over the products. Weights of another
 * type than the activations are expanded for cuBLASLt, call by call; with quantised ones that costs more than reading
 * the codes twice, so up to sixteen rows go through the own kernel in two turns. Weights in fp8 are multiplied as they
 * are (fp8_products.cpp).
 */
#include "host/compute/cuda/linear_ops.hpp"

#include <algorithm>

#include "host/compute/cuda/fp8_products.hpp"
#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

/** Most rows for which quantised weights are read in turns of kFewRows. */
constexpr int64_t kTurnRows = 16;

/** Reads and checks the epilogue. */
LinearEpilogue read_epilogue(State& state, const LinearLayer& layer, const vlm_epilogue* epilogue, const View& y) {
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

/** By the own kernel, kFewRows at a time. */
void multiply_in_turns(const Queue& queue, uint32_t dtype, const LinearLayer& layer, const RowLayout& x,
                       const LinearEpilogue& e, const RowLayout& y) {
    const int64_t element = cpu::element_bytes(dtype);
    for (int64_t first = 0; first < x.count; first += kFewRows) {
        const int64_t count = std::min(kFewRows, x.count - first);
        LinearEpilogue part = e;
        if (e.residual.data != nullptr) part.residual = rows_from(e.residual, first, count, element);
        launch_few_rows(queue, dtype, rows_from(x, first, count, element), layer.weight, part,
                        rows_from(y, first, count, element));
    }
}

/** The layer's weights in the activation dtype, as cuBLASLt wants them; `buffer` holds them when they have another. */
void dense_weights(State& state, const Queue& queue, const LinearLayer& layer, std::unique_ptr<Temporary>& buffer,
                   DenseProduct& product) {
    const uint32_t dtype = state.options.activation_dtype;
    const WeightMatrix& m = layer.weight;
    product.weight = m.data;
    product.weight_stride = m.stride;
    if (m.dtype == dtype) return;
    if (m.coded()) product.weight_stride = m.depth();
    buffer = std::make_unique<Temporary>(state, queue,
                                         checked_product(layer.out, product.weight_stride, cpu::element_bytes(dtype)));
    product.weight = buffer->as<void>();
    if (m.coded()) {
        launch_expand(queue, m, layer.out, dtype, buffer->as<void>(), product.weight_stride);
        return;
    }
    const View source = weight_rows(layer, 0, layer.out);
    View target = source;
    target.dtype = dtype;
    target.bytes = buffer->as<std::byte>();
    launch_copy(queue, source.elements, source.dtype, source.bytes, layout_of(source), dtype, target.bytes,
                layout_of(target));
}

/** Says once that a product in fp8 was not to be had. */
void say_expanded(State& state, const LinearLayer& layer, int64_t rows) {
    if (state.said_expanded.exchange(true)) return;
    state.log(VLM_LOG_WARNING, ("linear: cuBLASLt has no product in fp8 for " + std::to_string(rows) + " rows by " +
                                layer.name + " [" + std::to_string(layer.out) + ", " + std::to_string(layer.in) +
                                "] on this GPU; its weights are expanded to bf16 for each call, which is slower. Other "
                                "shapes are not mentioned.")
                                   .c_str());
}

/** `y = epilogue(x W^T)` by cuBLASLt. */
void multiply_many(State& state, const Queue& queue, const LinearLayer& layer, const View& x, const LinearEpilogue& e,
                   const RowLayout& y) {
    const uint32_t dtype = state.options.activation_dtype;
    const int64_t element = cpu::element_bytes(dtype);
    std::unique_ptr<Temporary> compact, cast, sums;
    RowLayout rows = rows_of(x);
    if (multiplies_in_fp8(state, layer.weight)) {
        if (multiply_fp8(state, queue, layer.weight, rows, e, y)) return;
        say_expanded(state, layer, rows.count);
    }
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
    dense_weights(state, queue, layer, cast, product);
    const FusedEpilogue fused = fuse_epilogue(e, y);
    const bool nothing = layer.bias == nullptr && e.residual.data == nullptr && fused.epilogue == Epilogue::none;
    if (fused.complete && state.dense_works && (state.fused_works || nothing)) {
        DenseProduct whole = product;
        whole.epilogue = fused.epilogue;
        whole.bias = layer.product_bias;
        if (fused.residual) {
            whole.residual = e.residual.data;
            whole.residual_stride = e.residual.count > 1 ? e.residual.rows.stride[0] : layer.out;
        }
        whole.y = y.data;
        whole.y_stride = y.count > 1 ? y.rows.stride[0] : layer.out;
        if (state.multiply(queue, whole)) return;
    }
    sums = std::make_unique<Temporary>(state, queue, checked_product(rows.count, layer.out, element));
    const RowLayout target = rows_at(sums->as<void>(), rows.count, layer.out, layer.out);
    product.y = target.data;
    product.y_stride = layer.out;
    if (state.dense_works && state.multiply(queue, product)) {
        launch_epilogue(queue, dtype, target, e, y);
        return;
    }
    if (!state.few_rows_work)
        throw Error(VLM_STATUS_INTERNAL, layer.name + ": cuBLASLt does not take " + std::to_string(product.rows) +
                                             " rows of " + std::to_string(product.in) +
                                             ", and the own kernel is wrong on this GPU; use the device \"cpu\"");
    if (!state.said_slow.exchange(true))
        state.log(VLM_LOG_WARNING, ("linear: cuBLASLt has no way to multiply " + std::to_string(product.rows) + " x " +
                                    std::to_string(product.in) + " by " + layer.name + " [" +
                                    std::to_string(product.out) + ", " + std::to_string(product.in) +
                                    "] that can be used; the own kernel does it, which is slow. Other shapes are not "
                                    "mentioned.")
                                       .c_str());
    LinearEpilogue none;
    none.outputs = layer.out;
    multiply_in_turns(queue, dtype, layer, rows, none, target);
    launch_epilogue(queue, dtype, target, e, y);
}

/** Products of some size whose sides are compact along the sum, by cuBLASLt, one after another. False, and nothing of
 * use done, when they are others. */
bool multiply_dense(State& state, const Queue& queue, const Matmul& m) {
    constexpr int64_t kFewestRows = 32, kFewestSums = 8, kMostProducts = 64;
    const uint32_t dtype = state.options.activation_dtype;
    if (!state.dense_works || m.k < kFewestSums || m.a_column != 1 || m.b_k != 1 || m.batch > kMostProducts ||
        m.m < kFewestRows || m.n < kFewestRows || m.a_row < m.k || m.b_n < m.k || m.c_row < m.n)
        return false;
    const int64_t element = cpu::element_bytes(dtype);
    DenseProduct product;
    product.dtype = dtype;
    product.rows = m.m;
    product.in = m.k;
    product.out = m.n;
    product.x_stride = m.a_row;
    product.weight_stride = m.b_n;
    product.y_stride = m.c_row;
    product.alpha = m.alpha;
    for (int64_t i = 0; i < m.batch; ++i) {
        product.x = static_cast<const char*>(m.a) + m.a_batch.offset(i) * element;
        product.weight = static_cast<const char*>(m.b) + m.b_batch.offset(i) * element;
        product.y = static_cast<char*>(m.c) + m.c_batch.offset(i) * element;
        if (!state.multiply(queue, product)) return false;
    }
    return true;
}

}  // namespace

vlm_status linear(const vlm_compute* self, const vlm_run_context* run, const vlm_linear* handle, const vlm_tensor* x,
                  const vlm_epilogue* epilogue, vlm_tensor* y) {
    return guarded(self, run, "linear", [&](State& state, const Queue& queue) {
        if (handle == nullptr) throw invalid_argument("the layer is NULL");
        const auto* layer = reinterpret_cast<const LinearLayer*>(handle);
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
        const RowLayout source = rows_of(from);
        const bool turns = layer->weight.coded() && !multiplies_in_fp8(state, layer->weight) && rows <= kTurnRows &&
                           uniform(source) && uniform(target) && (e.residual.data == nullptr || uniform(e.residual));
        if (state.row_tiles_work && row_tiles_take(state.options.activation_dtype, source, layer->weight)) {
            launch_row_tiles(queue, source, layer->weight, e, target);
        } else if (rows <= kFewRows && state.few_rows_work) {
            launch_few_rows(queue, state.options.activation_dtype, source, layer->weight, e, target);
        } else if (turns && state.few_rows_work) {
            multiply_in_turns(queue, state.options.activation_dtype, *layer, source, e, target);
        } else {
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
        if (!multiply_dense(state, queue, m)) launch_matmul(queue, state.options.activation_dtype, m);
        state.flops += 2 * static_cast<uint64_t>(cv.elements) * static_cast<uint64_t>(m.k);
    });
}

}  // namespace vlm::cuda
