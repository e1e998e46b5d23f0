/** @file orientation.hpp
 *  EXIF orientation: cameras store the sensor's rows and a tag that says how to turn them. Internal to host/image.
 *
 *  The tag is looked up as Pillow's getexif() does (EXIF first, then XMP), because which of two contradicting records
 * wins decides whether a picture comes out upright. Both records are untrusted bytes; a malformed one means "no
 * orientation", not a failure.
 */
#pragma once
#include <cstdint>
#include <span>

#include "host/image/image.hpp"

namespace vlm::decode {

/** The orientation, 1 to 8; 1 when there is none or it is out of range.
 *  @param exif TIFF structure with any number of leading "Exif\0\0"; may be empty
 *  @param xmp XMP packet; may be empty */
int find_orientation(std::span<const uint8_t> exif, std::span<const uint8_t> xmp);

/** The picture turned and mirrored so that it is upright. @param orientation 1 to 8 */
Image apply_orientation(Image image, int orientation);

}  // namespace vlm::decode
