/** @file amx_emulated.cpp
 *  The tile instructions as Intel's manual describes them (SDM volume 2: LDTILECFG, TILELOADD, TILESTORED, TILEZERO,
 * TDPBF16PS, TDPBSSD, TILERELEASE), on tiles of the calling thread. Slow; it is there so that every machine tests the
 * kernels, and so that a processor's own answers can be compared with something. Denormals are not flushed here, and of
 * the order within a bf16 product only what the manual says is promised: pairs of even and odd depths summed apart.
 */
#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "host/compute/cpu/amx.hpp"
#include "host/compute/cpu/convert.hpp"

namespace vlm::cpu {

namespace {

using Tile = std::array<std::array<uint8_t, 64>, 16>;

/** The tile state of a thread. Shapes are those of palette 1, all tiles at full size. */
struct TileState {
    bool configured = false;
    std::array<bool, 8> written{};  ///< A tile that was never written holds zeros; reading one is a mistake of ours.
    std::array<Tile, 8> tiles{};
};

TileState& tile_state() {
    thread_local TileState state;
    return state;
}

template <class T>
T read(const Tile& tile, int row, int column) {
    T value;
    std::memcpy(&value, tile[static_cast<size_t>(row)].data() + static_cast<size_t>(column) * sizeof(T), sizeof(T));
    return value;
}

template <class T>
void write(Tile& tile, int row, int column, T value) {
    std::memcpy(tile[static_cast<size_t>(row)].data() + static_cast<size_t>(column) * sizeof(T), &value, sizeof(T));
}

struct Emulated {
    static void begin() {
        if (tile_state().configured) throw std::logic_error("AMX: tiles are configured twice");
        tile_state() = {};
        tile_state().configured = true;
    }
    static void end() { tile_state() = {}; }

    /** A tile to be written. */
    template <int T>
    static Tile& target() {
        static_assert(T >= 0 && T < 8);
        TileState& state = tile_state();
        if (!state.configured) throw std::logic_error("AMX: #UD, no tile configuration");
        state.written[T] = true;
        return state.tiles[T];
    }
    /** A tile to be read. */
    template <int T>
    static const Tile& source() {
        static_assert(T >= 0 && T < 8);
        const TileState& state = tile_state();
        if (!state.configured) throw std::logic_error("AMX: #UD, no tile configuration");
        if (!state.written[T]) throw std::logic_error("AMX: a tile is read that was never written");
        return state.tiles[T];
    }

    template <int T>
    static void zero() {
        target<T>() = {};
    }
    template <int T>
    static void load(const void* memory, int64_t stride) {
        Tile& tile = target<T>();
        for (int64_t r = 0; r < kTileRows; ++r)
            std::memcpy(tile[static_cast<size_t>(r)].data(), static_cast<const uint8_t*>(memory) + r * stride, 64);
    }
    template <int T>
    static void store(void* memory, int64_t stride) {
        const Tile& tile = source<T>();
        for (int64_t r = 0; r < kTileRows; ++r)
            std::memcpy(static_cast<uint8_t*>(memory) + r * stride, tile[static_cast<size_t>(r)].data(), 64);
    }
    template <int C, int A, int B>
    static void bf16() {
        static_assert(C != A && C != B && A != B);  // #UD otherwise
        const Tile &a = source<A>(), &b = source<B>();
        source<C>();
        Tile& c = target<C>();
        for (int m = 0; m < 16; ++m)
            for (int n = 0; n < 16; ++n) {
                float even = 0, odd = 0;
                for (int k = 0; k < 16; ++k) {
                    even = std::fma(bf16_to_float(read<uint16_t>(a, m, 2 * k)),
                                    bf16_to_float(read<uint16_t>(b, k, 2 * n)), even);
                    odd = std::fma(bf16_to_float(read<uint16_t>(a, m, 2 * k + 1)),
                                   bf16_to_float(read<uint16_t>(b, k, 2 * n + 1)), odd);
                }
                write(c, m, n, read<float>(c, m, n) + (even + odd));
            }
    }
    template <int C, int A, int B>
    static void int8() {
        static_assert(C != A && C != B && A != B);  // #UD otherwise
        const Tile &a = source<A>(), &b = source<B>();
        source<C>();
        Tile& c = target<C>();
        for (int m = 0; m < 16; ++m)
            for (int n = 0; n < 16; ++n) {
                int64_t sum = read<int32_t>(c, m, n);
                for (int k = 0; k < 16; ++k)
                    for (int i = 0; i < 4; ++i)
                        sum += int64_t{read<int8_t>(a, m, 4 * k + i)} * read<int8_t>(b, k, 4 * n + i);
                write(c, m, n, static_cast<int32_t>(static_cast<uint32_t>(sum)));  // wraps, as the instruction
            }
    }
    /** No tiles here: what vectors do beside them. */
    template <bool Zeros>
    class Scaler {
      public:
        void begin(const GroupSums& sums) {
            waiting_ = sums;
            row_ = 0;
        }
        void advance(int64_t count) {
            for (; count > 0 && row_ < waiting_.count; --count, ++row_)
                for (int64_t o = 0; o < kPanel; ++o) {
                    auto exact = static_cast<float>(waiting_.sums[row_ * kPanel + o]);
                    if (Zeros) exact = std::fma(waiting_.zeros[o], waiting_.factors[2 * kTileRows + row_], exact);
                    const float scale = waiting_.scales[o] * waiting_.factors[row_];
                    float& c = waiting_.c[row_ * waiting_.ldc + o];
                    c = std::fma(exact, scale, c);
                }
        }

      private:
        GroupSums waiting_{};
        int64_t row_ = 0;
    };
};

}  // namespace

#include "host/compute/cpu/amx_kernels_inl.hpp"

const AmxKernels& emulated_amx_kernels() {
    static constexpr AmxKernels table = make_amx_kernels<Emulated>("emulated AMX");
    return table;
}

}  // namespace vlm::cpu
