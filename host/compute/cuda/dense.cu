/** @file dense.cu
 *  What stands behind a product of cuBLASLt, and products that it is not asked for: small ones of activations, of any
 * strides.
 */
#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/epilogue.hpp"
#include "host/compute/cuda/launch.hpp"

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
        const int64_t r = i / e.outputs, o = i % e.outputs;
        finish<T>(e, r, o, sum(r, o), e.gated ? sum(r, o + e.outputs) : 0.0f, y);
    }
};

template <class T>
struct Product {
    Matmul m;
    VLM_HD void operator()(int64_t i) const {
        const int64_t column = i % m.n, row = i / m.n % m.m, index = i / m.n / m.m;
        const T* a = static_cast<const T*>(m.a) + m.a_batch.offset(index) + row * m.a_row;
        const T* b = static_cast<const T*>(m.b) + m.b_batch.offset(index) + column * m.b_n;
        float sum = 0.0f;
        for (int64_t k = 0; k < m.k; ++k) sum += to_float(a[k * m.a_column]) * to_float(b[k * m.b_k]);
        from_float(m.alpha * sum, (static_cast<T*>(m.c) + m.c_batch.offset(index) + row * m.c_row)[column]);
    }
};

}  // namespace

void launch_epilogue(const Queue& queue, uint32_t dtype, const RowLayout& sums, const LinearEpilogue& epilogue,
                     const RowLayout& y, const SumScales& scales) {
    const int64_t count = sums.count * epilogue.outputs;
    if (dtype == VLM_DTYPE_BF16) {
        launch_items(queue, "linear", count, Finish<Bf16>{sums, y, epilogue, scales});
    } else {
        launch_items(queue, "linear", count, Finish<float>{sums, y, epilogue, scales});
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
