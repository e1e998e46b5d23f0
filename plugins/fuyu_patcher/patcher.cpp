/** @file patcher.cpp
 *  See patcher.hpp.
 */
#include "patcher.hpp"

#include <algorithm>
#include <string>

namespace vlm::patcher {

using namespace sdk;

namespace {

size_t area(const Extent& e) {
    return static_cast<size_t>(e.width) * static_cast<size_t>(e.height);
}

void check_image(vlm_status status, const char* what, const vlm_image& image) {
    if (status != VLM_STATUS_OK)
        throw Error(status, std::string(image.source != nullptr ? image.source : "image") + ": cannot " + what +
                                " a picture of " + std::to_string(image.width) + " x " + std::to_string(image.height) +
                                " pixels");
}

}  // namespace

void cut_channel_last(std::span<const float> canvas, const Extent& size, const Extent& patch, std::span<float> rows) {
    float* out = rows.data();
    const size_t plane = area(size);
    for (int32_t top = 0; top + patch.height <= size.height; top += patch.height)
        for (int32_t left = 0; left + patch.width <= size.width; left += patch.width)
            for (int32_t y = top; y < top + patch.height; ++y)
                for (int32_t x = left; x < left + patch.width; ++x)
                    for (size_t channel = 0; channel < 3; ++channel)
                        *out++ = canvas[channel * plane + static_cast<size_t>(y) * static_cast<size_t>(size.width) +
                                        static_cast<size_t>(x)];
}

void Patcher::describe(vlm_vision_description& d) const {
    d.hidden_size = config_.patch_elements();
    d.pooled_size = 0;
    d.layers = 0;
    d.sites = 0;
    d.max_image_tokens = -1;
    if (config_.resize == Resize::shrink) {
        const Extent grid = patch_grid(config_, {std::max(config_.size.width, config_.patch.width),
                                                 std::max(config_.size.height, config_.patch.height)});
        d.max_image_tokens = static_cast<int64_t>(grid.width) * grid.height;
    }
}

Extent Patcher::canvas(const Extent& page) const {
    if (config_.pad == Pad::none) return page;
    const Extent grid = patch_grid(config_, page);
    return {grid.width * config_.patch.width, grid.height * config_.patch.height};
}

VisionPlan Patcher::plan(int32_t width, int32_t height) const {
    const Extent page = resized(config_, width, height);
    const Extent grid = patch_grid(config_, page);
    const Extent whole = canvas(page);
    VisionPlan plan;
    plan.feature_rows = static_cast<int64_t>(grid.width) * grid.height;
    plan.pixel_shape = config_.channel_last ? Shape{plan.feature_rows, config_.patch_elements()}
                                            : Shape{1, 3, whole.height, whole.width};
    plan.workspace_bytes = 2 * static_cast<int64_t>(sizeof(float)) * 3 * static_cast<int64_t>(area(whole));
    plan.layout.grid(grid.height, grid.width);
    return plan;
}

void Patcher::preprocess(const Run& run, const vlm_image& image, const Tensor& pixels) const {
    run.poll();
    const auto* service = host_.image();
    const Extent page = resized(config_, image.width, image.height);
    const Extent whole = canvas(page);
    const uint8_t* source = image.pixels;
    std::vector<uint8_t> small, padded;
    if (page.width != image.width || page.height != image.height) {
        small.resize(3 * area(page));
        check_image(
            service->resize(source, image.width, image.height, small.data(), page.width, page.height, config_.filter),
            "resize", image);
        source = small.data();
    }
    Extent ready = page;
    if (config_.pad == Pad::before && area(whole) != area(page)) {
        const auto value = static_cast<uint8_t>(config_.padding_value);
        const uint8_t fill[3] = {value, value, value};
        padded.resize(3 * area(whole));
        check_image(
            service->window(source, page.width, page.height, 0, 0, padded.data(), whole.width, whole.height, fill),
            "pad", image);
        source = padded.data();
        ready = whole;
    }

    const auto out = pixels.span<float>();
    const size_t expected = config_.channel_last
                                ? static_cast<size_t>(config_.patch_elements()) * area(patch_grid(config_, page))
                                : 3 * area(whole);
    if (out.size() != expected)
        throw invalid_argument("pixels: has " + std::to_string(out.size()) + " elements, planned were " +
                               std::to_string(expected));
    const bool direct = !config_.channel_last && area(ready) == area(whole);
    std::vector<float> normalized(direct ? 0 : 3 * area(ready));
    float* target = direct ? out.data() : normalized.data();
    check_image(service->normalize(source, ready.width, ready.height, config_.rescale, config_.mean.data(),
                                   config_.std.data(), target),
                "normalise", image);
    if (direct) return;

    if (area(ready) != area(whole)) {
        std::vector<float> canvas(3 * area(whole), config_.padding_value);
        for (size_t line = 0; line < 3 * static_cast<size_t>(ready.height); ++line) {
            const size_t channel = line / static_cast<size_t>(ready.height);
            const size_t y = line % static_cast<size_t>(ready.height);
            std::copy_n(normalized.begin() + static_cast<std::ptrdiff_t>(line * static_cast<size_t>(ready.width)),
                        ready.width,
                        canvas.begin() +
                            static_cast<std::ptrdiff_t>(channel * area(whole) + y * static_cast<size_t>(whole.width)));
        }
        normalized = std::move(canvas);
    }
    if (config_.channel_last)
        cut_channel_last(normalized, whole, config_.patch, out);
    else
        std::copy(normalized.begin(), normalized.end(), out.begin());
}

void Patcher::encode(const Run& run, std::span<const Tensor> pixels, std::span<vlm_vision_output> outputs) const {
    const Ops ops(run);
    for (size_t i = 0; i < pixels.size(); ++i) {
        run.poll();
        Tensor features(outputs[i].features, "features");
        if (config_.channel_last)
            ops.copy(pixels[i], features);
        else
            ops.copy(ops.patches(ops.copied(pixels[i], VLM_DTYPE_F32), config_.patch.height, config_.patch.width),
                     features);
        run.tap("vision.patches", features);
        outputs[i].rows = features.size(0);
    }
}

}  // namespace vlm::patcher
