/** @file utf8.hpp
 *  Stepping through UTF-8 that was already checked. Text is validated once at the entrance (`first_invalid_utf8`), so
 * the inner loops need no error path.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vlm::tok {

/** Bytes of the sequence that a lead byte of valid UTF-8 begins, 1 to 4. */
inline std::size_t sequence_length(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/** Whether a byte continues a sequence. */
inline bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/** The code point at `pos` of valid UTF-8; moves `pos` behind it. */
inline char32_t next_code_point(std::string_view text, std::size_t& pos) {
    const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
    const std::size_t length = sequence_length(text[pos]);
    char32_t c = byte(pos);
    if (length == 2) {
        c = ((c & 0x1F) << 6) | (byte(pos + 1) & 0x3F);
    } else if (length == 3) {
        c = ((c & 0x0F) << 12) | ((byte(pos + 1) & 0x3F) << 6) | (byte(pos + 2) & 0x3F);
    } else if (length == 4) {
        c = ((c & 0x07) << 18) | ((byte(pos + 1) & 0x3F) << 12) | ((byte(pos + 2) & 0x3F) << 6) |
            (byte(pos + 3) & 0x3F);
    }
    pos += length;
    return c;
}

/** Where the last code point of a non-empty valid text begins. */
inline std::size_t last_code_point(std::string_view text) {
    std::size_t pos = text.size() - 1;
    while (pos > 0 && is_continuation(text[pos])) --pos;
    return pos;
}

/** Appends a code point as UTF-8. */
void append_utf8(std::string& out, char32_t c);

/** The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629), or npos. */
std::size_t first_invalid_utf8(std::string_view text);

/** Appends `bytes` to `out` with every ill-formed sequence turned to U+FFFD, one per maximal subpart (Unicode 15,
 * section 3.9). An unfinished sequence at the end is left in `bytes` unless `last`; all else is consumed. */
void append_lossy(std::string& out, std::string& bytes, bool last);

/** Every occurrence of `from` replaced; an empty `from` matches at each character boundary. */
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace vlm::tok
