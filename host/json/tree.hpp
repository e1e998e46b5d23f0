/** @file tree.hpp
 *  Storage behind Document: three flat arrays, because a tokenizer.json has a million values and a tree of heap nodes
 * would cost ten times the file. Internal to host/json.
 */
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/json/document.hpp"

namespace vlm::json {

/** A piece of one of the arrays of the tree. */
struct Extent {
    uint32_t first = 0;
    uint32_t count = 0;
};

/** One value. */
struct Node {
    Kind kind = Kind::null;
    bool above_int64 = false;  ///< kind integer: `bits` is unsigned
    uint32_t line = 0, column = 0;
    uint32_t key_line = 0;
    uint32_t parent = 0;
    Extent key;  ///< in `text`, for members of an object
    union {
        Extent extent = {};  ///< string: in `text`; array, object: in `children`
        uint64_t bits;       ///< boolean, integer (two's complement)
        double number;       ///< kind number
    };
};

/** A whole document. Node 0 is the root. */
struct Tree {
    std::string name;
    std::vector<Node> nodes;
    /** Per container its children in the order of the file; per object these are followed by the same ones sorted by
     * key. */
    std::vector<uint32_t> children;
    std::string text;

    std::string_view slice(Extent e) const { return std::string_view(text).substr(e.first, e.count); }
    std::string_view key_of(uint32_t node) const { return slice(nodes[node].key); }
    std::span<const uint32_t> in_order(const Node& node) const {
        return std::span(children).subspan(node.extent.first, node.extent.count);
    }
    std::span<const uint32_t> by_key(const Node& object) const {
        return std::span(children).subspan(object.extent.first + object.extent.count, object.extent.count);
    }
};

/** Path of a node in dotted form; empty for the root. */
std::string path_of(const Tree& tree, uint32_t node);

/** `file:line: path: message` as an INVALID_ARGUMENT error; the path is left out when it is empty. */
Error error_at(const Tree& tree, uint32_t line, const std::string& path, const std::string& message);

}  // namespace vlm::json
