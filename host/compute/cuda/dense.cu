/** @file dense.cu
 *  What stands behind a product of cuBLASLt, and products that it is not asked for: small ones of activations, of any
 * strides.
 */
#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/epilogue.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

namespace {

template <class T>
struct Finish {
    RowLayout sums, y;
    LinearEpilogue e;
    SumScales scales;
    VLM_HD float sum(int64_t r, int64_t column) const {
        const float bare = to_float(sums.row<T>(r)[column]);
        return scales.rows != nullptr ? bare * scales.columns[column] * scales.rows[r] : bare;
    }
    VLM_HD void operator()(int64_t i) const {
        const auto [r, o] = split(i, e.outputs);
        finish<T>(e, r, o, sum(r, o), e.gated ? sum(r, o + e.outputs) : 0.0f, y);
    }
};

/** Eight outputs at a time, where all rows can be read so. */
template <class T>
struct FinishEights {
    RowLayout sums, y;
    LinearEpilogue e;
    SumScales scales;
    VLM_HD void scale(int64_t r, int64_t first, float* x) const {
        if (scales.rows == nullptr) return;
        VLM_UNROLL
        for (int k = 0; k < 8; ++k) x[k] = x[k] * scales.columns[first + k] * scales.rows[r];
    }
    VLM_HD void operator()(int64_t i) const {
        const auto [r, piece] = split(i, e.outputs / 8);
        const int64_t o = 8 * piece;
        const T* row = sums.row<T>(r) + o;
        float x[8], up[8] = {}, residual[8] = {};
        load8(row, x);
        scale(r, o, x);
        if (e.gated) {
            load8(row + e.outputs, up);
            scale(r, o + e.outputs, up);
        }
        if (e.residual.data != nullptr) load8(e.residual.row<T>(r) + o, residual);
        VLM_UNROLL
        for (int k = 0; k < 8; ++k) x[k] = activated(e, o + k, x[k], up[k]) + residual[k];
        store8(y.row<T>(r) + o, x);
    }
};

template <class T>
struct Product {
    Matmul m;
    VLM_HD void operator()(int64_t i) const {
        const auto [line, column] = split(i, m.n);
        const auto [index, row] = split(line, m.m);
        const T* a = static_cast<const T*>(m.a) + m.a_batch.offset(index) + row * m.a_row;
        const T* b = static_cast<const T*>(m.b) + m.b_batch.offset(index) + column * m.b_n;
        float sum = 0.0f;
        for (int64_t k = 0; k < m.k; ++k) sum += to_float(a[k * m.a_column]) * to_float(b[k * m.b_k]);
        from_float(m.alpha * sum, (static_cast<T*>(m.c) + m.c_batch.offset(index) + row * m.c_row)[column]);
    }
};

template <class T>
void finish_rows(const Queue& queue, const RowLayout& sums, const LinearEpilogue& e, const RowLayout& y,
                 const SumScales& scales) {
    const bool eights = in_vectors(sums, sizeof(T)) && in_vectors(y, sizeof(T)) &&
                        (e.residual.data == nullptr || in_vectors(e.residual, sizeof(T)));
    const int64_t count = sums.count * e.outputs;
    if (eights) {
        launch_items(queue, "linear", count / 8, FinishEights<T>{sums, y, e, scales});
    } else {
        launch_items(queue, "linear", count, Finish<T>{sums, y, e, scales});
    }
}

}  // namespace

void launch_epilogue(const Queue& queue, uint32_t dtype, const RowLayout& sums, const LinearEpilogue& epilogue,
                     const RowLayout& y, const SumScales& scales) {
    if (dtype == VLM_DTYPE_BF16) {
        finish_rows<Bf16>(queue, sums, epilogue, y, scales);
    } else {
        finish_rows<float>(queue, sums, epilogue, y, scales);
    }
}

void launch_matmul(const Queue& queue, uint32_t dtype, const Matmul& matmul) {
    const int64_t count = matmul.batch * matmul.m * matmul.n;
    if (dtype == VLM_DTYPE_BF16) {
        launch_items(queue, "matmul", count, Product<Bf16>{matmul});
    } else {
        launch_items(queue, "matmul", count, Product<float>{matmul});
    }
}

}  // namespace vlm::cuda
