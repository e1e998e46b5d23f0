/** @file structs.hpp
 *  Reading and writing structs of the ABI whose other side may be older or newer.
 *
 *  The rule of version.h in two functions: take `min(struct_size, own sizeof)`, treat what lies behind as absent.
 * Plugin code above this file works on complete local copies and never thinks about sizes.
 */
#pragma once
#include <vlm/version.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>

#include "vlm/sdk/error.hpp"

namespace vlm::sdk {

/** A zeroed struct with its two leading members filled in. */
template <typename Struct>
Struct make_struct() {
    static_assert(std::is_trivially_copyable_v<Struct>);
    Struct s{};
    s.struct_size = sizeof(Struct);
    s.abi_version = VLM_ABI_VERSION;
    return s;
}

/** Throws INVALID_ARGUMENT when `source` is NULL or its size or version is 0 or absurd. `name` is for the message. */
template <typename Struct>
void check_struct(const Struct* source, const char* name) {
    if (source == nullptr) throw invalid_argument(std::string(name) + ": NULL was passed");
    if (source->struct_size < 2 * sizeof(uint32_t) || source->struct_size > VLM_STRUCT_SIZE_MAX ||
        source->abi_version == 0)
        throw invalid_argument(std::string(name) + ": struct_size " + std::to_string(source->struct_size) +
                               " and abi_version " + std::to_string(source->abi_version) +
                               " are impossible; the caller must fill in both");
}

/** Copy of `*source` in which members that the writer did not know are zero, with the size of our own struct. */
template <typename Struct>
Struct read_struct(const Struct* source, const char* name) {
    static_assert(std::is_trivially_copyable_v<Struct>);
    check_struct(source, name);
    Struct copy{};
    std::memcpy(&copy, source, std::min<size_t>(source->struct_size, sizeof(Struct)));
    copy.struct_size = sizeof(Struct);
    return copy;
}

/** Writes the members of `value` that the owner of `*target` knows; size and version of the target stay. */
template <typename Struct>
void write_struct(Struct* target, const Struct& value, const char* name) {
    static_assert(std::is_trivially_copyable_v<Struct>);
    check_struct(target, name);
    constexpr size_t header = 2 * sizeof(uint32_t);
    const size_t size = std::min<size_t>(target->struct_size, sizeof(Struct));
    std::memcpy(reinterpret_cast<char*>(target) + header, reinterpret_cast<const char*>(&value) + header,
                size - header);
}

}  // namespace vlm::sdk
