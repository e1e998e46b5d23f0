/** @file linear.cpp
 *  `y = epilogue(x W^T + b)` over packed panels.
 *
 *  Two regimes. With many rows the work is cut into blocks of rows times a few panels; the depth runs in blocks of 32
 * or 64 KB of a panel, which stays near while all rows of the block pass by (in bf16 the second-level cache is near
 * enough, as the part is read in order, and longer parts mean fewer passes over the sums). Meanwhile bf16 kernels fetch
 * the part that comes next. Blocks that share panels follow each other, so that weights come from memory once. With few
 * rows (decoding) a panel is read once from
 * front to back, which is all that matters then. In both, sums stay in a small tile until the epilogue writes them, so
 * the output is touched once.
 *
 *  Blocks of their own have, in bf16, quantised weights and many rows (linear_wide.hpp) and, on a processor with AMX,
 * all weights (linear_amx.hpp); both walk as linear_blocks.hpp says. On wish oneDNN (linear_onednn.hpp) multiplies many
 * rows in bf16: from the same panels, into a tile that the same epilogue reads.
 *
 *  The cut depends on shapes only, never on the number of threads.
 */
#include "host/compute/cpu/linear.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include "host/compute/cpu/linear_amx.hpp"
#include "host/compute/cpu/linear_onednn.hpp"
#include "host/compute/cpu/linear_quant.hpp"
#include "host/compute/cpu/linear_wide.hpp"
#include "host/compute/cpu/memory.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kMaxRowBlock = 112;
constexpr int64_t kMaxPanels = 4;
constexpr int64_t kFewRows = 16;
/** Blocks of oneDNN: their activations, panels and tile fit the second-level cache for depths up to some thousands. */
constexpr int64_t kOnednnRows = 256;
constexpr int64_t kOnednnPanels = 8;
/** Rows of a block of oneDNN are padded to this: the height of an AMX tile, and few shapes to make primitives for. */
constexpr int64_t kRowStep = 16;

void multiply_f32(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                  int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte*) {
    kernels.gemm_f32(static_cast<const float*>(a) + begin, lda, reinterpret_cast<const float*>(panel) + begin * kPanel,
                     depth, c, ldc, rows, accumulate);
}

void multiply_f32_bf16(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                       int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte*) {
    kernels.gemm_f32_bf16(static_cast<const float*>(a) + begin, lda,
                          reinterpret_cast<const uint16_t*>(panel) + begin * kPanel, depth, c, ldc, rows, accumulate);
}

void multiply_bf16(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                   int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte* ahead) {
    kernels.gemm_bf16(static_cast<const uint16_t*>(a) + begin, lda,
                      reinterpret_cast<const uint16_t*>(panel) + begin * kPanel, depth, c, ldc, rows, accumulate,
                      reinterpret_cast<const uint16_t*>(ahead));
}

/** What a kernel needs beside the type of the weights. */
enum class Needs {
    nothing,
    bf16_mode,   ///< The user allows rounded activations.
    bf16_units,  ///< That, and a processor that multiplies bf16.
    byte_units,  ///< Rounded activations, and a processor that multiplies and sums bytes at once.
};

/** One row per kernel; the first that fits is taken. Without byte units a product of bytes takes four instructions, and
 * many rows are faster when weights are expanded to f32 once for all of them. */
