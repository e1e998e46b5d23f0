/** @file vocabulary.hpp
 *  The two-way map between pieces and ids that every model has.
 */
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "host/tokenizer/json_field.hpp"

namespace vlm::tok {

/** Lets a map of strings be searched with views, without making a string. */
struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

/** Pieces with their ids. */
class Vocabulary {
  public:
    Vocabulary() = default;
    Vocabulary(Vocabulary&&) = default;
    Vocabulary& operator=(Vocabulary&&) = default;
    Vocabulary(const Vocabulary&) = delete;
    Vocabulary& operator=(const Vocabulary&) = delete;

    /** Reads {"piece": id}. @throws Error INVALID_ARGUMENT for an id that is no int32 or that two pieces share */
    static Vocabulary from_object(const JsonField& field);

    /** Adds a piece; of equal pieces the last one's id is found. @return false when the id is taken by another piece */
    bool add(std::string piece, std::int32_t id);

    /** The id of a piece, or -1. */
    std::int32_t id_of(std::string_view piece) const {
        const auto it = ids_.find(piece);
        return it == ids_.end() ? -1 : it->second;
    }

    std::optional<std::string_view> piece_of(std::int32_t id) const {
        const auto it = pieces_.find(id);
        if (it == pieces_.end()) return std::nullopt;
        return it->second;
    }

    std::size_t size() const { return ids_.size(); }
    std::int32_t max_id() const { return max_id_; }
    std::size_t longest_piece() const { return longest_piece_; }  ///< In bytes.

    /** Ids of "<0x00>" to "<0xFF>", -1 where missing. */
    std::int32_t byte_id(unsigned char byte) const;

  private:
    StringMap<std::int32_t> ids_;
    std::unordered_map<std::int32_t, std::string_view> pieces_;  ///< Views of the keys above, which never move.
    std::int32_t max_id_ = -1;
    std::size_t longest_piece_ = 0;
};

}  // namespace vlm::tok
