/** @file decode_test.cpp
 *  Every kind of file against Pillow, the refusals, and thousands of damaged files.
 */
#include "host/image/decode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "host/base/error.hpp"
#include "tests/host/image/image_cases.hpp"

namespace vlm {
namespace {

using testing::HasSubstr;

const std::string kFolder = std::string(VLM_TEST_DATA) + "/images/";

/** Status and message of what `call` throws. */
template <typename Call>
std::pair<vlm_status, std::string> failure_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return {error.code(), error.what()};
    }
    return {VLM_STATUS_OK, "nothing was thrown"};
}

std::pair<vlm_status, std::string> failure_of_bytes(std::string_view bytes, const DecodeLimits& limits = {}) {
    const std::vector<uint8_t> data(bytes.begin(), bytes.end());
    return failure_of([&] { decode_memory(data, limits); });
}

TEST(Decode, EqualsPillow) {
    for (const std::string& line : test::read_cases("decode_cases.txt")) {
        std::istringstream in(line);
        std::string name, hash;
        int width = 0, height = 0, channels = 0;
        in >> name >> width >> height >> channels >> hash;
        const Image image = decode_file(kFolder + name);
        EXPECT_EQ(image.width, width) << name;
        EXPECT_EQ(image.height, height) << name;
        EXPECT_EQ(image.channels, 3) << name;
        EXPECT_EQ(test::fnv(image.pixels), hash) << name;
        if (channels > 0) {
            EXPECT_EQ(decode_file(kFolder + name, {}, ColorMode::kKeep).channels, channels) << name;
        }
    }
}

TEST(Decode, KeepsAlpha) {
    const Image image = decode_file(kFolder + "rgba8.png", {}, ColorMode::kKeep);
    ASSERT_EQ(image.channels, 4);
    size_t partly = 0;
    for (size_t i = 3; i < image.pixels.size(); i += 4) partly += image.pixels[i] > 0 && image.pixels[i] < 255;
    EXPECT_GT(partly, image.pixels.size() / 8);
}

