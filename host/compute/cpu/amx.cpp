/** @file amx.cpp
 *  Whether AMX may be used. The processor and the kernel have been asked before (cpu_features.cpp: CPUID, XCR0, and the
 * permission for tile data, which Linux grants on request only); here the instructions are tried, since hypervisors and
 * emulators exist, and a wrong product would be found by nobody.
 */
#include "host/compute/cpu/amx.hpp"

#include <array>
#include <vector>

#include "host/base/log.hpp"
#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/quant.hpp"

namespace vlm::cpu {

namespace {

const AmxKernels* g_override = nullptr;

/** Small whole numbers, exact in bf16, whose sums are exact in f32: the order of additions cannot be seen. */
int pattern(int64_t i) {
    return static_cast<int>(i * 2654435761 % 13) - 6;
}

template <class T>
std::vector<T> numbers(int64_t count, int64_t seed) {
    std::vector<T> values(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
        const int number = pattern(i + seed);
        if constexpr (std::is_same_v<T, uint16_t>) {
            values[static_cast<size_t>(i)] = float_to_bf16(static_cast<float>(number));
        } else {
            values[static_cast<size_t>(i)] = static_cast<T>(number);
        }
    }
    return values;
}

/** A block of two tiles and a rest of one. */
constexpr int64_t kCheckedRows = 37, kPaddedRows = 48;

/** Twice into the same sums. */
std::vector<float> check_gemm(const AmxKernels& kernels) {
    constexpr int64_t depth = 3 * kTileDepthBf16;
    const auto a = numbers<uint16_t>(kPaddedRows * depth, 1), panel = numbers<uint16_t>(depth * kPanel, 2);
    std::vector<float> c(static_cast<size_t>(kPaddedRows * kPanel));
    const AmxScope scope(&kernels);
    for (const bool accumulate : {false, true})
        kernels.gemm_bf16({a.data(), kTileRows * depth, panel.data(), depth, c.data(), kPanel, kCheckedRows, accumulate,
                           panel.data()});
    return c;
}

/** Groups of 32 with zero points, and wide ones of which the last is shorter. */
std::vector<float> check_groups(const AmxKernels& kernels, int64_t group, bool zeros) {
    constexpr int64_t depth = 320, groups = depth / 32;  // the smallest groups are the most
    const auto a = numbers<int8_t>(kPaddedRows * groups * kTileBytes, 1),
               codes = numbers<int8_t>(depth * kPanel + kTileSpill, 2);
    const auto scales = numbers<float>(groups * kPanel, 3), minus = numbers<float>(groups * kPanel, 4),
               factors = numbers<float>(2 * groups * 2 * 32, 5);
    std::vector<float> c(static_cast<size_t>(kPaddedRows * kPanel));
    TileGroups product{};
    product.a = a.data();
    product.row_tile_stride = kTileRows * groups * kTileBytes;
    product.row_factors = factors.data();
    product.row_factor_stride = groups * 2 * 32;
    product.codes = codes.data();
    product.scales = scales.data();
    product.zeros = zeros ? minus.data() : nullptr;
    product.depth = depth;
    product.group = group;
    product.c = c.data();
    product.ldc = kPanel;
    product.rows = kCheckedRows;
    product.ahead = codes.data();
    product.ahead_bytes = depth * kPanel;
    const AmxScope scope(&kernels);
    kernels.gemm_groups(product);
    return c;
}

std::vector<float> check_attention(const AmxKernels& kernels) {
    constexpr int64_t rows = 21, padded = 32, depth = 64, page = 2 * kPanel * depth, keys = 96;
    const auto q = numbers<uint16_t>(padded * depth, 3), weights = numbers<uint16_t>(padded * 128, 4),
               memory = numbers<uint16_t>(2 * page, 5);
    const std::array<const uint16_t*, 2> pages = {memory.data(), memory.data() + page};
    std::vector<float> logits(static_cast<size_t>(padded * 128)), out(static_cast<size_t>(padded * 64), 1.0f);
    const AmxScope scope(&kernels);
    kernels.score_tile({q.data(), depth, rows, depth, pages.data(), 2, logits.data(), 128, nullptr});
    kernels.value_tile({weights.data(), 128, rows, pages.data(), 2, keys, 2, out.data(), 64, nullptr});
    logits.insert(logits.end(), out.begin(), out.end());
    return logits;
}

}  // namespace

bool amx_self_check(const AmxKernels& kernels) {
    const AmxKernels& model = emulated_amx_kernels();
    const auto groups_agree = [&](int64_t group, bool zeros) {
        return check_groups(kernels, group, zeros) == check_groups(model, group, zeros);
    };
    return check_gemm(kernels) == check_gemm(model) && groups_agree(kQuantGroup, true) &&
           groups_agree(kWideGroup, false) && check_attention(kernels) == check_attention(model);
}

const AmxKernels* amx_kernels() {
    if (g_override != nullptr) return g_override;
    if (active_isa() < Isa::amx) return nullptr;
    static const AmxKernels* const checked = [] {
        const AmxKernels* kernels = hardware_amx_kernels();
        if (kernels == nullptr || amx_self_check(*kernels)) return kernels;
        log_message(VLM_LOG_WARNING, "cpu",
                    "the AMX instructions of this machine gave a wrong product in the self-check; they are not used");
        return static_cast<const AmxKernels*>(nullptr);
    }();
    return checked;
}

ScopedAmxKernels::ScopedAmxKernels(const AmxKernels* kernels) {
    g_override = kernels;
}

ScopedAmxKernels::~ScopedAmxKernels() {
    g_override = nullptr;
}

}  // namespace vlm::cpu
