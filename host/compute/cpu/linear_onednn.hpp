/** @file linear_onednn.hpp
 *  Dense products by oneDNN, on the same packed weights as the own kernels.
 *
 *  The bf16 panel layout (kernels.hpp) is byte for byte oneDNN's blocked layout `BA16a32b2a`: 32 outputs, and in them
 * blocks of 16 pairs of depth. So a layer is packed once and costs no memory twice; oneDNN and the own kernels read the
 * same bytes, and which of them multiplies is decided per call. (The layout that oneDNN picks itself has 64 outputs;
 * single runs on AVX512_BF16 had it 0 to 20 % ahead, which is not worth a second copy of a model or a second layout.)
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "host/base/cpu_features.hpp"
#include "host/compute/cpu/cpu_compute.hpp"

namespace vlm::cpu {

/** "3.2.0", or NULL when the build has no oneDNN. */
const char* onednn_version() noexcept;

/** Reads the environment variable VLM_DENSE where `wish` is `automatic`, and checks that the wish can be met.
 *  @param onednn_present  onednn_version() != NULL, or what a test wants to see.
 *  @throws Error INVALID_ARGUMENT for an unknown value, UNAVAILABLE for `onednn` in a build without it. */
DenseEngine resolve_dense_engine(DenseEngine wish, bool onednn_present);

/** Whether oneDNN multiplies this call. Always false in f32, where every number of threads and rows must give the same
 * bits, and on processors that do not multiply bf16.
 *  @param engine  as resolve_dense_engine returned it. */
bool onednn_multiplies(DenseEngine engine, bool onednn_present, Isa isa, Precision mode, WeightType type,
                       int64_t rows) noexcept;

/** A product of fixed shape, `c[rows, outputs] = a[rows, depth] * panels`, all on the calling thread. Immutable; may be
 * used by several threads at once. */
class OnednnProduct {
  public:
    virtual ~OnednnProduct() = default;
    /** False where oneDNN has only its reference loop, some thousand times slower than a kernel. */
    virtual bool fast() const noexcept = 0;
    /** Bytes of `workspace` that `multiply` needs, aligned to 64. */
    virtual int64_t workspace_bytes() const noexcept = 0;
    /** @param a  bf16, compact.
     *  @param panels  outputs / 32 panels, one behind the other.
     *  @param c  f32, compact.
     *  @throws Error INTERNAL with oneDNN's message. */
    virtual void multiply(const uint16_t* a, const std::byte* panels, float* c, void* workspace) const = 0;
};

/** The product for a shape; made on first use (some 0.2 to 8 ms) and kept while the process lives.
 *  @param outputs  multiple of kPanel. @param depth  multiple of kPairDepth.
 *  @throws Error UNAVAILABLE without oneDNN, INTERNAL when oneDNN refuses the shape. */
std::shared_ptr<const OnednnProduct> onednn_product(int64_t rows, int64_t outputs, int64_t depth);

}  // namespace vlm::cpu
