/** @file cpu_features.hpp
 *  Which instructions the kernels may use. One ladder of levels instead of a bag of flags, because a kernel that is
 * chosen by level can be tested on one machine at every level below its own: lower the cap and run the same test again.
 *
 *  A level is offered only if the processor has it *and* the operating system saves its registers (XCR0; for AMX the
 * kernel must also grant the tile state to this process). Kernels are compiled per function with target attributes, so
 * the binary starts on any x86-64 machine; other architectures report `scalar`.
 */
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace vlm {

/** Levels in rising order; each includes all before it, so `active_isa() >= Isa::avx2` is the test to write. */
enum class Isa {
    scalar,       ///< What every x86-64 (or other) machine has.
    avx2,         ///< AVX2, FMA, F16C, BMI2.
    avx512,       ///< AVX-512 F, BW, DQ, VL (Skylake-X and later). VNNI is asked for apart: see CpuFeatures.
    avx512_bf16,  ///< avx512 with VNNI and BF16 (Cooper Lake, Zen 4 and later).
    amx,          ///< avx512_bf16 with AMX TILE, BF16, INT8 and the kernel's permission to use tiles.
};

/** Instructions beside the ladder that some kernels can use within a level; all false when the cap is below their
 * level. */
struct CpuFeatures {
    bool avx_vnni = false;     ///< VEX-encoded VNNI on avx2 machines (Alder Lake, Zen 5). Needs Isa::avx2.
    bool avx512_vnni = false;  ///< Needs Isa::avx512.
    bool avx512_vbmi = false;  ///< Byte permutes. Needs Isa::avx512.
    bool avx512_fp16 = false;  ///< Half precision arithmetic. Needs Isa::avx512_bf16.
};

/** The best level of this machine and operating system, whatever the caps. On first use asks the kernel for AMX tiles.
 */
Isa detected_isa() noexcept;

/** The level that kernels use now: the detected one, capped by the environment variable `VLM_MAX_ISA` (a name as given
 * by isa_name, read once) and by set_max_isa. Cheap enough to be called per operation.
 *  @throws Error INVALID_ARGUMENT when `VLM_MAX_ISA` holds an unknown name. */
Isa active_isa();

/** The extra instructions that may be used at active_isa(). @throws Error as active_isa. */
CpuFeatures active_features();

/** Lowers the level for the whole process (tests, `vlmhost bench`); nullopt lifts this cap, never that of the
 * environment. */
void set_max_isa(std::optional<Isa> cap) noexcept;

/** The cap that set_max_isa has set. */
std::optional<Isa> max_isa() noexcept;

/** Caps the level while it lives and then restores what was. For tests; not meant for several threads at once. */
class ScopedIsaCap {
  public:
    explicit ScopedIsaCap(Isa cap) noexcept : before_(max_isa()) { set_max_isa(cap); }
    ~ScopedIsaCap() { set_max_isa(before_); }
    ScopedIsaCap(const ScopedIsaCap&) = delete;
    ScopedIsaCap& operator=(const ScopedIsaCap&) = delete;

  private:
    std::optional<Isa> before_;
};

/** "scalar", "avx2", "avx512", "avx512_bf16" or "amx". */
const char* isa_name(Isa isa) noexcept;

/** Reads a name as given by isa_name; nullopt when it is none. */
std::optional<Isa> parse_isa(std::string_view name) noexcept;

/** Processors that this process may use: affinity mask and cgroup v2 CPU quota (rounded up); at least 1. */
int available_cpus() noexcept;

}  // namespace vlm
