/** @file kernels.hpp
 *  The launches, as the operations see them: plain functions, so that only the `.cu` files need nvcc. All enqueue and
 * return; shapes have been checked by the caller. `dtype` is that of activations, VLM_DTYPE_F32 or VLM_DTYPE_BF16.
 */
#pragma once
#include "host/compute/cuda/layout.hpp"
#include "host/compute/cuda/queue.hpp"

namespace vlm::cuda {

/** What a kernel writes to State::fault when an index lies outside; 0 is none. The kernel then does without the row. */
enum class Fault : int32_t { none, gather, scatter_mean, carry_map, merge_map, key_rows, quantise };

/** A value and its place in a row; -1: none. */
struct Candidate {
    float value;
    int32_t index;
};

/* ---- rows.cu ---- */
void launch_layer_norm(const Queue& queue, uint32_t dtype, const RowLayout& x, const float* gamma, const float* beta,
                       float eps, const RowLayout& y);
void launch_rms_norm(const Queue& queue, uint32_t dtype, const RowLayout& x, const float* gamma, float eps,
                     float offset, const RowLayout& y);
void launch_l2_normalize(const Queue& queue, uint32_t dtype, const RowLayout& x, float eps, const RowLayout& y);
void launch_softmax(const Queue& queue, uint32_t dtype, const RowLayout& x, const RowLayout& y);
void launch_activation(const Queue& queue, uint32_t dtype, const RowLayout& x, uint32_t kind, const RowLayout& y);
/** `y = a + scale * b`; row `i` of `a` meets row `i % b.count` of `b`. */
void launch_add(const Queue& queue, uint32_t dtype, const RowLayout& a, const RowLayout& b, float scale,
                const RowLayout& y);
void launch_multiply(const Queue& queue, uint32_t dtype, const RowLayout& a, const RowLayout& b, const RowLayout& y);
/** `values` and `indices` may be NULL. */
void launch_argmax(const Queue& queue, uint32_t dtype, const RowLayout& x, float* values, int32_t* indices);
void launch_top_k(const Queue& queue, uint32_t dtype, const RowLayout& x, int64_t k, float* values, int32_t* indices);

/* ---- top_logits.cu ---- */
/** See TopLogits. Rows are f32, `columns` long; what is found per row is `log_sums` and `count` of `best`, best first;
 * in a row with a NaN the first of `best` has the index -1. */
struct TopRows {
    const float* const* rows;  ///< `[row_count]`, on the GPU as everything here.
    int64_t row_count, columns, count;
    int64_t spans, span_columns;  ///< How a row is cut, see plan_top_rows.
    double* span_sums;     ///< `[row_count, spans]`, scratch: sums of exp(x - largest of the span); NaN stays NaN.
    Candidate* span_best;  ///< `[row_count, spans, count]`, scratch.
    double* log_sums;      ///< `[row_count]`.
    Candidate* best;       ///< `[row_count, count]`.
};
/** Cuts the work; `row_count`, `columns` and `count` are set. */
void plan_top_rows(TopRows& top);
void launch_top_rows(const Queue& queue, const TopRows& top);

/* ---- elements.cu ---- */
/** Copies `count` elements in row-major order of both, converting the dtype. */
void launch_copy(const Queue& queue, int64_t count, uint32_t from_dtype, const void* from, const Layout& from_layout,
                 uint32_t to_dtype, void* to, const Layout& to_layout);
void launch_fill(const Queue& queue, int64_t count, uint32_t dtype, void* to, const Layout& layout, double value);
/** Rows of `size` elements; `x` has `n` of them in dtype `x_dtype`. Strides in elements. */
void launch_gather(const Queue& queue, uint32_t dtype, uint32_t x_dtype, const void* x, int64_t x_stride, int64_t n,
                   const int32_t* rows, int64_t count, int64_t size, void* y, int64_t y_stride, int32_t* fault);

/** See vlm_rope_spec; `axis` may be NULL; both lie on the GPU. */
struct RopeTable {
    const void* positions;  ///< `[axes, n]` i32 or f32.
    bool integers;
    int64_t n;
    int32_t frequencies;
    const float* inv_freq;
    const int32_t* axis;
    float scaling;
    float* cos;
    float* sin;
};
void launch_rope_table(const Queue& queue, const RopeTable& table);

/** Rotation in place of `x` `[n, heads, dim]`. */
struct Rope {
    void* x;
    int64_t n, heads, stride_row, stride_head, stride_element;
    const float* cos;
    const float* sin;
    int64_t frequencies;
    bool interleaved;
};
void launch_rope(const Queue& queue, uint32_t dtype, const Rope& rope);

/** See vlm_compute::patches. */
struct Patches {
    const float* pixels;
    int64_t stride[4];  ///< Of pixels.
    int64_t channels, rows, columns, height, width;
    bool channel_last;
    RowLayout y;
};
void launch_patches(const Queue& queue, uint32_t dtype, const Patches& patches);

/** Mean over one axis: output `i` is the mean of `n` elements, `step` apart, from `outputs.offset(i)` on. */
void launch_mean(const Queue& queue, uint32_t dtype, const void* x, const Layout& outputs, int64_t n, int64_t step,
                 int64_t count, void* y);

/** Where one output of an interpolation comes from: taps `begin[i] … begin[i + 1] - 1`. */
struct TapList {
    const int32_t* begin;
    const int32_t* index;
    const float* weight;
};
/** Both f32, rows of `dim` elements; rows of `x` are `x_width` to a line, of `y` `y_width`. */
void launch_interpolate(const Queue& queue, const TapList& vertical, const TapList& horizontal, const RowLayout& x,
                        int64_t x_width, const RowLayout& y, int64_t y_width);

/* ---- tokens.cu ---- */
/** Members of every group in index order: group g has `members[begin[g]] … members[begin[g + 1] - 1]`. `begin` has
 * `groups + 1` elements, `members` `n`. */
void launch_group_members(const Queue& queue, const int32_t* map, int64_t n, int64_t groups, int32_t* begin,
                          int32_t* members, int32_t* fault);
/** Weighted means over the members; `weights` may be NULL. Rows of `size` elements. */
void launch_group_means(const Queue& queue, uint32_t dtype, const void* x, int64_t x_stride, const float* weights,
                        const int32_t* begin, const int32_t* members, int64_t groups, int64_t size, void* y,
                        int64_t y_stride);

/** See vlm_compute::merge_map. */
struct MergeMap {
    const float* scores;
    const int32_t* partners;
    int64_t n;
    float threshold;
    bool everything;  ///< Threshold of -infinity: scores only order, whatever they are.
    int64_t limit, protected_tokens;
    uint8_t* merged;     ///< `[(n + 1) / 2]`, scratch.
    int32_t* groups;     ///< `[n]`.
    int32_t* survivors;  ///< One number: even tokens that did not merge.
    int32_t* fault;
};
void launch_merge_map(const Queue& queue, const MergeMap& map);

/** See vlm_compute::keep_map; `kept` `[n]` is scratch. */
struct KeepMap {
    const float* scores;
    const uint8_t* droppable;
    int64_t n, keep;
    uint8_t* kept;
    int32_t* groups;
};
void launch_keep_map(const Queue& queue, const KeepMap& map);

/** See vlm_compute::carry_map; optional members may be NULL. */
struct CarryMap {
    const int32_t* groups;
    int64_t n;
    const float* sizes;
    const int32_t* origins;
    int32_t* rows;
    int64_t positions;
    float* new_sizes;
    float* log_sizes;
    int32_t* new_origins;
    int64_t count;
    int32_t* fault;
};
void launch_carry_map(const Queue& queue, const CarryMap& map);

}  // namespace vlm::cuda
