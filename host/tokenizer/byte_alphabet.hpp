/** @file byte_alphabet.hpp
 *  GPT-2's alphabet: one printable character for each of the 256 bytes, so that a vocabulary of text can hold any bytes
 *  (openai/gpt-2, src/encoder.py, bytes_to_unicode).
 */
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace vlm::tok {

/** Every byte as its character of the alphabet. */
std::string to_byte_alphabet(std::string_view bytes);

/** The bytes that a piece of valid UTF-8 spells, or nothing when a character of it is not of the alphabet. */
std::optional<std::string> from_byte_alphabet(std::string_view piece);

}  // namespace vlm::tok
