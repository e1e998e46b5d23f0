/** @file dense_kernels.hpp
 *  Launches of the own dense kernels: few rows, what follows a product, and products of two activations.
 */
#pragma once
#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/weight_formats.hpp"

namespace vlm::cuda {

/** What happens to a sum before it is stored; see vlm_epilogue. All pointers on the GPU. */
struct LinearEpilogue {
    const float* bias = nullptr;
    uint32_t activation = VLM_ACT_NONE;
    bool gated = false;
    int64_t outputs = 0;  ///< Columns of y: half of the layer's when gated.
    const float* scale = nullptr;
    bool scale_each = false;  ///< One scale per output, or one for all.
    RowLayout residual;       ///< `data` NULL: none.
};

/** Most rows of launch_few_rows. */
inline constexpr int64_t kFewRows = 8;

/** `y = epilogue(x W^T)` for 1 to kFewRows rows: reads the weights once, at the speed of memory. Memory of the weights
 * is aligned to 16 bytes.
 *  @param dtype  Of x and y. */
void launch_few_rows(const Queue& queue, uint32_t dtype, const RowLayout& x, const WeightMatrix& weight,
                     const LinearEpilogue& epilogue, const RowLayout& y);

/** Where rows of codes in e4m3 go. */
struct E4m3Rows {
    uint8_t* codes;  ///< `[rows, stride]`.
    float* scales;   ///< `[rows]`.
    int64_t stride;  ///< A multiple of 16.
};
/** Rows of `x` (f32 or bf16) to codes in e4m3, their largest numbers to 448; zeros behind their ends, and in the rows
 * from `x.count` to `rows`. What is no finite number becomes NaN, or sets the fault unless that is NULL.
 *  @param name  Of the operation. */
void launch_rows_to_e4m3(const Queue& queue, const char* name, uint32_t dtype, const RowLayout& x, int64_t rows,
                         const E4m3Rows& to, int32_t* fault);

/** Whether a layer and rows `x` suit launch_row_tiles: three to eight rows and weights in bf16 that can be read in
 * vectors. */
bool row_tiles_take(uint32_t dtype, const RowLayout& x, const WeightMatrix& weight);
/** The same as launch_few_rows for these, by the tensor cores. */
void launch_row_tiles(const Queue& queue, const RowLayout& x, const WeightMatrix& weight,
                      const LinearEpilogue& epilogue, const RowLayout& y);

/** Quantises `rows` outputs of `weights` `[rows, in]` into `matrix` (4 or 8 bits, e4m3); a weight that is no number or
 * beyond kQuantLimit sets the fault. */
void launch_quantise(const Queue& queue, const float* weights, int64_t rows, int64_t in, const WeightMatrix& matrix,
                     int32_t* fault);
/** Quantised weights as `[rows, stride]` of `dtype` (f32, bf16); writes `matrix.depth()` elements of a row. */
void launch_expand(const Queue& queue, const WeightMatrix& matrix, int64_t rows, uint32_t dtype, void* to,
                   int64_t stride);

/** What sums of codes are multiplied by first: of their row and of their column. Both NULL: nothing. */
struct SumScales {
    const float* rows = nullptr;
    const float* columns = nullptr;
};
/** `y = epilogue(sums)`, when the product came from cuBLASLt. */
void launch_epilogue(const Queue& queue, uint32_t dtype, const RowLayout& sums, const LinearEpilogue& epilogue,
                     const RowLayout& y, const SumScales& scales = {});

/** Batched products of any strides. */
struct Matmul {
    const void* a;
    const void* b;
    void* c;
    Layout a_batch, b_batch, c_batch;  ///< Of the leading dimensions.
    int64_t batch, m, n, k;
    int64_t a_row, a_column, b_k, b_n, c_row;  ///< Strides; `b` along k and along n.
    float alpha;
};
void launch_matmul(const Queue& queue, uint32_t dtype, const Matmul& matmul);

}  // namespace vlm::cuda
