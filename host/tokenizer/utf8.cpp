/** @file utf8.cpp
 *  The checks follow table 3-7 of the Unicode standard (well-formed UTF-8 byte sequences), which also decides how many
 * replacement characters an ill-formed sequence gives: the reference decoders count them the same way.
 */
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

struct Scan {
    std::size_t length;  ///< Bytes that belong together.
    bool valid;
    bool unfinished;  ///< The text ends inside a sequence that is well-formed so far.
};

Scan scan_sequence(std::string_view text, std::size_t pos) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(pos);
    if (lead < 0x80) return {1, true, false};
    if (lead < 0xC2 || lead > 0xF4) return {1, false, false};
    const std::size_t need = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    unsigned char low = 0x80, high = 0xBF;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    for (std::size_t i = 1; i < need; ++i) {
        if (pos + i >= text.size()) return {i, false, true};
        const unsigned char b = byte(pos + i);
        if (b < low || b > high) return {i, false, false};
        low = 0x80;
        high = 0xBF;
    }
    return {need, true, false};
}

}  // namespace

void append_utf8(std::string& out, char32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xC0 | (c >> 6));
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xE0 | (c >> 12));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (c >> 18));
        out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    }
}

std::size_t first_invalid_utf8(std::string_view text) {
    for (std::size_t pos = 0; pos < text.size();) {
        const Scan scan = scan_sequence(text, pos);
        if (!scan.valid) return pos;
        pos += scan.length;
    }
    return std::string_view::npos;
}

void append_lossy(std::string& out, std::string& bytes, bool last) {
    std::size_t pos = 0;
    while (pos < bytes.size()) {
        const Scan scan = scan_sequence(bytes, pos);
        if (scan.unfinished && !last) break;
        if (scan.valid) {
            out.append(bytes, pos, scan.length);
        } else {
            out += "\xEF\xBF\xBD";
        }
        pos += scan.length;
    }
    bytes.erase(0, pos);
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
    std::string out;
    out.reserve(text.size());
    if (from.empty()) {
        for (std::size_t pos = 0; pos < text.size();) {
            const std::size_t length = sequence_length(text[pos]);
            out.append(to).append(text.substr(pos, length));
            pos += length;
        }
        return out.append(to);
    }
    std::size_t pos = 0;
    for (std::size_t hit; (hit = text.find(from, pos)) != std::string_view::npos; pos = hit + from.size()) {
        out.append(text.substr(pos, hit - pos)).append(to);
    }
    return out.append(text.substr(pos));
}

}  // namespace vlm::tok