TEST(Decode, FileProblems) {
    namespace fs = std::filesystem;
    auto [code, message] = failure_of([] { decode_file("/nonexistent/picture.png"); });
    EXPECT_EQ(code, VLM_STATUS_NOT_FOUND);
    EXPECT_THAT(message, HasSubstr("/nonexistent/picture.png"));
    std::tie(code, message) = failure_of([] { decode_file(kFolder); });
    EXPECT_EQ(code, VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_THAT(message, HasSubstr("directory"));
    std::tie(code, message) = failure_of([] { decode_file("/dev/zero"); });
    EXPECT_EQ(code, VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_THAT(message, HasSubstr("not a regular file"));
    const fs::path empty = fs::path(testing::TempDir()) / "vlm_empty_picture.png";
    std::ofstream(empty).close();
    std::tie(code, message) = failure_of([&] { decode_file(empty); });
    fs::remove(empty);
    EXPECT_EQ(code, VLM_STATUS_DATA_LOSS);
    EXPECT_THAT(message, HasSubstr("empty"));
}

TEST(Decode, NamesForeignFormats) {
    const std::map<std::string, std::string_view> kinds = {
        {"GIF", "GIF89a.........."},
        {"BMP", "BM.............."},
        {"TIFF", std::string_view("II*\0........", 12)},
        {"HEIC", std::string_view("\0\0\0\x18"
                                  "ftypheic....",
                                  16)},
        {"AVIF", std::string_view("\0\0\0\x18"
                                  "ftypavif....",
                                  16)},
        {"PDF", "%PDF-1.7 ......."},
        {"JPEG 2000", std::string_view("\0\0\0\x0CjP  ....", 12)},
        {"HTML", "<!DOCTYPE html>."},
    };
    for (const auto& [kind, bytes] : kinds) {
        const auto [code, message] = failure_of_bytes(bytes);
        EXPECT_EQ(code, VLM_STATUS_UNIMPLEMENTED) << kind;
        EXPECT_THAT(message, HasSubstr(kind));
        EXPECT_THAT(message, HasSubstr("JPEG, PNG and WebP"));
    }
    const auto dicom = failure_of_bytes(std::string(128, '\0') + "DICM....");
    EXPECT_THAT(dicom.second, HasSubstr("DICOM"));
    const auto unknown = failure_of_bytes("hello");
    EXPECT_EQ(unknown.first, VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_THAT(unknown.second, HasSubstr("68 65 6c 6c 6f"));
}

/** The same file with its claimed sides replaced. */
std::vector<uint8_t> claiming_60000(const std::string& name) {
    std::vector<uint8_t> bytes = test::read_bytes(kFolder + name);
    constexpr uint8_t kHigh = 60000 >> 8, kLow = 60000 & 0xFF;
    if (name.ends_with(".png")) {
        for (const size_t at : {16, 20}) {
            bytes[at] = bytes[at + 1] = 0;
            bytes[at + 2] = kHigh;
            bytes[at + 3] = kLow;
        }
    } else {
        for (size_t i = 2; i + 8 < bytes.size(); ++i) {
            if (bytes[i] != 0xFF || (bytes[i + 1] != 0xC0 && bytes[i + 1] != 0xC2)) continue;
            bytes[i + 5] = bytes[i + 7] = kHigh;
            bytes[i + 6] = bytes[i + 8] = kLow;
            break;
        }
    }
    return bytes;
}

TEST(Decode, RefusesHugeClaimsByTheHeader) {
    for (const std::string name : {"rgb8.png", "gray8_adam7.png", "s2_q92.jpg", "progressive.jpg"}) {
        const std::vector<uint8_t> bytes = claiming_60000(name);
        const auto [code, message] = failure_of([&] { decode_memory(bytes); });
        EXPECT_EQ(code, VLM_STATUS_RESOURCE_EXHAUSTED) << name;
        EXPECT_THAT(message, HasSubstr("60000x60000"));
    }
}

TEST(Decode, LimitsAreConfigurable) {
    const std::vector<uint8_t> bytes = test::read_bytes(kFolder + "lossy.webp");  // 45 x 29
    DecodeLimits limits;
    limits.max_pixels = 45 * 29;
    limits.max_side = 45;
    limits.max_file_bytes = bytes.size();
    EXPECT_EQ(decode_memory(bytes, limits).width, 45);
    for (int what = 0; what < 3; ++what) {
        DecodeLimits less = limits;
        if (what == 0) --less.max_pixels;
        if (what == 1) --less.max_side;
        if (what == 2) --less.max_file_bytes;
        const auto [code, message] = failure_of([&] { decode_memory(bytes, less, ColorMode::kRgb, "scan.webp"); });
        EXPECT_EQ(code, VLM_STATUS_RESOURCE_EXHAUSTED) << what;
        EXPECT_THAT(message, HasSubstr("scan.webp"));
    }
    const auto [code, message] = failure_of([&] {
        DecodeLimits less;
        less.max_file_bytes = 10;
        decode_file(kFolder + "lossy.webp", less);
    });
    EXPECT_EQ(code, VLM_STATUS_RESOURCE_EXHAUSTED);
}

TEST(Decode, RefusesTruncatedFiles) {
    for (const std::string name : {"rgb8.png", "gray16_adam7.png", "palette4.png", "s2_q92.jpg", "progressive.jpg",
                                   "restart.jpg", "cmyk.jpg", "lossy.webp", "alpha_lossless.webp", "animated.webp"}) {
        const std::vector<uint8_t> whole = test::read_bytes(kFolder + name);
        for (const double part : {0.02, 0.1, 0.3, 0.5, 0.7, 0.9}) {
            const auto size = static_cast<size_t>(static_cast<double>(whole.size()) * part);
            const auto [code, message] = failure_of([&] { decode_memory(std::span(whole).first(size)); });
            EXPECT_TRUE(code == VLM_STATUS_DATA_LOSS || (size < 13 && code == VLM_STATUS_INVALID_ARGUMENT))
                << name << " cut to " << size << ": " << code << " " << message;
        }
    }
}

TEST(Decode, RefusesDamagedPixels) {
    std::vector<uint8_t> jpeg = test::read_bytes(kFolder + "s0_q92.jpg");
    std::fill(jpeg.begin() + static_cast<long>(jpeg.size() / 2), jpeg.end() - 2, uint8_t{0xFE});
    EXPECT_EQ(failure_of([&] { decode_memory(jpeg); }).first, VLM_STATUS_DATA_LOSS);
    std::vector<uint8_t> png = test::read_bytes(kFolder + "rgb8.png");
    png[png.size() / 2] ^= 0x10;
    EXPECT_EQ(failure_of([&] { decode_memory(png); }).first, VLM_STATUS_DATA_LOSS);
}

TEST(Decode, ForgivesAMissingPngEnd) {
    std::vector<uint8_t> png = test::read_bytes(kFolder + "rgb8.png");
    const std::vector<uint8_t> pixels = decode_memory(png).pixels;
    png.resize(png.size() - 12);
    EXPECT_EQ(decode_memory(png).pixels, pixels);
}

/** Files changed at random: any result or Error is right, a crash, a hang or an out-of-bounds access (see the
 * sanitizers) is not. */
TEST(Decode, SurvivesMutatedFiles) {
    uint32_t state = 12345;
    const auto random = [&state](size_t bound) {
        state = state * 1664525u + 1013904223u;
        return static_cast<size_t>(state >> 8) % bound;
    };
    DecodeLimits limits;
    limits.max_pixels = 1 << 20;
    limits.max_side = 1 << 14;
    size_t decoded = 0, refused = 0;
    for (const std::string& line : test::read_cases("decode_cases.txt")) {
        const std::string name = line.substr(0, line.find(' '));
        const std::vector<uint8_t> original = test::read_bytes(kFolder + name);
        for (int round = 0; round < 200; ++round) {
            std::vector<uint8_t> bytes = original;
            // Half of the rounds stay in the headers, where more can go wrong.
            const size_t reach = round % 2 ? bytes.size() : std::min<size_t>(bytes.size(), 200);
            for (size_t i = 0; i < 1 + random(5); ++i) {
                const size_t at = random(std::min(reach, bytes.size()));
                switch (random(4)) {
                    case 0:
                        bytes[at] = static_cast<uint8_t>(random(256));
                        break;
                    case 1:
                        bytes[at] ^= static_cast<uint8_t>(1u << random(8));
                        break;
                    case 2:
                        bytes.erase(bytes.begin() + static_cast<long>(at));
                        break;
                    default:
                        bytes.insert(bytes.begin() + static_cast<long>(at), random(8),
                                     static_cast<uint8_t>(random(256)));
                }
            }
            if (round % 7 == 0) bytes.resize(random(bytes.size()));
            try {
                const Image image = decode_memory(bytes, limits, round % 3 ? ColorMode::kRgb : ColorMode::kKeep);
                EXPECT_EQ(image.pixels.size(), image.stride() * static_cast<size_t>(image.height));
                ++decoded;
            } catch (const Error& error) {
                EXPECT_NE(std::string(error.what()), "");
                ++refused;
            }
        }
    }
    EXPECT_GT(decoded, 100u);
    EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace vlm
