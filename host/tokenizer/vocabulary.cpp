/** @file vocabulary.cpp
 *  Hash maps both ways: ids come from a file and may be sparse, so an array by id could be made arbitrarily large.
 */
#include "host/tokenizer/vocabulary.hpp"

namespace vlm::tok {

Vocabulary Vocabulary::from_object(const JsonField& field) {
    field.expect_object();
    Vocabulary vocabulary;
    vocabulary.ids_.reserve(field.json().size());
    vocabulary.pieces_.reserve(field.json().size());
    for (const auto& [piece, value] : field.json().items()) {
        const bool fits =
            value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT32_MAX);
        const std::int32_t id = fits ? value.get<std::int32_t>() : field.at(piece).token_id();
        if (!vocabulary.add(piece, id)) {
            field.fail("the id " + std::to_string(id) + " belongs to two pieces, \"" +
                       std::string(*vocabulary.piece_of(id)) + "\" and \"" + piece + "\"; expected one id for each");
        }
    }
    return vocabulary;
}

bool Vocabulary::add(std::string piece, std::int32_t id) {
    longest_piece_ = std::max(longest_piece_, piece.size());
    const auto it = ids_.insert_or_assign(std::move(piece), id).first;
    max_id_ = std::max(max_id_, id);
    return pieces_.emplace(id, it->first).second;
}

std::int32_t Vocabulary::byte_id(unsigned char byte) const {
    static constexpr char digits[] = "0123456789ABCDEF";
    const char piece[] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
    return id_of(std::string_view(piece, sizeof piece));
}

}  // namespace vlm::tok
