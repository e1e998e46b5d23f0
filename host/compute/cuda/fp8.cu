/** @file fp8.cu
 *  Rows to codes in e4m3, each with the scale that makes its largest number 448: weights once when they are packed, one
 * scale per output, and activations before every product in fp8, one per token. A block takes a row and reads it twice,
 * the second time from the cache.
 *
 *  A scale is never below 2^-100, so that its inverse is a float; rows of zeros have it too.
 */
#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/launch.hpp"

namespace vlm::cuda {

namespace {

constexpr float kLargest = 448.0f, kSmallestScale = 7.88860905221011805411728565e-31f;  // 2^-100

template <class T>
struct RowsToE4m3 {
    static constexpr int kThreads = 128;
    RowLayout x;
    bool pieces;  ///< Rows of x begin on 16 bytes.
    uint8_t* codes;
    float* scales;
    int64_t stride;  ///< Of codes; zeros behind the columns of x.
    int32_t* fault;  ///< NULL: infinities and NaN go on as NaN.

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t r = block.index();
        const T* row = x.row<T>(r < x.count ? r : 0);
        const int64_t columns = r < x.count ? x.columns : 0;
        float largest = 0.0f;
        for (int64_t k = int64_t{8} * block.thread(); k < columns; k += int64_t{8} * block.threads()) {
            float v[8];
            load8_of(row, k, columns, pieces, v);
            VLM_UNROLL
            for (int i = 0; i < 8; ++i) {
                const float magnitude = fabsf(v[i]);
                if (fault != nullptr && !(magnitude <= kQuantLimit)) *fault = static_cast<int32_t>(Fault::quantise);
                largest = magnitude > largest ? magnitude : largest;
            }
        }
        largest = block.max(largest);
        const float wanted = largest / kLargest, scale = wanted > kSmallestScale ? wanted : kSmallestScale;
        const float inverse = 1.0f / scale;
        if (block.thread() == 0) scales[r] = scale;
        for (int64_t k = int64_t{16} * block.thread(); k < stride; k += int64_t{16} * block.threads()) {
            Vector piece;
            VLM_UNROLL
            for (int half = 0; half < 2; ++half) {
                float v[8];
                load8_of(row, k + 8 * half, columns, pieces, v);
                VLM_UNROLL
                for (int word = 0; word < 2; ++word) {
                    uint32_t four = 0;
                    VLM_UNROLL
                    for (int i = 0; i < 4; ++i)
                        four |= static_cast<uint32_t>(e4m3_from_float(v[4 * word + i] * inverse)) << (8 * i);
                    piece.words[2 * half + word] = four;
                }
            }
            store_vector(codes + r * stride + k, piece);
        }
    }
};

}  // namespace

void launch_rows_to_e4m3(const Queue& queue, const char* name, uint32_t dtype, const RowLayout& x, int64_t rows,
                         const E4m3Rows& to, int32_t* fault) {
    if (dtype == VLM_DTYPE_BF16) {
        launch(queue, name, {rows}, RowsToE4m3<Bf16>{x, aligned_rows(x, 2), to.codes, to.scales, to.stride, fault});
    } else {
        launch(queue, name, {rows}, RowsToE4m3<float>{x, aligned_rows(x, 4), to.codes, to.scales, to.stride, fault});
    }
}

}  // namespace vlm::cuda
