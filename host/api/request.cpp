/** @file request.cpp
 *  See request.hpp.
 */
#include "host/api/request.hpp"

#include <limits>
#include <set>

#include "host/api/handles.hpp"
#include "host/image/decode.hpp"
#include "host/image/process.hpp"

namespace vlm::api {
namespace {

/** Copies a strided u8 tensor of 1, 3 or 4 channels. */
Image image_from(const vlm_tensor_view& view, int64_t max_pixels, const std::string& name) {
    const auto refuse = [&](const std::string& found) {
        return invalid_argument(
            name + ": an image tensor is u8 [height, width] or [height, width, 1, 3 or 4] on the CPU; " + found);
    };
    if (view.device.device_type != VLM_DEVICE_CPU)
        throw refuse("this one is on device type " + std::to_string(view.device.device_type));
    if (dtype_of(view) != VLM_DTYPE_U8 || view.dtype.lanes != 1)
        throw refuse("this one has elements of type code " + std::to_string(view.dtype.code) + " with " +
                     std::to_string(view.dtype.bits) + " bits in " + std::to_string(view.dtype.lanes) + " lanes");
    if (view.ndim != 2 && view.ndim != 3) throw refuse("this one has " + std::to_string(view.ndim) + " dimensions");
    if (view.shape == nullptr || view.data == nullptr) throw refuse("this one has no shape or no data");
    const auto shape = std::span(view.shape, static_cast<size_t>(view.ndim));
    const int64_t height = shape[0];
    const int64_t width = shape[1];
    const int64_t channels = view.ndim == 3 ? shape[2] : 1;
    if (height <= 0 || width <= 0 || (channels != 1 && channels != 3 && channels != 4))
        throw refuse("this one is " + shape_text(shape));
    if (height > max_pixels / width)
        throw resource_exhausted(name + ": a tensor of " + shape_text(shape) + " is larger than max_pixels (" +
                                 std::to_string(max_pixels) + ") in the manifest allows");
    const int64_t steps[] = {view.strides != nullptr ? view.strides[0] : width * channels,
                             view.strides != nullptr ? view.strides[1] : channels,
                             view.strides != nullptr && view.ndim == 3 ? view.strides[2] : 1};
    Image image = make_image(static_cast<int>(width), static_cast<int>(height), static_cast<int>(channels));
    const auto* const base = static_cast<const uint8_t*>(view.data) + view.byte_offset;
    uint8_t* out = image.pixels.data();
    for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x)
            for (int64_t c = 0; c < channels; ++c) *out++ = base[y * steps[0] + x * steps[1] + c * steps[2]];
    return image;
}

/** What decoding would have made of the channels. */
Image in_mode(Image image, ColorMode mode) {
    switch (mode) {
        case ColorMode::kRgb:
            return to_rgb(image);
        case ColorMode::kOpaque:
            return without_alpha(image);
        case ColorMode::kKeep:
            break;
    }
    return image;
}

/** One callback of the host for the two kinds of the caller. An answer that was stopped is not heard of again. */
StreamCallback read_stream(const vlm_generate_request& given) {
    require(given.stream == nullptr || given.answer_stream == nullptr,
            "a request has both stream and answer_stream; set one");
    if (given.stream == nullptr && given.answer_stream == nullptr) return {};
    return [given, stopped = std::set<size_t>()](size_t answer, const std::string& text) mutable {
        if (stopped.contains(answer)) return false;
        const int32_t more = given.stream != nullptr
                                 ? given.stream(given.user, text.data(), text.size())
                                 : given.answer_stream(given.user, answer, text.data(), text.size());
        if (more == 0) stopped.insert(answer);
        return more != 0;
    };
}

}  // namespace

NamedImage read_image(const vlm_image_source* theirs, const Pipeline& pipeline) {
    require(theirs != nullptr, "an image of the request is NULL");
    const auto source = read_struct(theirs, "vlm_image_source");
    const int given = (source.path != nullptr) + (source.encoded != nullptr) + (source.pixels != nullptr) +
                      (source.tensor != nullptr);
    require(given == 1, "an image needs exactly one of path, encoded bytes, pixels and tensor");
    const int64_t max_pixels = pipeline.manifest().image.max_pixels;
    const ColorMode mode = pipeline.recipe().color_mode;
    DecodeLimits limits;
    limits.max_pixels = static_cast<uint64_t>(max_pixels);
    NamedImage image;
    image.name = source.name != nullptr ? source.name : source.path != nullptr ? source.path : "image";
    if (source.path != nullptr) {
        image.image = decode_file(source.path, limits, mode);
    } else if (source.encoded != nullptr) {
        image.image = decode_memory({source.encoded, source.encoded_size}, limits, mode, image.name);
    } else if (source.tensor != nullptr) {
        image.image = in_mode(image_from(*source.tensor, max_pixels, image.name), mode);
    } else {
        require(source.width > 0 && source.height > 0 && int64_t{source.width} * source.height <= max_pixels,
                "an image given as pixels needs a width and height above 0 and within the size limit");
        image.image = make_image(source.width, source.height, 3);
        std::memcpy(image.image.pixels.data(), source.pixels, image.image.pixels.size());
    }
    return image;
}

GenerationOptions read_options(const vlm_generation_options* theirs, GenerationOptions options) {
    if (theirs == nullptr) return options;
    const auto given = read_struct(theirs, "vlm_generation_options");
    if (given.max_new_tokens != 0) options.max_new_tokens = given.max_new_tokens;
    if (given.temperature != 0) options.temperature = given.temperature < 0 ? 0.0F : given.temperature;
    if (given.top_k != 0) options.top_k = std::max(0, given.top_k);
    if (given.top_p != 0) options.top_p = given.top_p;
    if (given.min_p != 0) options.min_p = given.min_p;
    if (given.repetition_penalty != 0) options.repetition_penalty = given.repetition_penalty;
    if (given.seed != 0) options.seed = given.seed;
    require(given.stop_count == 0 || given.stops != nullptr, "stop_count is set but stops is NULL");
    for (uint32_t i = 0; i < given.stop_count; ++i) {
        require(given.stops[i] != nullptr, "a stop string is NULL");
        options.stop.emplace_back(given.stops[i]);
    }
    return options;
}

Request read_request(const vlm_generate_request& given, const Pipeline& pipeline) {
    require(given.image_count == 0 || given.images != nullptr, "image_count is set but images is NULL");
    require(given.text_count == 0 || given.texts != nullptr, "text_count is set but texts is NULL");
    Request request;
    if (given.prompt != nullptr) request.prompt = given.prompt;
    request.raw_prompt = given.raw_prompt != 0;
    request.stream = read_stream(given);
    for (uint32_t i = 0; i < given.text_count; ++i) {
        require(given.texts[i] != nullptr, "a text of the request is NULL");
        request.texts.emplace_back(given.texts[i]);
    }
    for (uint32_t i = 0; i < given.image_count; ++i) request.images.push_back(read_image(given.images[i], pipeline));
    return request;
}

}  // namespace vlm::api
