/** @file row_tiles.cu
 *  Products of three to eight rows in bf16. As in few_rows.cu all that counts is reading the weights, but so many rows
 * would cost more multiplications than a GPU does one by one while it reads; so the tensor cores do them. A product of
 * 16 x 8 x 16 takes 16 lines of weights and up to eight rows of x. A block takes 16 lines, its warps share the inputs,
 * every lane has eight loads of 16 bytes of weights under way, and what the warps have summed is joined in their order.
 *
 *  Which input is which does not matter to a sum as long as both sides agree: a lane reads eight neighbouring inputs of
 * a line at once, and its four words serve as the inputs 2p, 2p + 1, 2p + 8 and 2p + 9 of two products (the register
 * layout of mma.m16n8k16, see attention_tiles.cu).
 */
#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/epilogue.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

namespace {

struct RowTile {
    static constexpr int kThreads = 256;
    using NeedsWarps = void;
    static constexpr int kLines = 16, kRows = 8;
    static constexpr int kInputs = 32;  ///< That four lanes read at once of a line.
    static constexpr int kTurn = 4;     ///< Such reads under way.
    static constexpr int64_t kSharedBytes = int64_t{kThreads / 32} * kLines * kRows * 4;
    RowLayout x, y;
    const Bf16* weights;
    int64_t stride;
    LinearEpilogue e;

    VLM_HD int outputs_of_block() const { return e.gated ? kLines / 2 : kLines; }

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int group = block.lane() / 4, pair = block.lane() % 4;
        const Bf16* lines[2];
        VLM_UNROLL
        for (int half = 0; half < 2; ++half) {
            // The second half are the up lines of the first half's outputs, or eight outputs more.
            const int64_t output = block.index() * outputs_of_block() + group + (e.gated ? 0 : 8 * half);
            const int64_t line = output < e.outputs ? output : e.outputs - 1;
            lines[half] = weights + (e.gated && half == 1 ? line + e.outputs : line) * stride;
        }
        const bool has_row = group < x.count;
        const Bf16* row = x.row<Bf16>(has_row ? group : 0);
        float sums[4] = {};
        constexpr int64_t kStep = kTurn * kInputs;
        for (int64_t first = block.warp() * kStep; first < x.columns; first += block.warps() * kStep) {
            Vector a[kTurn][2], b[kTurn];
            VLM_UNROLL
            for (int t = 0; t < kTurn; ++t) {
                const int64_t k = first + t * kInputs + 8 * pair;
                a[t][0] = a[t][1] = b[t] = Vector{{0, 0, 0, 0}};
                if (k >= x.columns) continue;
                a[t][0] = load_once(lines[0] + k);
                a[t][1] = load_once(lines[1] + k);
                if (has_row) b[t] = load_vector(row + k);
            }
            VLM_UNROLL
            for (int t = 0; t < kTurn; ++t) {
                VLM_UNROLL
                for (int word = 0; word < 4; word += 2) {
                    const uint32_t left[4] = {a[t][0].words[word], a[t][1].words[word], a[t][0].words[word + 1],
                                              a[t][1].words[word + 1]};
                    const uint32_t right[2] = {b[t].words[word], b[t].words[word + 1]};
                    block.multiply(sums, left, right);
                }
            }
        }
        float* parts = block.template shared<float>();
        VLM_UNROLL
        for (int i = 0; i < 4; ++i)
            parts[(block.warp() * kLines + group + i / 2 * 8) * kRows + 2 * pair + i % 2] = sums[i];
        block.sync();
        const int per = outputs_of_block();
        for (int t = block.thread(); t < per * kRows; t += block.threads()) {
            const int line = t / kRows, r = t % kRows;
            const int64_t o = block.index() * per + line;
            if (o >= e.outputs || r >= x.count) continue;
            float sum = 0.0f, up = 0.0f;
            for (int w = 0; w < block.warps(); ++w) {
                const float* part = parts + (w * kLines + line) * kRows + r;
                sum += part[0];
                if (e.gated) up += part[kLines / 2 * kRows];
            }
            finish<Bf16>(e, r, o, sum, up, y);
        }
    }
};

}  // namespace

bool row_tiles_take(uint32_t dtype, const RowLayout& x, const WeightMatrix& weight) {
    constexpr int64_t kFewestRows = 3;
    return dtype == VLM_DTYPE_BF16 && weight.bits == 0 && weight.dtype == VLM_DTYPE_BF16 && x.count >= kFewestRows &&
           x.count <= RowTile::kRows && in_vectors(x, sizeof(Bf16));
}

void launch_row_tiles(const Queue& queue, const RowLayout& x, const WeightMatrix& weight,
                      const LinearEpilogue& epilogue, const RowLayout& y) {
    const RowTile body{x, y, static_cast<const Bf16*>(weight.data), weight.stride, epilogue};
    launch(queue, "linear", {divide_up(epilogue.outputs, body.outputs_of_block()), RowTile::kSharedBytes}, body);
}

}  // namespace vlm::cuda
