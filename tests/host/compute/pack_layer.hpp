/** @file pack_layer.hpp
 *  Packing a layer from tensors at hand, as the tests of every device do.
 */
#pragma once
#include <vlm/compute.h>

#include <memory>
#include <vector>

namespace vlm::test {

/** A packed layer that frees itself, and what linear_pack said; NULL where it refused. */
struct PackedTestLayer {
    std::shared_ptr<vlm_linear> layer;
    vlm_status status;
};

/** `biases`: empty, or one for each of `weights` (NULL: none). */
inline PackedTestLayer pack_parts(const vlm_compute* compute, const std::vector<const vlm_tensor*>& weights,
                                  const std::vector<const vlm_tensor*>& biases, uint32_t flags, const char* name) {
    vlm_linear_spec spec{};
    spec.struct_size = sizeof(spec);
    spec.abi_version = VLM_ABI_VERSION;
    spec.part_count = static_cast<uint32_t>(weights.size());
    spec.flags = flags;
    spec.weights = weights.data();
    spec.biases = biases.empty() ? nullptr : biases.data();
    spec.name = name;
    vlm_linear* layer = nullptr;
    const vlm_status status = compute->linear_pack(compute, &spec, &layer);
    if (status != VLM_STATUS_OK) return {nullptr, status};
    return {{layer, [compute](vlm_linear* l) { compute->linear_release(compute, l); }}, status};
}

}  // namespace vlm::test
