/** @file decode_webp.cpp
 *  WebP through libwebp's plain decoder; the RIFF container around it is walked here.
 *
 *  libwebp itself decodes still pictures only. The container walk, needed anyway for EXIF and XMP, also finds the first
 * frame of an animation, which is then decoded into its place on an otherwise transparent canvas: what Pillow shows for
 * such a file. Source: WebP container specification (RIFF, VP8X, ANMF).
 */
#include <webp/decode.h>

#include <cstring>
#include <optional>

#include "host/image/decode_formats.hpp"

namespace vlm::decode {

namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kRiffHeader = 12;
constexpr size_t kChunkHeader = 8;
constexpr const char* kTruncated = "it is truncated: the data ends before the picture does";

/** Little-endian number of `size` bytes; the caller has checked the bounds. */
uint32_t number_at(Bytes bytes, size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | bytes[at + i];
    return value;
}

/** Payload of the first chunk of that kind. */
std::optional<Bytes> find_chunk(Bytes data, const char* kind) {
    size_t at = kRiffHeader;
    while (at + kChunkHeader <= data.size()) {
        const size_t size = number_at(data, at + 4, 4);
        const size_t begin = at + kChunkHeader;
        if (size > data.size() - begin) break;
        if (std::memcmp(data.data() + at, kind, 4) == 0) return data.subspan(begin, size);
        at = begin + size + (size & 1);
    }
    return std::nullopt;
}

std::vector<uint8_t> copy_of(std::optional<Bytes> bytes) {
    return bytes ? std::vector<uint8_t>(bytes->begin(), bytes->end()) : std::vector<uint8_t>{};
}

const char* reason_of(VP8StatusCode code) {
    switch (code) {
        case VP8_STATUS_NOT_ENOUGH_DATA:
        case VP8_STATUS_SUSPENDED:
            return kTruncated;
        case VP8_STATUS_UNSUPPORTED_FEATURE:
            return "it uses a feature that libwebp does not know";
        case VP8_STATUS_OUT_OF_MEMORY:
            return "libwebp has no memory for it";
        default:
            return "its bit stream is invalid";
    }
}

WebPBitstreamFeatures features_of(const Source& source, Bytes data) {
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(data.data(), data.size(), &features);
    if (code != VP8_STATUS_OK) throw damaged(source, "WebP", reason_of(code));
    return features;
}

/** Decodes a still bit stream of frame_width x frame_height pixels with its corner at (left, top) of `canvas`. */
void decode_still(const Source& source, Bytes data, int left, int top, Image& canvas) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) {
        throw Error(VLM_STATUS_INTERNAL, "libwebp: the library found differs from the headers compiled against");
    }
    const size_t offset =
        static_cast<size_t>(top) * canvas.stride() + static_cast<size_t>(left) * static_cast<size_t>(canvas.channels);
    config.output.colorspace = canvas.channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = canvas.pixels.data() + offset;
    config.output.u.RGBA.stride = static_cast<int>(canvas.stride());
    config.output.u.RGBA.size = canvas.pixels.size() - offset;
    const VP8StatusCode code = WebPDecode(data.data(), data.size(), &config);
    WebPFreeDecBuffer(&config.output);
    if (code != VP8_STATUS_OK) throw damaged(source, "WebP", reason_of(code));
}

Image read_first_frame(const Source& source, int width, int height) {
    constexpr size_t kFrameHeader = 16;
    const std::optional<Bytes> frame = find_chunk(source.data, "ANMF");
    if (!frame || frame->size() <= kFrameHeader)
        throw damaged(source, "WebP", "its first frame is missing or truncated");
    const Bytes bits = frame->subspan(kFrameHeader);
    const int left = static_cast<int>(number_at(*frame, 0, 3) * 2);
    const int top = static_cast<int>(number_at(*frame, 3, 3) * 2);
    const WebPBitstreamFeatures features = features_of(source, bits);
    if (features.has_animation || left > width - features.width || top > height - features.height) {
        throw damaged(source, "WebP", "its first frame leaves the canvas");
    }
    Image canvas = make_image(width, height, 4);
    decode_still(source, bits, left, top, canvas);
    return canvas;
}

}  // namespace

Decoded read_webp(const Source& source) {
    // The caller has seen "RIFF????WEBP", so the first twelve bytes are there.
    const uint64_t claimed = uint64_t{number_at(source.data, 4, 4)} + kChunkHeader;
    if (source.data.size() < claimed) throw damaged(source, "WebP", kTruncated);
    const WebPBitstreamFeatures features = features_of(source, source.data);
    check_size(source, static_cast<uint64_t>(features.width), static_cast<uint64_t>(features.height));

    Decoded decoded;
    if (features.has_animation) {
        decoded.image = read_first_frame(source, features.width, features.height);
    } else {
        decoded.image = make_image(features.width, features.height, features.has_alpha ? 4 : 3);
        decode_still(source, source.data, 0, 0, decoded.image);
    }
    decoded.exif = copy_of(find_chunk(source.data, "EXIF"));
    decoded.xmp = copy_of(find_chunk(source.data, "XMP "));
    return decoded;
}

}  // namespace vlm::decode