struct Choice {
    WeightType type;
    Needs needs;
    int64_t max_rows;
    LinearKernel kernel;
};
constexpr int64_t kAnyRows = INT64_MAX;
constexpr Choice kChoices[] = {
    {WeightType::f32, Needs::nothing, kAnyRows, {"f32", ActivationForm::f32, 256, multiply_f32}},
    {WeightType::f16, Needs::nothing, kAnyRows, {"f32 x f16", ActivationForm::f32, kWholeDepth, multiply_f32_f16}},
    {WeightType::bf16, Needs::bf16_units, kAnyRows, {"bf16", ActivationForm::bf16, 1024, multiply_bf16}},
    {WeightType::bf16, Needs::nothing, kAnyRows, {"f32 x bf16", ActivationForm::f32, 512, multiply_f32_bf16}},
    {WeightType::int8, Needs::byte_units, kAnyRows, {"int8 x int8", ActivationForm::int8, kWholeDepth, multiply_int8}},
    {WeightType::int8, Needs::bf16_mode, kExactRows, {"int8 x int8", ActivationForm::int8, kWholeDepth, multiply_int8}},
    {WeightType::int8, Needs::nothing, kAnyRows, {"f32 x int8", ActivationForm::f32, kWholeDepth, multiply_f32_int8}},
    {WeightType::int4, Needs::bf16_mode, kAnyRows, {"int8 x int4", ActivationForm::int8, kWholeDepth, multiply_int4}},
    {WeightType::int4, Needs::nothing, kAnyRows, {"f32 x int4", ActivationForm::f32, kWholeDepth, multiply_f32_int4}},
};

/** Bytes of one step of `lda`. */
int64_t activation_bytes(ActivationForm form) {
    return form == ActivationForm::f32 ? 4 : form == ActivationForm::bf16 ? 2 : 1;
}

/** What a call has been checked to be. */
struct Call {
    const vlm_linear* layer;
    const LinearKernel* kernel;
    const Kernels* kernels;
    const void* a;
    int64_t lda;
    int64_t rows;
    bool gated;
    uint32_t activation;
    const float* scale;  ///< `[outputs]`, or NULL.
    float scale_all;
    const Rows* residual;
    const Rows* y;
};

/** A part of a panel, from depth `begin` on. */
struct Part {
    int64_t panel, begin;
};

/** Sums of rows [row, row + count) for `depth` of `part`, into `tile`; what is read after it is `next`, if anything. */
void multiply_part(const Call& call, int64_t row, int64_t count, Part part, int64_t depth, float* tile, int64_t ldc,
                   const Part* next) {
    const auto* a = static_cast<const std::byte*>(call.a) + row * call.lda * activation_bytes(call.kernel->form);
    const auto bytes_before = [&](int64_t begin) { return begin * call.layer->panel_bytes / call.layer->depth; };
    const std::byte* ahead = next != nullptr ? call.layer->panel(next->panel) + bytes_before(next->begin) : nullptr;
    call.kernel->multiply(*call.kernels, a, call.lda, call.layer->panel(part.panel), part.begin, depth, tile, ldc,
                          count, part.begin > 0, ahead);
}

/** Writes rows [row, row + count) of panels [panel, panel + panels) from their sums in `tile`, rows `ldc` apart; when
 * gated, the sum of the up half stands `up` elements behind that of the gate half. */
void finish_block(const Call& call, int64_t row, int64_t count, int64_t panel, int64_t panels, const float* tile,
                  int64_t ldc, int64_t up) {
    constexpr int64_t kRowsAhead = 8;
    const vlm_linear& layer = *call.layer;
    const auto fetch = [&](const float* at, int64_t n, auto to_write) {
        constexpr int64_t kLine = 16;
        for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(at + i, decltype(to_write)::value);
    };
    // Panels of one segment lie side by side in the tile as in the output: each row of them is one epilogue.
    for (int64_t p = 0, width = 0; p < panels; p += width) {
        const int64_t index = panel + p;
        const int64_t inside = index % layer.segment_panels * kPanel;
        const int64_t output = index / layer.segment_panels * layer.segment_outputs + inside;
        width = std::min(panels - p, layer.segment_panels - index % layer.segment_panels);
        EpilogueRow epilogue{};
        epilogue.n = std::min(width * kPanel, layer.segment_outputs - inside);
        epilogue.bias = layer.bias.empty() ? nullptr : layer.bias.data() + index * kPanel;
        if (call.gated && epilogue.bias != nullptr) epilogue.up_bias = epilogue.bias + layer.segment_panels * kPanel;
        epilogue.scale = call.scale != nullptr ? call.scale + output : nullptr;
        epilogue.scale_all = call.scale_all;
        epilogue.activation = call.activation;
        for (int64_t r = 0; r < count; ++r) {
            // Rows lie apart, and no hardware looks ahead across them.
            if (const int64_t next = row + r + kRowsAhead; r + kRowsAhead < count) {
                fetch(call.y->row(next) + output, epilogue.n, std::true_type{});
                if (call.residual != nullptr) fetch(call.residual->row(next) + output, epilogue.n, std::false_type{});
            }
            epilogue.sum = tile + r * ldc + p * kPanel;
            if (call.gated) epilogue.up = epilogue.sum + up;
            if (call.residual != nullptr) epilogue.residual = call.residual->row(row + r) + output;
            epilogue.out = call.y->row(row + r) + output;
            call.kernels->epilogue(epilogue);
        }
    }
}

