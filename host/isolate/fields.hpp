/** @file fields.hpp
 *  The members of structs that go over the wire as they are: one list that both ends follow.
 */
#pragma once
#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/hooks.h>
#include <vlm/vision_encoder.h>

#include <tuple>
#include <type_traits>

#include "host/isolate/wire.hpp"

namespace vlm::isolate {

constexpr auto members(std::type_identity<vlm_vision_description>) {
    using D = vlm_vision_description;
    return std::tuple(&D::hidden_size, &D::pooled_size, &D::layers, &D::sites, &D::max_image_tokens);
}
constexpr auto members(std::type_identity<vlm_connector_description>) {
    using D = vlm_connector_description;
    return std::tuple(&D::input_size, &D::output_size, &D::delivery, &D::needs_grid, &D::reads_prompt,
                      &D::reads_pooled);
}
constexpr auto members(std::type_identity<vlm_backbone_description>) {
    using D = vlm_backbone_description;
    return std::tuple(&D::hidden_size, &D::output_size, &D::max_positions, &D::layers, &D::output, &D::delivery,
                      &D::sites, &D::takes_merged, &D::kv_bytes_per_token);
}
constexpr auto members(std::type_identity<vlm_backbone_state>) {
    using D = vlm_backbone_state;
    return std::tuple(&D::tokens, &D::kv_bytes, &D::pruned);
}

constexpr auto members(std::type_identity<vlm_token_view>) {
    using D = vlm_token_view;
    return std::tuple(&D::site, &D::layer, &D::layers, &D::image, &D::tokens, &D::protected_tokens);
}

template <typename Struct>
void put_members(Writer& writer, const Struct& value) {
    std::apply([&](auto... member) { (writer.put(value.*member), ...); }, members(std::type_identity<Struct>()));
}

/** @throws Error DATA_LOSS behind the end. */
template <typename Struct>
void get_members(Reader& reader, Struct& value) {
    const auto get = [&](auto& member) { member = reader.get<std::remove_reference_t<decltype(member)>>(); };
    std::apply([&](auto... member) { (get(value.*member), ...); }, members(std::type_identity<Struct>()));
}

}  // namespace vlm::isolate
