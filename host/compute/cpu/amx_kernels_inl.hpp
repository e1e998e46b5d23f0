/** @file amx_kernels_inl.hpp
 *  The tile kernels, over a policy `Tiles` with the static functions begin, end, zero<T>, load<T>(memory, stride in
 * bytes), store<T>(memory, stride), bf16<C, A, B> and int8<C, A, B>, and the class Scaler<bool Zeros>: begin(GroupSums)
 * remembers what waits to be scaled, advance(n) scales up to n rows of it. Tiles 0 to 3 are sums, 4 and 5 activations,
 * 6 and 7 weights. Included once per policy, inside vlm::cpu.
 *
 *  What scaling costs in int8, by the rates of the instructions on Sapphire and Granite Rapids (tile product 16 cycles,
 * tile load 8, tile store 16; two loads, one store and two operations of 64 bytes a cycle): the 1024 sums of a 32 x 32
 * block are 64 vectors. Each is loaded, converted, scaled and added to the output, which is loaded and stored: 96
 * cycles of operations, 80 of loads, 64 of stores, and 64 more of stores from the tiles. The tile products of a group
 * take
 * - group of 32: 64 cycles, and 32 of loads (half of each tile is zeros);
 * - group of 128: 128 cycles, and 64 of loads;
 * - group of 256: 256 cycles, and 128 of loads;
 * - group of 512: 512 cycles, and 256 of loads.
 *
 *  One behind the other, tiles would work for 40 % of the time with groups of 128, and for 70 % with 512. So the
 * vectors of one group run between the tile products of the next: tiles multiply on their own beside vectors, and in
 * the 16 cycles between two products there is room for three rows (some 60 instructions). What bounds a group of 128
 * then are loads, 144 cycles for 128 of products, if nothing else ever waits; with 256 it is the products, 256 cycles
 * for 208 of loads and 128 of stores, and with 512 by more. But the activations of a group share their scale, and twice
 * the depth means twice as many that a loud one among them makes coarse. So wide groups have 256 depths (kWideGroup).
 *
 *  The vectors begin one step late: what they read has to leave the tiles first (some 52 cycles from a product to its
 * sums, 64 for storing them). One buffer of 4 KB is enough, since all of it has been read before the next group's tiles
 * are stored. Whether the processor renames tiles does not matter much: without, the first product of a group waits
 * some 20 cycles for the store of its tile.
 *
 *  None of this has been measured.
 */

namespace {

/** What is read next, fetched a little with every step, so that fetches never queue up before loads. */
class Ahead {
  public:
    Ahead(const void* memory, int64_t bytes, int64_t steps)
        : next_(static_cast<const char*>(memory)),
          lines_(memory != nullptr ? bytes / kTileBytes : 0),
          at_once_(lines_ / (steps > 0 ? steps : 1) + 1) {}
    void fetch() {
        for (int64_t i = lines_ < at_once_ ? lines_ : at_once_; i > 0; --i, --lines_, next_ += kTileBytes)
            __builtin_prefetch(next_, 0, 2);
    }

  private:
    const char* next_;
    int64_t lines_;
    const int64_t at_once_;
};

/** Sums of two tiles of rows, or of one, by 32 columns. */
template <class Tiles>
struct TileSums {
    static void zero(bool two) {
        Tiles::template zero<0>();
        Tiles::template zero<1>();
        if (!two) return;
        Tiles::template zero<2>();
        Tiles::template zero<3>();
    }
    static void load(const float* c, int64_t ldc, bool two) {
        Tiles::template load<0>(c, ldc * 4);
        Tiles::template load<1>(c + 16, ldc * 4);
        if (!two) return;
        Tiles::template load<2>(c + 16 * ldc, ldc * 4);
        Tiles::template load<3>(c + 16 * ldc + 16, ldc * 4);
    }
    template <class Sum>
    static void store(Sum* c, int64_t ldc, bool two) {
        Tiles::template store<0>(c, ldc * 4);
        Tiles::template store<1>(c + 16, ldc * 4);
        if (!two) return;
        Tiles::template store<2>(c + 16 * ldc, ldc * 4);
        Tiles::template store<3>(c + 16 * ldc + 16, ldc * 4);
    }
    /** One step of depth: 64 bytes of each row. `panel` are 16 lines of 128 bytes; `between` runs behind each product.
     */
    template <bool Bf16, class Between>
    static inline __attribute__((always_inline)) void step(const void* a, const void* a_below, int64_t a_stride,
                                                           const void* panel, Between&& between) {
        const auto* b = static_cast<const std::byte*>(panel);
        Tiles::template load<6>(b, 2 * kTileBytes);
        Tiles::template load<4>(a, a_stride);
        product<Bf16, 0, 4, 6>();
        between();
        Tiles::template load<7>(b + kTileBytes, 2 * kTileBytes);
        product<Bf16, 1, 4, 7>();
        between();
        if (a_below == nullptr) return;
        Tiles::template load<5>(a_below, a_stride);
        product<Bf16, 2, 5, 6>();
        between();
        product<Bf16, 3, 5, 7>();
        between();
    }

