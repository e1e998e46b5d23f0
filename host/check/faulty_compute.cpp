/** @file faulty_compute.cpp
 *  See faulty_compute.hpp. One template makes the function of every slot.
 */
#include "host/check/faulty_compute.hpp"

#include <type_traits>

namespace vlm {
namespace {

template <auto Slot>
struct Pass;

template <typename Result, typename... Args, Result (*vlm_compute::*Slot)(const vlm_compute*, Args...)>
struct Pass<Slot> {
    static Result call(const vlm_compute* self, Args... args) {
        const auto& front = *reinterpret_cast<const FaultyCompute::Front*>(self);
        if constexpr (std::is_same_v<Result, vlm_status>)
            if (front.calls.fetch_add(1) == front.fails_at) return VLM_STATUS_RESOURCE_EXHAUSTED;
        return (front.real->*Slot)(front.real, args...);
    }
};

template <auto... Slots>
void replace(vlm_compute& table) {
    const auto one = [](auto& slot, auto function) {
        if (slot != nullptr) slot = function;
    };
    (one(table.*Slots, &Pass<Slots>::call), ...);
}

}  // namespace

FaultyCompute::FaultyCompute(const vlm_compute& real, int fails_at) : front_{real, &real, fails_at, {0}} {
    using C = vlm_compute;
    replace<&C::create, &C::destroy, &C::keep, &C::release, &C::copy, &C::fill, &C::linear_pack, &C::linear_release,
            &C::linear, &C::matmul, &C::attention, &C::kv_create, &C::kv_destroy, &C::kv_length, &C::kv_truncate,
            &C::kv_bytes, &C::kv_token_bytes, &C::rope_table, &C::rope, &C::interpolate, &C::rms_norm, &C::layer_norm,
            &C::l2_normalize, &C::softmax, &C::activation, &C::add, &C::multiply, &C::gather, &C::scatter_mean,
            &C::permute, &C::patches, &C::mean, &C::argmax, &C::top_k, &C::merge_map, &C::keep_map, &C::carry_map>(
        front_.table);
}

}  // namespace vlm
