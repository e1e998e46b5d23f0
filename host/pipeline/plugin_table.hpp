/** @file plugin_table.hpp
 *  Copies the table of functions that a plugin gives for one kind; makes the structs that go to and fro.
 *
 *  What an older plugin lacks becomes a stub that returns UNIMPLEMENTED, so that nobody who calls a plugin, in this
 *  process or in one of its own, ever compares a slot with NULL. `load` alone may stay empty: no weights are needed.
 */
#pragma once
#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace vlm {

/** A struct of the ABI with its two leading members filled in. */
template <typename Struct>
Struct abi_struct() {
    Struct s{};
    s.struct_size = sizeof(Struct);
    s.abi_version = VLM_ABI_VERSION;
    return s;
}

/** Gives an empty slot a function that says UNIMPLEMENTED (or does nothing, when nothing is returned). */
template <typename Result, typename... Args>
void fill_stub(Result (*&slot)(Args...)) {
    if (slot != nullptr) return;
    slot = [](Args...) -> Result {
        if constexpr (std::is_same_v<Result, vlm_status>) return VLM_STATUS_UNIMPLEMENTED;
    };
}

template <typename... Slots>
void fill_each(Slots&... slots) {
    (fill_stub(slots), ...);
}

inline void fill_stubs(vlm_vision_encoder& api) {
    fill_each(api.describe, api.plan, api.preprocess, api.encode);
}
inline void fill_stubs(vlm_connector& api) {
    fill_each(api.describe, api.plan, api.connect);
}
inline void fill_stubs(vlm_backbone& api) {
    fill_each(api.describe, api.context_create, api.context_destroy, api.context_truncate, api.context_state, api.plan,
              api.run);
}
inline void fill_stubs(vlm_token_reducer& api) {
    fill_each(api.needs, api.reduce);
}
inline void fill_stubs(vlm_post_processor& api) {
    fill_each(api.process);
}

/** `table`, as large as its plugin knew it, with every slot filled. `Api` begins with vlm_component_api. */
template <typename Api>
Api copy_table(const void* table) {
    Api api{};
    std::memcpy(&api, table, std::min<size_t>(static_cast<const vlm_component_api*>(table)->struct_size, sizeof(Api)));
    fill_each(api.base.create, api.base.destroy);
    fill_stubs(api);
    return api;
}

}  // namespace vlm