  private:
    template <bool Bf16, int C, int A, int B>
    static void product() {
        if constexpr (Bf16) {
            Tiles::template bf16<C, A, B>();
        } else {
            Tiles::template int8<C, A, B>();
        }
    }
};

template <class Tiles>
void tile_gemm(const TileProduct& t) {
    constexpr int64_t tile_elements = kTileRows * kTileDepthBf16, panel_elements = kPanel * kTileDepthBf16;
    const int64_t steps = t.depth / kTileDepthBf16;
    Ahead ahead(t.ahead, t.depth * kPanel * 2, (t.rows + 2 * kTileRows - 1) / (2 * kTileRows) * steps);
    for (int64_t row = 0; row < t.rows; row += 2 * kTileRows) {
        const bool two = row + kTileRows < t.rows;
        const uint16_t* a = t.a + row / kTileRows * t.row_tile_stride;
        float* c = t.c + row * t.ldc;
        if (t.accumulate) {
            TileSums<Tiles>::load(c, t.ldc, two);
        } else {
            TileSums<Tiles>::zero(two);
        }
        for (int64_t step = 0; step < steps; ++step) {
            const uint16_t* at = a + step * tile_elements;
            TileSums<Tiles>::template step<true>(at, two ? at + t.row_tile_stride : nullptr, kTileBytes,
                                                 t.panel + step * panel_elements, [] {});
            ahead.fetch();
        }
        TileSums<Tiles>::store(c, t.ldc, two);
    }
}

template <class Tiles, bool Zeros>
void tile_groups(const TileGroups& t) {
    constexpr int64_t tile_bytes = kTileRows * kTileBytes, all = 2 * kTileRows;
    const int64_t step_depth = t.group < kTileDepthInt8 ? t.group : kTileDepthInt8;
    const int64_t group_steps = t.group / step_depth, steps = t.depth / step_depth;
    // A step of the group passes before the last one's sums are touched, where it has so many.
    const int64_t late = group_steps > 1 ? 1 : 0, at_once = group_steps > 1 ? 3 : 8;
    Ahead ahead(t.ahead, t.ahead_bytes, (t.rows + all - 1) / all * steps);
    alignas(64) int32_t sums[all * kPanel];
    typename Tiles::template Scaler<Zeros> waiting;
    for (int64_t row = 0; row < t.rows; row += all) {
        const bool two = row + kTileRows < t.rows;
        const int8_t* a = t.a + row / kTileRows * t.row_tile_stride;
        const int8_t* codes = t.codes;
        for (int64_t step = 0, group = 0; step < steps; ++group) {
            TileSums<Tiles>::zero(two);
            for (int64_t i = 0; i < group_steps && step < steps; ++i, ++step) {
                const int64_t rows_now = i < late ? 0 : at_once;
                TileSums<Tiles>::template step<false>(
                    a, two ? a + t.row_tile_stride : nullptr, kTileBytes,
                    codes, [&]() __attribute__((always_inline)) { waiting.advance(rows_now); });
                ahead.fetch();
                a += tile_bytes;
                codes += step_depth * kPanel;
            }
            waiting.advance(all);
            TileSums<Tiles>::store(sums, kPanel, two);
            waiting.begin({sums, t.scales + group * kPanel, Zeros ? t.zeros + group * kPanel : nullptr,
                           t.row_factors + row / all * t.row_factor_stride + group * 2 * all, t.c + row * t.ldc, t.ldc,
                           t.rows - row < all ? t.rows - row : all});
        }
    }
    waiting.advance(all);
}

template <class Tiles>
void tile_groups_of_either(const TileGroups& t) {
    (t.zeros != nullptr ? tile_groups<Tiles, true> : tile_groups<Tiles, false>)(t);
}

/** Logits: the depth of a head is a few steps, and queries lie close enough to be read where they are. */
template <class Tiles>
void tile_scores(const ScoreTile& t) {
    const int64_t stride = t.depth * kPanel;
    for (int64_t p = 0; p < t.page_count; ++p) {
        if (t.pages[p] == nullptr) continue;
        for (int64_t half = 0; half < 2; ++half) {
            const uint16_t* panel = t.pages[p] + half * stride;
            for (int64_t row = 0; row < t.rows; row += 2 * kTileRows) {
                const bool two = row + kTileRows < t.rows;
                TileSums<Tiles>::zero(two);
                for (int64_t k = 0; k < t.depth; k += kTileDepthBf16) {
                    const uint16_t* q = t.q + row * t.ldq + k;
                    TileSums<Tiles>::template step<true>(q, two ? q + kTileRows * t.ldq : nullptr, t.ldq * 2,
                                                         panel + k * kPanel, [] {});
                }
                TileSums<Tiles>::store(t.logits + row * t.ld + p * 2 * kPanel + half * kPanel, t.ld, two);
            }
        }
    }
}

/** Weighted values: sums stay in tiles over all pages of the tile. */
template <class Tiles>
void tile_values(const ValueTile& t) {
    constexpr int64_t page_keys = 2 * kPanel, stride = page_keys * kPanel;
    for (int64_t panel = 0; panel < t.panels; ++panel)
        for (int64_t row = 0; row < t.rows; row += 2 * kTileRows) {
            const bool two = row + kTileRows < t.rows;
            float* c = t.out + row * t.ldo + panel * kPanel;
            TileSums<Tiles>::load(c, t.ldo, two);
            for (int64_t key = 0; key < t.keys; key += kTileDepthBf16) {
                const uint16_t* page = t.pages[key / page_keys];
                if (page == nullptr) continue;
                const uint16_t* w = t.weights + row * t.ldw + key;
                TileSums<Tiles>::template step<true>(w, two ? w + kTileRows * t.ldw : nullptr, t.ldw * 2,
                                                     page + panel * stride + key % page_keys * kPanel, [] {});
            }
            TileSums<Tiles>::store(c, t.ldo, two);
        }
}

template <class Tiles>
constexpr AmxKernels make_amx_kernels(const char* name) {
    return {name,
            Tiles::begin,
            Tiles::end,
            tile_gemm<Tiles>,
            tile_groups_of_either<Tiles>,
            tile_scores<Tiles>,
            tile_values<Tiles>};
}

}  // namespace
