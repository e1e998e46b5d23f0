/** @file dense.cu
 *  Dense products that cuBLASLt is not made for. Decoding multiplies one to eight rows with weights that are read once
 * and never again, so all that counts is that reading: each warp takes one output (both halves of a gated one), reads
 * its row of weights in 16-byte pieces with all lanes side by side, and finishes it on the spot.
 */
#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/launch.hpp"

namespace vlm::cuda {

namespace {

constexpr int kPiece = 8;

/** 16 bytes that are loaded at once. */
struct alignas(16) Vector {
    uint32_t words[4];
};

VLM_HD Vector load_vector(const void* from) {
#if defined(__CUDA_ARCH__)
    const uint4 loaded = *static_cast<const uint4*>(from);
    return {{loaded.x, loaded.y, loaded.z, loaded.w}};
#else
    Vector vector;
    std::memcpy(&vector, from, sizeof(vector));
    return vector;
#endif
}

VLM_HD void load_piece(const Bf16* from, float* to) {
    const Vector v = load_vector(from);
    for (int i = 0; i < 4; ++i) {
        to[2 * i] = float_from_bits(v.words[i] << 16);
        to[2 * i + 1] = float_from_bits(v.words[i] & 0xFFFF0000u);
    }
}
VLM_HD void load_piece(const float* from, float* to) {
    for (int half = 0; half < 2; ++half) {
        const Vector v = load_vector(from + 4 * half);
        for (int i = 0; i < 4; ++i) to[4 * half + i] = float_from_bits(v.words[i]);
    }
}

/** Applies the epilogue to output `o` of row `r`. */
template <class T>
VLM_HD void finish(const LinearEpilogue& e, int64_t r, int64_t o, float sum, float up, const RowLayout& y) {
    float x = activate(e.activation, e.bias != nullptr ? sum + e.bias[o] : sum);
    if (e.gated) x *= e.bias != nullptr ? up + e.bias[o + e.outputs] : up;
    if (e.scale != nullptr) x *= e.scale[e.scale_each ? o : 0];
    if (e.residual.data != nullptr) x += to_float(e.residual.row<T>(r)[o]);
    from_float(x, y.row<T>(r)[o]);
}

template <class T, class W, int kRows>
struct FewRows {
    static constexpr int kThreads = 128;
    static constexpr int kOutputs = 4;  ///< Of one block.
    RowLayout x, y;
    const W* weight;
    int64_t stride;
    bool pieces;  ///< Rows of x can be read in pieces.
    LinearEpilogue e;

    /** Adds the products of one row of weights and all rows of x that this lane is in charge of. */
    template <class Block>
    VLM_HD void multiply(Block& block, const W* from, float* sums) const {
        const int64_t in = x.columns, whole = pieces ? in / kPiece * kPiece : 0;
        const T* rows[kRows];
        for (int r = 0; r < kRows; ++r) rows[r] = x.row<T>(r < x.count ? r : 0);
        for (int64_t k = block.lane() * kPiece; k < whole; k += Block::kLanes * kPiece) {
            float w[kPiece];
            load_piece(from + k, w);
            for (int r = 0; r < kRows; ++r) {
                float v[kPiece];
                load_piece(rows[r] + k, v);
                for (int i = 0; i < kPiece; ++i) sums[r] += w[i] * v[i];
            }
        }
        for (int64_t k = whole + block.lane(); k < in; k += Block::kLanes) {
            const float w = to_float(from[k]);
            for (int r = 0; r < kRows; ++r) sums[r] += w * to_float(rows[r][k]);
        }
    }

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        for (int64_t i = block.warp(); i < kOutputs; i += block.warps()) {
            const int64_t o = block.index() * kOutputs + i;
            if (o >= e.outputs) continue;
            float sums[kRows] = {}, ups[kRows] = {};
            multiply(block, weight + o * stride, sums);
            if (e.gated) multiply(block, weight + (o + e.outputs) * stride, ups);
            for (int r = 0; r < kRows; ++r) {
                const float sum = block.warp_sum(sums[r]);
                const float up = e.gated ? block.warp_sum(ups[r]) : 0.0f;
                if (block.lane() == 0 && r < x.count) finish<T>(e, r, o, sum, up, y);
            }
        }
    }
};

template <class T>
struct Finish {
    RowLayout sums, y;
    LinearEpilogue e;
    VLM_HD void operator()(int64_t i) const {
        const int64_t r = i / e.outputs, o = i % e.outputs;
        const T* row = sums.row<T>(r);
        finish<T>(e, r, o, to_float(row[o]), e.gated ? to_float(row[o + e.outputs]) : 0.0f, y);
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

/** Whether all rows begin on 16 bytes. */
bool aligned_rows(const RowLayout& x, int64_t element) {
    bool aligned = reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
    for (int32_t d = 0; d < x.rows.dims; ++d) aligned = aligned && x.rows.stride[d] * element % 16 == 0;
    return aligned || (x.count == 1 && reinterpret_cast<uintptr_t>(x.data) % 16 == 0);
}

template <class T, class W>
void few_rows(const Queue& queue, const RowLayout& x, const void* weight, int64_t stride,
              const LinearEpilogue& epilogue, const RowLayout& y) {
    const auto* w = static_cast<const W*>(weight);
    const bool pieces = aligned_rows(x, sizeof(T));
    const auto go = [&](auto body) {
        using Body = decltype(body);
        launch(queue, "linear", {divide_up(epilogue.outputs, Body::kOutputs)}, Body{x, y, w, stride, pieces, epilogue});
    };
    if (x.count == 1) {
        go(FewRows<T, W, 1>{});
    } else if (x.count == 2) {
        go(FewRows<T, W, 2>{});
    } else if (x.count <= 4) {
        go(FewRows<T, W, 4>{});
    } else {
        go(FewRows<T, W, 8>{});
    }
}

}  // namespace

void launch_few_rows(const Queue& queue, uint32_t dtype, const RowLayout& x, uint32_t weight_dtype, const void* weight,
                     int64_t weight_stride, const LinearEpilogue& epilogue, const RowLayout& y) {
    if (dtype == VLM_DTYPE_BF16 && weight_dtype == VLM_DTYPE_BF16) {
        few_rows<Bf16, Bf16>(queue, x, weight, weight_stride, epilogue, y);
    } else if (dtype == VLM_DTYPE_BF16) {
        few_rows<Bf16, float>(queue, x, weight, weight_stride, epilogue, y);
    } else if (weight_dtype == VLM_DTYPE_BF16) {
        few_rows<float, Bf16>(queue, x, weight, weight_stride, epilogue, y);
    } else {
        few_rows<float, float>(queue, x, weight, weight_stride, epilogue, y);
    }
}

void launch_epilogue(const Queue& queue, uint32_t dtype, const RowLayout& sums, const LinearEpilogue& epilogue,
                     const RowLayout& y) {
    const int64_t count = sums.count * epilogue.outputs;
    if (dtype == VLM_DTYPE_BF16) {
        launch_items(queue, "linear", count, Finish<Bf16>{sums, y, epilogue});
    } else {
        launch_items(queue, "linear", count, Finish<float>{sums, y, epilogue});
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
