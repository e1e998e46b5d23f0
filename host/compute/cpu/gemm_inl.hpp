/** @file gemm_inl.hpp
 *  Rows times a panel: the one dense kernel. `MR` rows and `NV` vectors of outputs stay in registers while the panel
 * streams by; each activation is broadcast from where it lies, so rows need no packing. Included once per instruction
 * set.
 */

namespace {

/** Steps through an f32 panel one depth at a time. */
struct PanelF32 {
    using Element = float;
    static constexpr int kStep = 1;
    static F load(const float* panel, int64_t k, int64_t column, int) { return Vec::load(panel + k * kPanel + column); }
};

/** Steps through a bf16 panel one pair at a time. */
struct PanelBf16 {
    using Element = uint16_t;
    static constexpr int kStep = 2;
    static F load(const uint16_t* panel, int64_t k, int64_t column, int part) {
        const uint16_t* pair = panel + k * kPanel + 2 * column;
        return part == 0 ? Vec::even(pair) : Vec::odd(pair);
    }
};

/** How far ahead, in bytes, the first rows ask for the panel, two lines a step: with few rows it comes from memory, and
 * a slice of its columns is too broken a pattern for the hardware to guess. */
constexpr int64_t kPanelAhead = 4096;

template <class Panel, int MR, int NV, bool Fetch>
void tile(const float* a, int64_t lda, const typename Panel::Element* panel, int64_t depth, int64_t column, float* c,
          int64_t ldc, bool accumulate) {
    F sums[MR][NV];
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
            sums[m][v] = accumulate ? Vec::load(c + m * ldc + v * Vec::kWidth) : Vec::set(0.0f);
    const auto step = [&](int64_t k, int part) __attribute__((always_inline)) {
        F b[NV];
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) b[v] = Panel::load(panel, k, column + v * Vec::kWidth, part);
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            const F x = Vec::set(a[m * lda + k + part]);
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) {
                sums[m][v] = Vec::fma(x, b[v], sums[m][v]);
                if constexpr (MR == Vec::kTileRows) Vec::keep(sums[m][v]);
            }
        }
    };
    int64_t k = 0;
    for (; k + Panel::kStep <= depth; k += Panel::kStep) {
        if constexpr (Fetch) {
            const char* ahead = reinterpret_cast<const char*>(panel + k * kPanel) + kPanelAhead;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
        }
        step(k, 0);
        if constexpr (Panel::kStep == 2) step(k, 1);
    }
    if (k < depth) step(k, 0);
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) Vec::store(c + m * ldc + v * Vec::kWidth, sums[m][v]);
}

/** All columns of the panel for exactly MR rows: few rows take the whole width at once, many take it in slices. */
template <class Panel, int MR, bool Fetch>
void tiles(const float* a, int64_t lda, const typename Panel::Element* panel, int64_t depth, float* c, int64_t ldc,
           bool accumulate) {
    constexpr int kAll = static_cast<int>(kPanel) / Vec::kWidth;
    constexpr int kVecs = MR * kAll < Vec::kTileRows * Vec::kTileVecs && kAll <= 8 ? kAll : Vec::kTileVecs;
    tile<Panel, MR, kVecs, Fetch>(a, lda, panel, depth, 0, c, ldc, accumulate);
    for (int64_t column = kVecs * Vec::kWidth; column < kPanel; column += kVecs * Vec::kWidth)
        tile<Panel, MR, kVecs, false>(a, lda, panel, depth, column, c + column, ldc, accumulate);
}

template <class Panel, int MR, bool Fetch>
void remaining(const float* a, int64_t lda, const typename Panel::Element* panel, int64_t depth, float* c, int64_t ldc,
               int64_t rows, bool accumulate) {
    if constexpr (MR > 0) {
        if (rows == MR) return tiles<Panel, MR, Fetch>(a, lda, panel, depth, c, ldc, accumulate);
        remaining<Panel, MR - 1, Fetch>(a, lda, panel, depth, c, ldc, rows, accumulate);
    }
}

template <class Panel>
void gemm(const float* a, int64_t lda, const typename Panel::Element* panel, int64_t depth, float* c, int64_t ldc,
          int64_t rows, bool accumulate) {
    constexpr int kRows = Vec::kTileRows;
    if (rows < kRows) return remaining<Panel, kRows - 1, true>(a, lda, panel, depth, c, ldc, rows, accumulate);
    tiles<Panel, kRows, true>(a, lda, panel, depth, c, ldc, accumulate);
    int64_t row = kRows;
    for (; row + kRows <= rows; row += kRows)
        tiles<Panel, kRows, false>(a + row * lda, lda, panel, depth, c + row * ldc, ldc, accumulate);
    remaining<Panel, kRows - 1, false>(a + row * lda, lda, panel, depth, c + row * ldc, ldc, rows - row, accumulate);
}

void gemm_f32(const float* a, int64_t lda, const float* panel, int64_t depth, float* c, int64_t ldc, int64_t rows,
              bool accumulate) {
    gemm<PanelF32>(a, lda, panel, depth, c, ldc, rows, accumulate);
}

void gemm_f32_bf16(const float* a, int64_t lda, const uint16_t* panel, int64_t depth, float* c, int64_t ldc,
                   int64_t rows, bool accumulate) {
    gemm<PanelBf16>(a, lda, panel, depth, c, ldc, rows, accumulate);
}

/** The table of this instruction set, but for products in bf16. */
constexpr Kernels make_kernels(Isa isa) {
    Kernels table{};
    table.isa = isa;
    table.gemm_f32 = gemm_f32;
    table.gemm_f32_bf16 = gemm_f32_bf16;
    table.epilogue = epilogue_row;
    table.softmax_step = softmax_step_row;
    table.activation = activation_row;
    table.layer_norm = layer_norm_row;
    table.rms_norm = rms_norm_row;
    table.l2_normalize = l2_normalize_row;
    table.softmax = softmax_row;
    table.add = add_row;
    table.multiply = multiply_row;
    table.scale = scale_row;
    table.to_bf16 = to_bf16_row;
    table.to_f16 = to_f16_row;
    table.to_int8 = to_int8_row;
    table.f16_to_f32 = f16_to_f32_row;
    table.int8_to_bf16 = int8_to_bf16_row;
    table.rotate = rotate_row;
    table.gather_keys_f32 = gather_keys_f32;
    table.gather_keys_bf16 = gather_keys_bf16;
    table.join_pairs = join_pairs;
    table.merged_logits = merged_logits;
    return table;
}

}  // namespace