/** Everything of rows [row, row + count) and panels [panel, panel + panels) of the gate segment or of all segments;
 * `after` is the panel with which the next block begins, -1: none. */
void run_block(const Call& call, int64_t row, int64_t count, int64_t panel, int64_t panels, bool block_depth,
               int64_t after) {
    const vlm_linear& layer = *call.layer;
    const int64_t halves = call.gated ? 2 : 1;
    const int64_t ldc = halves * panels * kPanel;
    alignas(64) float tile[kMaxRowBlock * kMaxPanels * kPanel];
    const int64_t total = call.kernel->form == ActivationForm::f32 ? layer.in : layer.depth;
    const int64_t step = block_depth ? std::min(call.kernel->depth_block, total) : total;
    const int64_t parts = (total + step - 1) / step * halves * panels;
    const auto part = [&](int64_t i) {
        const int64_t h = i / panels % halves;
        return Part{panel + i % panels + h * layer.segment_panels, i / panels / halves * step};
    };
    for (int64_t i = 0; i < parts; ++i) {
        const Part now = part(i), next = i + 1 < parts ? part(i + 1) : Part{after, 0};
        multiply_part(call, row, count, now, std::min(step, total - now.begin), tile + i % (halves * panels) * kPanel,
                      ldc, next.panel >= 0 ? &next : nullptr);
    }
    finish_block(call, row, count, panel, panels, tile, ldc, panels * kPanel);
}

void run_blocks(State& state, const Call& call) {
    const vlm_linear& layer = *call.layer;
    const bool few = call.rows <= kFewRows;
    const int64_t segments = call.gated ? 1 : layer.segments;
    const int64_t panels = segments * layer.segment_panels;
    const int64_t group = few ? 1 : call.gated ? kMaxPanels / 2 : kMaxPanels;
    const int64_t groups = (panels + group - 1) / group;
    const int64_t blocks = (call.rows + kMaxRowBlock - 1) / kMaxRowBlock;
    const int64_t even = (call.rows + blocks - 1) / blocks;
    const int64_t block = few ? call.rows : std::min(kMaxRowBlock, (even + 13) / 14 * 14);
    const int64_t row_blocks = (call.rows + block - 1) / block;
    state.pool.parallel_for(0, groups * row_blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) {
            const int64_t panel = item / row_blocks * group, row = item % row_blocks * block;
            const int64_t after = item + 1 < groups * row_blocks ? (item + 1) / row_blocks * group : -1;
            run_block(call, row, std::min(block, call.rows - row), panel, std::min(group, panels - panel), !few, after);
        }
    });
}

/** Elements between rows of bf16 activations: an odd number of cache lines. With the 4 KB that many models have, all
 * rows of a tile would meet in one set of the first-level cache, which has fewer ways than a tile has rows. */
int64_t spread_stride(int64_t depth) {
    constexpr int64_t kLine = 32;
    return round_up(depth, kLine) / kLine % 2 == 0 ? round_up(depth, kLine) + kLine : round_up(depth, kLine);
}

/** run_blocks by oneDNN; false, and nothing done, where oneDNN has no fast kernel for a shape. `call.a` has rows up to
 * the next multiple of kRowStep. Halves of a gated layer get a tile each: oneDNN 3.2 is fast on dense targets only. */
