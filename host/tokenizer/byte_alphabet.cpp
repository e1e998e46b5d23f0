/** @file byte_alphabet.cpp
 *  All characters of the alphabet lie below U+0144, so both directions are table look-ups.
 */
#include "host/tokenizer/byte_alphabet.hpp"

#include <array>

#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

constexpr std::size_t kAlphabetEnd = 256 + 68;

struct Alphabet {
    std::array<std::string, 256> characters;
    std::array<int, kAlphabetEnd> bytes;

    Alphabet() {
        bytes.fill(-1);
        char32_t next = 256;  // Bytes that do not print take the characters from U+0100 on.
        for (int b = 0; b < 256; ++b) {
            const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
            const char32_t c = prints ? static_cast<char32_t>(b) : next++;
            append_utf8(characters[static_cast<std::size_t>(b)], c);
            bytes[c] = b;
        }
    }
};

const Alphabet& alphabet() {
    static const Alphabet instance;
    return instance;
}

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
    const Alphabet& table = alphabet();
    std::string out;
    out.reserve(bytes.size() + bytes.size() / 4);
    for (const char b : bytes) out += table.characters[static_cast<unsigned char>(b)];
    return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view piece) {
    const Alphabet& table = alphabet();
    std::string out;
    for (std::size_t pos = 0; pos < piece.size();) {
        const char32_t c = next_code_point(piece, pos);
        if (c >= kAlphabetEnd || table.bytes[c] < 0) return std::nullopt;
        out += static_cast<char>(table.bytes[c]);
    }
    return out;
}

}  // namespace vlm::tok
