/** @file dtype.hpp
 *  Element types as checkpoints name them. The number is the ABI's `code << 16 | bits` (tensor.h), which is DLPack's
 * own pair, so the types that the ABI has no macro for (unsigned words, complex, sub-byte floats) have an unambiguous
 * number too.
 */
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vlm {

/** A dtype and its name in a safetensors header. */
struct DtypeName {
    std::string_view name;
    uint32_t dtype;
};

/** All types of the safetensors format (0.6), in the order of its documentation. */
std::span<const DtypeName> safetensors_dtypes() noexcept;

/** Reads a safetensors name such as "BF16"; nullopt when it is none. */
std::optional<uint32_t> parse_dtype(std::string_view name) noexcept;

/** The safetensors name of a dtype, or its number in hexadecimal. */
std::string dtype_name(uint32_t dtype);

/** Bits of one element. */
constexpr uint32_t dtype_bits(uint32_t dtype) {
    return dtype & 0xffffU;
}

}  // namespace vlm
