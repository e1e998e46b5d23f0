/** @file amx_kernels_inl.hpp
 *  The tile kernels, over a policy `Tiles` with the static functions begin, end, zero<T>, load<T>(memory, stride in
 * bytes), store<T>(memory, stride), bf16<C, A, B> and int8<C, A, B>. Tiles 0 to 3 are sums, 4 and 5 activations, 6 and
 * 7 weights. Included once per policy, inside vlm::cpu.
 */

namespace {

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
    template <class Sum>
    static void load(const Sum* c, int64_t ldc, bool two) {
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
    /** One step of depth: 64 bytes of each row. `panel` are 16 lines of 128 bytes. */
    template <bool Bf16>
    static void step(const void* a, const void* a_below, int64_t a_stride, const void* panel) {
        const auto* b = static_cast<const std::byte*>(panel);
        Tiles::template load<6>(b, 128);
        Tiles::template load<7>(b + 64, 128);
        Tiles::template load<4>(a, a_stride);
        product<Bf16, 0, 4, 6>();
        product<Bf16, 1, 4, 7>();
        if (a_below == nullptr) return;
        Tiles::template load<5>(a_below, a_stride);
        product<Bf16, 2, 5, 6>();
        product<Bf16, 3, 5, 7>();
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

template <class Tiles, bool Bf16, class A, class Sum>
void tile_gemm(const TileProduct<A, Sum>& t) {
    constexpr int64_t depth_step = Bf16 ? kTileDepthBf16 : kTileDepthInt8;
    constexpr int64_t tile_elements = kTileRows * depth_step, panel_elements = kPanel * depth_step;
    for (int64_t row = 0; row < t.rows; row += 2 * kTileRows) {
        const bool two = row + kTileRows < t.rows;
        const A* a = t.a + row / kTileRows * t.row_tile_stride;
        Sum* c = t.c + row * t.ldc;
        if (t.accumulate) {
            TileSums<Tiles>::load(c, t.ldc, two);
        } else {
            TileSums<Tiles>::zero(two);
        }
        for (int64_t step = 0; step < t.depth / depth_step; ++step) {
            const A* at = a + step * tile_elements;
            TileSums<Tiles>::template step<Bf16>(at, two ? at + t.row_tile_stride : nullptr, kTileBytes,
                                                 t.panel + step * panel_elements);
            if (row > 0 || t.ahead == nullptr) continue;
            const char* next = static_cast<const char*>(t.ahead) + step * 2 * kTileRows * kTileBytes;
            for (int64_t line = 0; line < 2 * kTileRows; ++line) __builtin_prefetch(next + line * kTileBytes, 0, 2);
        }
        TileSums<Tiles>::store(c, t.ldc, two);
    }
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
                                                         panel + k * kPanel);
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
                                                     page + panel * stride + key % page_keys * kPanel);
            }
            TileSums<Tiles>::store(c, t.ldo, two);
        }
}

template <class Tiles>
constexpr AmxKernels make_amx_kernels(const char* name) {
    return {name,
            Tiles::begin,
            Tiles::end,
            tile_gemm<Tiles, true, uint16_t, float>,
            tile_gemm<Tiles, false, int8_t, int32_t>,
            tile_scores<Tiles>,
            tile_values<Tiles>};
}

}  // namespace
