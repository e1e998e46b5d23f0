/** @file image_cases.hpp
 *  What the tests of this folder share: the input pattern and the hash of tests/tools/make_image_goldens.py, and its
 * tables.
 */
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "host/image/image.hpp"

namespace vlm::test {

/** FNV-1a, 64 bits, as 16 hexadecimal digits. */
inline std::string fnv(std::span<const uint8_t> bytes) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3u;
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
    return text;
}

inline std::string fnv(std::span<const float> values) {
    return fnv(std::span(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)));
}

/** Bytes that depend on index and seed only; `noise` of the script. */
inline std::vector<uint8_t> noise(size_t count, uint32_t seed) {
    std::vector<uint8_t> bytes(count);
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t v = i * 2654435761u + seed * 40503u;
        v ^= v >> 15;
        v *= 2246822519u;
        v ^= v >> 13;
        const auto byte = static_cast<uint8_t>(v >> 24);
        bytes[i] = ((i >> 5) & 3) == 3 ? ((byte & 1) ? 255 : 0) : byte;
    }
    return bytes;
}

inline Image noise_image(int width, int height, int channels, uint32_t seed) {
    Image image{width, height, channels, {}};
    image.pixels = noise(image.stride() * static_cast<size_t>(height), seed);
    return image;
}

/** The lines of a table in tests/data/images. */
inline std::vector<std::string> read_cases(const std::string& name) {
    std::ifstream file(std::string(VLM_TEST_DATA) + "/images/" + name);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    EXPECT_FALSE(lines.empty()) << "tests/data/images/" << name << " is missing or empty";
    return lines;
}

inline std::vector<uint8_t> read_bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace vlm::test
