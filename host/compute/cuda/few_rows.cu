/** @file few_rows.cu
 *  Products of few rows. Decoding multiplies one to eight rows with weights that are read once and never again, so all
 * that counts is that reading. A block takes four lines of weights (the gate and up lines of two outputs, or four
 * outputs), its threads walk them together in pieces of 16 bytes with all lanes side by side, so that every thread has
 * four loads under way and every element of x that it takes serves four lines. What the warps have summed is joined in
 * their order and finished on the spot.
 */
#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/epilogue.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/weight_formats.hpp"

namespace vlm::cuda {

namespace {

template <class T, class Weights, int kRows>
struct FewRows {
    static constexpr int kThreads = 128;
    static constexpr int kLines = 4;
    static constexpr int64_t kSharedBytes = kThreads / 32 * kLines * kRows * 4;
    RowLayout x, y;
    Weights weights;
    bool pieces;  ///< Rows of x can be read in pieces.
    LinearEpilogue e;

    VLM_HD int outputs_of_block() const { return e.gated ? kLines / 2 : kLines; }
    /** Output that line `l` of the block serves; the last one again where there are no more. */
    VLM_HD int64_t output(int64_t index, int l) const {
        const int per = outputs_of_block();
        const int64_t o = index * per + l % per;
        return o < e.outputs ? o : e.outputs - 1;
    }

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        using Piece = typename Weights::Piece;
        int64_t lines[kLines];
        const T* rows[kRows];
        float sums[kLines][kRows];
        VLM_UNROLL
        for (int l = 0; l < kLines; ++l)
            lines[l] = output(block.index(), l) + (e.gated && l >= kLines / 2 ? e.outputs : 0);
        VLM_UNROLL
        for (int r = 0; r < kRows; ++r) {
            rows[r] = x.row<T>(r < x.count ? r : 0);
            VLM_UNROLL
            for (int l = 0; l < kLines; ++l) sums[l][r] = 0.0f;
        }
        const int64_t depth = weights.depth(), step = int64_t{Weights::kPiece} * block.threads();
        for (int64_t k = int64_t{Weights::kPiece} * block.thread(); k < depth; k += step) {
            Piece piece[kLines];
            VLM_UNROLL
            for (int l = 0; l < kLines; ++l) piece[l] = weights.load(lines[l], k);
            VLM_UNROLL
            for (int sub = 0; sub < Weights::kPiece / 8; ++sub) {
                float w[kLines][8];
                VLM_UNROLL
                for (int l = 0; l < kLines; ++l) weights.unpack(piece[l], sub, w[l]);
                VLM_UNROLL
                for (int r = 0; r < kRows; ++r) {
                    float v[8];
                    load8_of(rows[r], k + 8 * sub, x.columns, pieces, v);
                    VLM_UNROLL
                    for (int l = 0; l < kLines; ++l) {
                        VLM_UNROLL
                        for (int i = 0; i < 8; ++i) sums[l][r] += w[l][i] * v[i];
                    }
                }
            }
        }
        float* parts = block.template shared<float>();
        VLM_UNROLL
        for (int l = 0; l < kLines; ++l) {
            VLM_UNROLL
            for (int r = 0; r < kRows; ++r) {
                const float sum = block.warp_sum(sums[l][r]) * weights.out_scale(lines[l]);
                if (block.lane() == 0) parts[(block.warp() * kLines + l) * kRows + r] = sum;
            }
        }
        block.sync();
        const int per = outputs_of_block();
        for (int t = block.thread(); t < per * kRows; t += block.threads()) {
            const int l = t / kRows, r = t % kRows;
            const int64_t o = block.index() * per + l;
            if (o >= e.outputs || r >= x.count) continue;
            float sum = 0.0f, up = 0.0f;
            for (int w = 0; w < block.warps(); ++w) {
                sum += parts[(w * kLines + l) * kRows + r];
                if (e.gated) up += parts[(w * kLines + l + kLines / 2) * kRows + r];
            }
            finish<T>(e, r, o, sum, up, y);
        }
    }
};

template <class T, class Weights, int kRows>
void go(const Queue& queue, const RowLayout& x, const WeightMatrix& weight, const LinearEpilogue& e,
        const RowLayout& y) {
    using Body = FewRows<T, Weights, kRows>;
    const Body body{x, y, Weights(weight), aligned_rows(x, sizeof(T)), e};
    launch(queue, "linear", {divide_up(e.outputs, body.outputs_of_block()), Body::kSharedBytes}, body);
}

template <class Weights>
void with_rows(const Queue& queue, uint32_t dtype, const RowLayout& x, const WeightMatrix& weight,
               const LinearEpilogue& e, const RowLayout& y) {
    if (dtype == VLM_DTYPE_F32)
        return x.count == 1 ? go<float, Weights, 1>(queue, x, weight, e, y)
                            : go<float, Weights, 8>(queue, x, weight, e, y);
    if (x.count == 1) return go<Bf16, Weights, 1>(queue, x, weight, e, y);
    if (x.count == 2) return go<Bf16, Weights, 2>(queue, x, weight, e, y);
    if (x.count <= 4) return go<Bf16, Weights, 4>(queue, x, weight, e, y);
    go<Bf16, Weights, 8>(queue, x, weight, e, y);
}

}  // namespace

void launch_few_rows(const Queue& queue, uint32_t dtype, const RowLayout& x, const WeightMatrix& weight,
                     const LinearEpilogue& epilogue, const RowLayout& y) {
    if (weight.bits == 4) return with_rows<QuantWeights<4>>(queue, dtype, x, weight, epilogue, y);
    if (weight.bits == 8) return with_rows<QuantWeights<8>>(queue, dtype, x, weight, epilogue, y);
    if (weight.e4m3()) return with_rows<E4m3Weights>(queue, dtype, x, weight, epilogue, y);
    if (weight.dtype == VLM_DTYPE_BF16) return with_rows<PlainWeights<Bf16>>(queue, dtype, x, weight, epilogue, y);
    if (weight.dtype == VLM_DTYPE_F16) return with_rows<PlainWeights<F16>>(queue, dtype, x, weight, epilogue, y);
    with_rows<PlainWeights<float>>(queue, dtype, x, weight, epilogue, y);
}

}  // namespace vlm::cuda
