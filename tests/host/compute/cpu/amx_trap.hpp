/** @file amx_trap.hpp
 *  Carries AMX instructions out in software on processors that have none: they fault, and the handler of the fault
 * decodes and executes them. So the very bytes that a processor with AMX will run are tested everywhere: tile numbers,
 * order of operands, addresses and strides. What it cannot show is whether a processor agrees with the manual.
 *
 *  Encodings: Intel SDM volume 2; all are VEX.128.0F38.W0.
 */
#pragma once
#if defined(__x86_64__)
#include <signal.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "host/compute/cpu/convert.hpp"

namespace vlm::test {

/** While it lives, AMX instructions that fault are executed here. Other illegal instructions end the process. */
class AmxTrap {
  public:
    AmxTrap() {
        struct sigaction action = {};
        action.sa_sigaction = handle;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGILL, &action, &before_);
    }
    ~AmxTrap() { sigaction(SIGILL, &before_, nullptr); }
    AmxTrap(const AmxTrap&) = delete;
    AmxTrap& operator=(const AmxTrap&) = delete;

    /** Instructions executed since the process began. */
    static int64_t executed() { return count(); }

  private:
    struct Tiles {
        bool configured = false;
        uint8_t bytes[8][16][64] = {};
    };
    static Tiles& tiles() {
        thread_local Tiles state;
        return state;
    }
    static int64_t& count() {
        thread_local int64_t value = 0;
        return value;
    }

    static uint64_t reg(const ucontext_t& context, int number) {
        static constexpr int kIndex[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                           REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
        return static_cast<uint64_t>(context.uc_mcontext.gregs[kIndex[number]]);
    }

    /** An instruction with its parts. */
    struct Code {
        const uint8_t* start;
        const uint8_t* next;
        int prefix, opcode, mod, middle, low, third;
        uint64_t base = 0, index_bytes = 0;  ///< Address, and for tiles the stride.
    };

    static bool decode(const ucontext_t& context, Code& code) {
        const auto* p = reinterpret_cast<const uint8_t*>(context.uc_mcontext.gregs[REG_RIP]);
        code.start = p;
        if (p[0] != 0xC4 || (p[1] & 0x1F) != 2 || (p[2] & 0x84) != 0) return false;  // VEX, 0F38, W0, 128
        const int x = (p[1] & 0x40) != 0 ? 0 : 8, b = (p[1] & 0x20) != 0 ? 0 : 8;
        code.prefix = p[2] & 3;
        code.third = ~(p[2] >> 3) & 15;
        code.opcode = p[3];
        code.mod = p[4] >> 6;
        code.middle = (p[4] >> 3) & 7;
        code.low = p[4] & 7;
        p += 5;
        if (code.mod != 3) {
            const bool sib = code.low == 4;
            int base = code.low + b, index = 4, scale = 0;
            if (sib) {
                base = (*p & 7) + b;
                index = ((*p >> 3) & 7) + x;
                scale = *p >> 6;
                ++p;
            }
            int32_t shift = 0;
            const bool no_base = code.mod == 0 && (base & 7) == 5;
            if (code.mod == 2 || no_base) {
                std::memcpy(&shift, p, 4);
                p += 4;
            } else if (code.mod == 1) {
                shift = static_cast<int8_t>(*p++);
            }
            code.base = static_cast<uint64_t>(int64_t{shift});
            if (!no_base) code.base += reg(context, base);
            if (no_base && !sib) code.base += reinterpret_cast<uint64_t>(p);  // relative to the next instruction
            if (index != 4) code.index_bytes = reg(context, index) << scale;
        }
        code.next = p;
        return true;
    }

    template <class T>
    static T at(int tile, int row, int column) {
        T value;
        std::memcpy(&value, tiles().bytes[tile][row] + static_cast<size_t>(column) * sizeof(T), sizeof(T));
        return value;
    }

    template <class Sum, class Dot>
    static void multiply(const Code& code, Dot dot) {
        for (int m = 0; m < 16; ++m)
            for (int n = 0; n < 16; ++n) {
                Sum sum = at<Sum>(code.middle, m, n);
                sum += dot(m, n);
                std::memcpy(tiles().bytes[code.middle][m] + 4 * n, &sum, 4);
            }
    }

    static bool execute(const Code& code) {
        Tiles& state = tiles();
        constexpr int none = 0, f3 = 2, f2 = 3;
        auto* memory = reinterpret_cast<uint8_t*>(code.base);
        if (code.opcode == 0x49 && code.prefix == none && code.mod != 3 && code.middle == 0) {
            static constexpr uint8_t start[16] = {1};
            if (std::memcmp(memory, start, 16) != 0) return false;
            for (int t = 0; t < 8; ++t) {
                uint16_t row_bytes;
                std::memcpy(&row_bytes, memory + 16 + 2 * t, 2);
                if (row_bytes != 64 || memory[48 + t] != 16) return false;
            }
            state = {};
            state.configured = true;
            return true;
        }
        if (!state.configured) return false;
        if (code.opcode == 0x49 && code.prefix == none) return state = {}, true;
        if (code.opcode == 0x49 && code.prefix == f2 && code.mod == 3)
            return std::memset(state.bytes[code.middle], 0, 1024), true;
        if (code.opcode == 0x4B && code.mod != 3 && code.low == 4 && (code.prefix == f2 || code.prefix == f3)) {
            for (uint64_t r = 0; r < 16; ++r) {
                uint8_t *line = memory + r * code.index_bytes, *tile = state.bytes[code.middle][r];
                code.prefix == f2 ? std::memcpy(tile, line, 64) : std::memcpy(line, tile, 64);
            }
            return true;
        }
        if (code.mod != 3 || code.middle == code.low || code.middle == code.third || code.low == code.third)
            return false;
        if (code.opcode == 0x5C && code.prefix == f3) {
            multiply<float>(code, [&](int m, int n) {
                float sums[2] = {};
                for (int k = 0; k < 32; ++k)
                    sums[k % 2] =
                        std::fma(cpu::bf16_to_float(at<uint16_t>(code.low, m, k)),
                                 cpu::bf16_to_float(at<uint16_t>(code.third, k / 2, 2 * n + k % 2)), sums[k % 2]);
                return sums[0] + sums[1];
            });
            return true;
        }
        if (code.opcode == 0x5E && code.prefix == f2) {
            multiply<int32_t>(code, [&](int m, int n) {
                int32_t sum = 0;
                for (int k = 0; k < 64; ++k)
                    sum += at<int8_t>(code.low, m, k) * at<int8_t>(code.third, k / 4, 4 * n + k % 4);
                return sum;
            });
            return true;
        }
        return false;
    }

    static void handle(int, siginfo_t*, void* raw) {
        auto& context = *static_cast<ucontext_t*>(raw);
        Code code{};
        if (!decode(context, code) || !execute(code)) std::abort();
        ++count();
        context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(code.next));
    }

    struct sigaction before_ = {};
};

}  // namespace vlm::test
#endif
