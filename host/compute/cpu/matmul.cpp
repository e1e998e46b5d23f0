/** @file matmul.cpp
 *  Products of two activations: similarity of tokens, pooled scores. Always in f32, since what is compared here is
 * often decided by the last digits. The right side is packed into panels on the fly, by the same item that uses them; a
 * panel is used by all rows, so packing costs one part in 2 m of the work.
 */
#include <algorithm>

#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/memory.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kDepthBlock = 256;
constexpr int64_t kRowBlock = 112;

struct Product {
    View a, b, c;
    int64_t m, n, k, batch;
    bool transpose_b;
    float alpha;
};

/** First element of matrix `index` of a batch. */
float* matrix(const View& v, int64_t index) {
    int64_t offset = 0;
    for (int32_t d = v.ndim - 3; d >= 0; --d) {
        const auto i = static_cast<size_t>(d);
        offset += index % v.shape[i] * v.strides[i];
        index /= v.shape[i];
    }
    return v.data<float>() + offset;
}

int64_t row_stride(const View& v) {
    return v.strides[static_cast<size_t>(v.ndim - 2)];
}
int64_t column_stride(const View& v) {
    return v.strides[static_cast<size_t>(v.ndim - 1)];
}

/** Packs depths [begin, begin + depth) of 32 columns from `column` on. */
void pack(const Product& p, const float* b, int64_t column, int64_t begin, int64_t depth, float* panel) {
    const int64_t columns = std::min(kPanel, p.n - column);
    const int64_t along_k = p.transpose_b ? column_stride(p.b) : row_stride(p.b);
    const int64_t along_n = p.transpose_b ? row_stride(p.b) : column_stride(p.b);
    const float* source = b + begin * along_k + column * along_n;
    for (int64_t k = 0; k < depth; ++k)
        for (int64_t j = 0; j < kPanel; ++j)
            panel[k * kPanel + j] = j < columns ? source[k * along_k + j * along_n] : 0.0f;
}

void run_item(const Product& p, const Kernels& kernels, int64_t index, int64_t column, int64_t row, int64_t rows) {
    alignas(64) float panel[kDepthBlock * kPanel];
    alignas(64) float tile[kRowBlock * kPanel];
    const float* a = matrix(p.a, index) + row * row_stride(p.a);
    std::fill(tile, tile + rows * kPanel, 0.0f);
    for (int64_t k = 0; k < p.k; k += kDepthBlock) {
        const int64_t depth = std::min(kDepthBlock, p.k - k);
        pack(p, matrix(p.b, index), column, k, depth, panel);
        kernels.gemm_f32(a + k, row_stride(p.a), panel, depth, tile, kPanel, rows, true);
    }
    float* c = matrix(p.c, index) + row * row_stride(p.c) + column;
    for (int64_t r = 0; r < rows; ++r)
        kernels.scale(tile + r * kPanel, p.alpha, c + r * row_stride(p.c), std::min(kPanel, p.n - column));
}

void check(const Product& p) {
    const auto wrong = [&] {
        return invalid_argument(p.a.text() + ", " + p.b.text() + " and " + p.c.text() + " do not fit a product" +
                                (p.transpose_b ? " with the transposed right side" : ""));
    };
    if (p.a.ndim < 2 || p.b.ndim != p.a.ndim || p.c.ndim != p.a.ndim) throw wrong();
    const auto last = static_cast<size_t>(p.a.ndim - 1);
    for (size_t d = 0; d + 1 < last; ++d)
        if (p.a.shape[d] != p.b.shape[d] || p.a.shape[d] != p.c.shape[d]) throw wrong();
    const int64_t n = p.transpose_b ? p.b.shape[last - 1] : p.b.shape[last];
    const int64_t k = p.transpose_b ? p.b.shape[last] : p.b.shape[last - 1];
    if (k != p.a.shape[last] || n != p.c.shape[last] || p.a.shape[last - 1] != p.c.shape[last - 1]) throw wrong();
    if (p.c.shape[last] > 1 && column_stride(p.c) != 1)
        throw invalid_argument(p.c.text() + " is strided in its last dimension, expected stride 1");
}

}  // namespace

vlm_status matmul(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                  int32_t transpose_b, float alpha, vlm_tensor* c) {
    return guarded(self, run, Op::matmul, [&](State& state) {
        Product p{};
        p.a = view_of(a, "a", VLM_DTYPE_F32);
        p.b = view_of(b, "b", VLM_DTYPE_F32);
        p.c = view_of(c, "c", VLM_DTYPE_F32);
        p.transpose_b = transpose_b != 0;
        p.alpha = alpha;
        check(p);
        if (p.c.elements == 0) return;
        // The left side is read row by row.
        std::unique_ptr<ScratchBuffer> copied;
        if (p.a.last() > 1 && column_stride(p.a) != 1) p.a = with_uniform_rows(state, p.a, copied);
        const auto last = static_cast<size_t>(p.a.ndim - 1);
        p.m = p.a.shape[last - 1];
        p.k = p.a.shape[last];
        p.n = p.c.shape[last];
        p.batch = p.c.elements / (p.m * p.n);
        const int64_t row_blocks = (p.m + kRowBlock - 1) / kRowBlock, columns = (p.n + kPanel - 1) / kPanel;
        const Kernels& table = kernels();
        state.pool.parallel_for(0, p.batch * columns * row_blocks, 1, [&](int64_t begin, int64_t end) {
            for (int64_t item = begin; item < end; ++item) {
                const int64_t row = item % row_blocks * kRowBlock, column = item / row_blocks % columns * kPanel;
                run_item(p, table, item / row_blocks / columns, column, row, std::min(kRowBlock, p.m - row));
            }
        });
        state.count_flops(Op::matmul, 2 * static_cast<uint64_t>(p.c.elements) * static_cast<uint64_t>(p.k));
    });
}

}  // namespace vlm::cpu