bool run_onednn_blocks(State& state, const Call& call) {
    const vlm_linear& layer = *call.layer;
    const int64_t halves = call.gated ? 2 : 1;
    const int64_t panels = (call.gated ? 1 : layer.segments) * layer.segment_panels;
    const int64_t group = kOnednnPanels / halves;
    const int64_t groups = (panels + group - 1) / group;
    const int64_t even = (call.rows + kOnednnRows - 1) / kOnednnRows;
    const int64_t block = round_up((call.rows + even - 1) / even, kRowStep);
    const int64_t row_blocks = (call.rows + block - 1) / block;
    // Inner and last blocks of both directions: at most four shapes, which the loop below then only looks up.
    std::array<std::array<std::shared_ptr<const OnednnProduct>, 2>, 2> products;
    int64_t workspace = 64;
    for (const int64_t last_rows : {0, 1})
        for (const int64_t last_group : {0, 1}) {
            const int64_t rows = last_rows != 0 ? round_up(call.rows - (row_blocks - 1) * block, kRowStep) : block;
            const int64_t width = (last_group != 0 ? panels - (groups - 1) * group : std::min(group, panels)) * kPanel;
            auto& product = products[static_cast<size_t>(last_rows)][static_cast<size_t>(last_group)];
            product = onednn_product(rows, width, layer.depth);
            if (!product->fast()) return false;
            workspace = std::max(workspace, round_up(product->workspace_bytes(), 64));
        }
    state.pool.parallel_for(0, groups * row_blocks, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer memory(state.scratch, workspace + block * kOnednnPanels * kPanel * 4);
        auto* tile = reinterpret_cast<float*>(memory.as<std::byte>() + workspace);
        for (int64_t item = begin; item < end; ++item) {
            const int64_t at = item / row_blocks, panel = at * group, count = std::min(group, panels - panel);
            const int64_t row_block = item % row_blocks, row = row_block * block;
            const auto& product = products[row_block == row_blocks - 1 ? 1 : 0][at == groups - 1 ? 1 : 0];
            const auto* a = static_cast<const uint16_t*>(call.a) + row * call.lda;
            const int64_t width = count * kPanel, up = block * width;
            for (int64_t h = 0; h < halves; ++h)
                product->multiply(a, layer.panel(panel + h * layer.segment_panels), tile + h * up,
                                  memory.as<std::byte>());
            finish_block(call, row, std::min(block, call.rows - row), panel, count, tile, width, up);
        }
    });
    return true;
}

/** Reads and checks the epilogue. */
void read_epilogue(const vlm_epilogue& epilogue, const View& y, Call& call, std::unique_ptr<Rows>& residual) {
    if (epilogue.struct_size < sizeof(vlm_epilogue) || epilogue.struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument("epilogue has struct_size " + std::to_string(epilogue.struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_epilogue)));
    if (epilogue.activation > VLM_ACT_SIGMOID)
        throw invalid_argument("activation " + std::to_string(epilogue.activation) + " is unknown");
    call.activation = epilogue.activation;
    if (epilogue.residual != nullptr) {
        const View r = view_of(epilogue.residual, "residual", VLM_DTYPE_F32);
        if (r.elements != y.elements || r.last() != y.last()) expect_same_shape(r, y);
        residual = std::make_unique<Rows>(r);
        call.residual = residual.get();
    }
    if (epilogue.scale != nullptr) {
        const View s = compact_view(epilogue.scale, "scale", VLM_DTYPE_F32);
        if (s.elements == y.last() && s.elements != 1) {
            call.scale = s.data<float>();
        } else if (s.elements == 1) {
            call.scale_all = *s.data<float>();
        } else {
            throw invalid_argument(s.text() + ", expected [" + std::to_string(y.last()) + "] or [1]");
        }
    }
}

}  // namespace

const LinearKernel& linear_kernel(WeightType type, Precision mode, const Kernels& kernels, int64_t rows) {
    for (const Choice& choice : kChoices) {
        if (choice.type != type || rows > choice.max_rows) continue;
        if (choice.needs != Needs::nothing && mode != Precision::bf16) continue;
        if (choice.needs == Needs::bf16_units && kernels.gemm_bf16 == nullptr) continue;
        if (choice.needs == Needs::byte_units && quant_kernels().gemm_wide == nullptr) continue;
        return choice.kernel;
    }
    throw unimplemented(std::string("no kernel for ") + weight_type_name(type) + " weights");
}

