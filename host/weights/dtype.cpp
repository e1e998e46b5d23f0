/** @file dtype.cpp
 *  One table in both directions. Codes without a macro in tensor.h are those of DLDataTypeCode in dlpack.h 1.1.
 */
#include "host/weights/dtype.hpp"

#include <vlm/tensor.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace vlm {
namespace {

constexpr std::array<DtypeName, 20> kDtypes = {{
    {"BOOL", VLM_DTYPE_BOOL},
    {"F4", 0x110004},
    {"F6_E2M3", 0xf0006},
    {"F6_E3M2", 0x100006},
    {"U8", VLM_DTYPE_U8},
    {"I8", VLM_DTYPE_I8},
    {"F8_E5M2", VLM_DTYPE_F8_E5M2},
    {"F8_E4M3", VLM_DTYPE_F8_E4M3},
    {"F8_E8M0", 0xe0008},
    {"I16", VLM_DTYPE_I16},
    {"U16", 0x10010},
    {"F16", VLM_DTYPE_F16},
    {"BF16", VLM_DTYPE_BF16},
    {"I32", VLM_DTYPE_I32},
    {"U32", 0x10020},
    {"F32", VLM_DTYPE_F32},
    {"C64", 0x50040},
    {"F64", VLM_DTYPE_F64},
    {"I64", VLM_DTYPE_I64},
    {"U64", 0x10040},
}};

}  // namespace

std::span<const DtypeName> safetensors_dtypes() noexcept {
    return kDtypes;
}

std::optional<uint32_t> parse_dtype(std::string_view name) noexcept {
    const auto found = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return d.name == name; });
    if (found == kDtypes.end()) return std::nullopt;
    return found->dtype;
}

std::string dtype_name(uint32_t dtype) {
    const auto found = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return d.dtype == dtype; });
    if (found != kDtypes.end()) return std::string(found->name);
    char text[16];
    std::snprintf(text, sizeof text, "0x%x", dtype);
    return text;
}

}  // namespace vlm
