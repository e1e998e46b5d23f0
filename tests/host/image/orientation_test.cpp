/** @file orientation_test.cpp
 *  The eight orientations on a picture of six different pixels, and records that are broken.
 */
#include "host/image/orientation.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "tests/host/image/image_cases.hpp"

namespace vlm::decode {
namespace {

std::span<const uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(ApplyOrientation, TurnsAndMirrors) {
    Image image = make_image(3, 2, 1);
    image.pixels = {1, 2, 3, 4, 5, 6};
    // The upright picture for each orientation, by the definition of EXIF (row 0 and column 0 of the stored picture).
    const std::vector<std::vector<uint8_t>> expected = {
        {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
        {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4},
    };
    for (int orientation = 1; orientation <= 8; ++orientation) {
        const Image out = apply_orientation(image, orientation);
        EXPECT_EQ(out.pixels, expected[size_t(orientation - 1)]) << orientation;
        EXPECT_EQ(out.width, orientation < 5 ? 3 : 2) << orientation;
    }
    EXPECT_EQ(apply_orientation(image, 9).pixels, image.pixels);
}

TEST(FindOrientation, PrefersExifToXmp) {
    const std::string_view exif("Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 32);
    const std::string_view xmp = "<x tiff:Orientation=\"3\"/>";
    EXPECT_EQ(find_orientation(bytes_of(exif), {}), 6);
    EXPECT_EQ(find_orientation(bytes_of(exif.substr(6)), bytes_of(xmp)), 6);
    EXPECT_EQ(find_orientation({}, bytes_of(xmp)), 3);
    EXPECT_EQ(find_orientation({}, {}), 1);
}

TEST(FindOrientation, IgnoresBrokenRecords) {
    const std::string_view exif("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 26);
    for (size_t size = 0; size < 20; ++size) EXPECT_EQ(find_orientation(bytes_of(exif.substr(0, size)), {}), 1) << size;
    std::string wrong(exif);
    wrong[4] = '\xF0';  // the directory lies beyond the end
    EXPECT_EQ(find_orientation(bytes_of(wrong), {}), 1);
    wrong = exif;
    wrong[18] = 9;  // no such orientation
    EXPECT_EQ(find_orientation(bytes_of(wrong), {}), 1);
    EXPECT_EQ(find_orientation({}, bytes_of("tiff:Orientation=\"9\"")), 1);
    EXPECT_EQ(find_orientation({}, bytes_of("tiff:Orientation=")), 1);
}

}  // namespace
}  // namespace vlm::decode