vlm_status linear(const vlm_compute* self, const vlm_run_context* run, const vlm_linear* layer, const vlm_tensor* x,
                  const vlm_epilogue* epilogue, vlm_tensor* y) {
    return guarded(self, run, Op::linear, [&](State& state) {
        if (layer == nullptr) throw invalid_argument("the layer is NULL");
        Call call{};
        call.layer = layer;
        call.kernels = &kernels();
        call.scale_all = 1.0f;
        call.gated = epilogue != nullptr && epilogue->gated != 0;
        const View xv = view_of(x, "x", VLM_DTYPE_F32), yv = view_of(y, "y", VLM_DTYPE_F32);
        if (call.gated && layer->segments != 2)
            throw invalid_argument(layer->name + " has " + std::to_string(layer->out) +
                                   " outputs, which is odd: no gate and up halves");
        const int64_t outputs = call.gated ? layer->segment_outputs : layer->out;
        if (xv.ndim < 1 || yv.ndim < 1 || xv.last() != layer->in || yv.last() != outputs ||
            xv.elements / layer->in != yv.elements / outputs)
            throw invalid_argument(xv.text() + " and " + yv.text() + " do not fit " + layer->name +
                                   ": expected [rows, " + std::to_string(layer->in) + "] and [rows, " +
                                   std::to_string(outputs) + "]");
        call.rows = xv.elements / layer->in;
        std::unique_ptr<Rows> residual;
        if (epilogue != nullptr) read_epilogue(*epilogue, yv, call, residual);
        const Rows to(yv);
        call.y = &to;
        call.kernel = &linear_kernel(layer->type, state.options.mode, *call.kernels, call.rows);
        const bool onednn =
            onednn_multiplies(state.dense, state.onednn, active_isa(), state.options.mode, layer->type, call.rows);
        if (call.rows == 0) return;
        std::unique_ptr<ScratchBuffer> copied, rounded;
        const Rows from(with_uniform_rows(state, xv, copied));
        const auto count = [&] {
            state.count_flops(Op::linear, 2 * static_cast<uint64_t>(call.rows) * static_cast<uint64_t>(layer->in) *
                                              static_cast<uint64_t>(layer->out));
        };
        const FinishBlock finish = [&call](auto... block) { finish_block(call, block...); };
        if (const AmxKernels* amx = amx_for(state.dense, state.options.mode, layer->type, call.rows)) {
            run_amx_blocks(state, *amx, *layer, from, call.rows, call.gated, finish);
            return count();
        }
        if (takes_wide_groups(state.options.mode, layer->type, call.rows)) {
            run_wide_blocks(state, *layer, from, call.rows, call.gated, finish);
            return count();
        }
        call.a = from.row(0);
        call.lda = from.stride();
        if (call.kernel->form == ActivationForm::int8) {
            rounded = quantise_activations(state, from, call.rows, *layer);
            call.a = rounded->as<std::byte>();
            call.lda = quant_row_bytes(layer->depth);
        }
        if (call.kernel->form == ActivationForm::bf16) {
            const int64_t rows = onednn ? round_up(call.rows, kRowStep) : call.rows;
            call.lda = onednn ? layer->depth : spread_stride(layer->depth);
            rounded = std::make_unique<ScratchBuffer>(state.scratch, checked_product(rows, call.lda, 2));
            auto* target = rounded->as<uint16_t>();
            std::fill(target + call.rows * call.lda, target + rows * call.lda, uint16_t{0});
            state.pool.parallel_for(0, call.rows, 16, [&](int64_t begin, int64_t end) {
                for (int64_t r = begin; r < end; ++r) {
                    uint16_t* row = target + r * call.lda;
                    call.kernels->to_bf16(from.row(r), row, layer->in);
                    std::fill(row + layer->in, row + layer->depth, uint16_t{0});
                }
            });
            call.a = target;
        }
        if (!onednn || !run_onednn_blocks(state, call)) run_blocks(state, call);
        count();
    });
}

}  // namespace vlm::cpu
