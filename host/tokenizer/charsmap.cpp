/** @file charsmap.cpp
 *  Every index that the trie yields is checked: the bytes come from a file.
 */
#include "host/tokenizer/charsmap.hpp"

#include <array>

#include "host/tokenizer/unicode.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

std::string decode_base64(const JsonField& field) {
    static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::array<int, 256> values;
    values.fill(-1);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        values[static_cast<unsigned char>(alphabet[i])] = static_cast<int>(i);
    const std::string text = field.string();
    std::string out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    int count = 0;
    std::size_t end = text.size();
    while (end > 0 && text[end - 1] == '=') --end;
    for (std::size_t i = 0; i < end; ++i) {
        const int value = values[static_cast<unsigned char>(text[i])];
        if (value < 0) field.fail("is not base64: character " + std::to_string(i) + " is outside the alphabet");
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        if (++count == 4) {
            out += static_cast<char>((bits >> 16) & 0xFF);
            out += static_cast<char>((bits >> 8) & 0xFF);
            out += static_cast<char>(bits & 0xFF);
            bits = 0;
            count = 0;
        }
    }
    if (count == 1) field.fail("is not base64: it ends inside a group");
    if (count >= 2) out += static_cast<char>((bits >> (count == 2 ? 4 : 10)) & 0xFF);
    if (count == 3) out += static_cast<char>((bits >> 2) & 0xFF);
    return out;
}

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

std::size_t unit_offset(std::uint32_t unit) {
    return static_cast<std::size_t>(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const JsonField& field) {
    if (bytes.size() < 4)
        field.fail("holds " + std::to_string(bytes.size()) + " bytes, expected at least the 4 of the trie's size");
    const std::size_t trie_bytes = little_endian(bytes, 0);
    if (trie_bytes > bytes.size() - 4 || trie_bytes % 4 != 0 || trie_bytes == 0) {
        field.fail("says that its trie has " + std::to_string(trie_bytes) + " bytes, but " +
                   std::to_string(bytes.size() - 4) + " follow; expected a multiple of 4 that fits");
    }
    units_.reserve(trie_bytes / 4);
    for (std::size_t at = 4; at < 4 + trie_bytes; at += 4) units_.push_back(little_endian(bytes, at));
    replacements_ = bytes.substr(4 + trie_bytes);
    if (first_invalid_utf8(replacements_) != std::string_view::npos) field.fail("its replacements are not UTF-8");
}

std::string_view Charsmap::find(std::string_view chunk) const {
    std::size_t node = unit_offset(units_[0]);
    for (const char c : chunk) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte == 0) break;
        node ^= byte;
        if (node >= units_.size()) return {};
        const std::uint32_t unit = units_[node];
        if ((unit & ((1u << 31) | 0xFF)) != byte) return {};
        node ^= unit_offset(unit);
        if (((unit >> 8) & 1) == 0) continue;
        if (node >= units_.size()) return {};
        const std::size_t begin = units_[node] & ((1u << 31) - 1);
        if (begin > replacements_.size() || (begin < replacements_.size() && is_continuation(replacements_[begin])))
            return {};
        const std::size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
        return std::string_view(replacements_).substr(begin, end - begin);
    }
    return {};
}

std::string Charsmap::apply(std::string_view text) const {
    std::string out;
    out.reserve(text.size());
    const std::vector<std::size_t> boundaries = grapheme_boundaries(text);
    for (std::size_t i = 0; i + 1 < boundaries.size(); ++i) {
        const std::string_view cluster = text.substr(boundaries[i], boundaries[i + 1] - boundaries[i]);
        if (cluster.size() < 6) {  // The reference tries only short clusters as a whole.
            if (const std::string_view found = find(cluster); found.data()) {
                out += found;
                continue;
            }
        }
        for (std::size_t pos = 0; pos < cluster.size();) {
            const std::size_t length = sequence_length(cluster[pos]);
            const std::string_view character = cluster.substr(pos, length);
            const std::string_view found = find(character);
            out += found.data() ? found : character;
            pos += length;
        }
    }
    return out;
}

std::shared_ptr<const Charsmap> read_charsmap(const JsonField& field) {
    return std::make_shared<const Charsmap>(decode_base64(field), field);
}

}  // namespace vlm::tok
