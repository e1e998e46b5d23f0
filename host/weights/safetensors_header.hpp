/** @file safetensors_header.hpp
 *  The header of one *.safetensors file, checked in full before anybody sees a pointer: a header that lies about
 * offsets would otherwise be read out of bounds by a kernel, far from any message. Rules:
 * https://huggingface.co/docs/safetensors (format) and `Metadata::validate` of its reference implementation.
 */
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "host/weights/mapped_file.hpp"

namespace vlm {

/** One tensor as the header describes it. */
struct SafetensorsEntry {
    std::string name;
    uint32_t dtype = 0;          ///< `code << 16 | bits`, see dtype.hpp
    std::vector<int64_t> shape;  ///< row-major; empty for a scalar
    uint64_t offset = 0;         ///< of the first byte, from the beginning of the file
    uint64_t nbytes = 0;
};

/** A header that holds together: every tensor lies within the file, sizes fit shapes, and tensors cover the data
 * without gaps or overlaps. */
struct SafetensorsHeader {
    std::vector<SafetensorsEntry> entries;                      ///< in the order of the header
    std::vector<std::pair<std::string, std::string>> metadata;  ///< the free-form `__metadata__`
};

/** Reads and checks the header.
 *  @throws Error DATA_LOSS (truncated, offsets or sizes that do not fit) or INVALID_ARGUMENT (not a header, unknown
 * dtype, duplicate name, negative dimension), naming file and tensor. */
SafetensorsHeader read_safetensors_header(const MappedFile& file);

}  // namespace vlm
