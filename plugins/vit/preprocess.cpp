/** @file preprocess.cpp
 *  See preprocess.hpp.
 */
#include "preprocess.hpp"

#include <algorithm>
#include <limits>

namespace vlm::vit {
namespace {

/** An 8-bit RGB picture somewhere. */
struct Picture {
    const uint8_t* pixels;
    int32_t width, height;
};

/** Puts a view into the top left corner of a larger one. The rest is NaN, which no tower may read: padding tells by it
 * where each view ends, and a mistake shows at once. */
void write_padded(const View& view, const Geometry& g, std::span<const float> from, std::span<float> to) {
    const auto width = static_cast<size_t>(view.width), full_width = static_cast<size_t>(g.width);
    const auto height = static_cast<size_t>(view.height), full_height = static_cast<size_t>(g.height);
    std::fill(to.begin(), to.end(), std::numeric_limits<float>::quiet_NaN());
    for (size_t channel = 0; channel < 3; ++channel)
        for (size_t y = 0; y < height; ++y)
            std::copy_n(from.data() + (channel * height + y) * width, width,
                        to.data() + (channel * full_height + y) * full_width);
}

/** Cuts a normalised view `[3, height, width]` into rows of patches in blocks of merge x merge; a patch is [channel,
 * frame, y, x], every frame the same picture (`Qwen2VLImageProcessorPil.patchify`). */
void write_blocks(const VitConfig& t, int32_t height, int32_t width, std::span<const float> view,
                  std::span<float> out) {
    const int32_t rows = height / t.patch_height, columns = width / t.patch_width;
    float* to = out.data();
    for (int32_t by = 0; by < rows; by += t.merge)
        for (int32_t bx = 0; bx < columns; bx += t.merge)
            for (int32_t y = by; y < by + t.merge; ++y)
                for (int32_t x = bx; x < bx + t.merge; ++x)
                    for (int32_t channel = 0; channel < t.channels; ++channel)
                        for (int32_t frame = 0; frame < t.temporal; ++frame)
                            for (int32_t py = 0; py < t.patch_height; ++py) {
                                const int64_t line =
                                    (int64_t{channel} * height + int64_t{y} * t.patch_height + py) * width;
                                to = std::copy_n(view.data() + line + int64_t{x} * t.patch_width, t.patch_width, to);
                            }
}

}  // namespace

sdk::Shape pixel_shape(const VitConfig& tower, const Geometry& g) {
    if (tower.rotary) return {g.height / tower.patch_height, g.width / tower.patch_width, tower.patch_elements()};
    return {static_cast<int64_t>(g.views.size()), 3, g.height, g.width};
}

void make_pixels(const vlm_image_service& service, const PreprocessConfig& config, const VitConfig& tower,
                 const Geometry& g, const vlm_image& image, std::span<float> out) {
    std::vector<std::vector<uint8_t>> made(g.steps.size());
    const auto picture = [&](int32_t step) -> Picture {
        if (step < 0) return {image.pixels, image.width, image.height};
        const auto i = static_cast<size_t>(step);
        return {made[i].data(), g.steps[i].width, g.steps[i].height};
    };
    for (size_t i = 0; i < g.steps.size(); ++i) {
        const Step& step = g.steps[i];
        const Picture from = picture(step.from);
        made[i].resize(static_cast<size_t>(step.width) * static_cast<size_t>(step.height) * 3);
        const vlm_status status = step.window
                                      ? service.window(from.pixels, from.width, from.height, step.left, step.top,
                                                       made[i].data(), step.width, step.height, step.fill.data())
                                      : service.resize(from.pixels, from.width, from.height, made[i].data(), step.width,
                                                       step.height, config.filter);
        if (status != VLM_STATUS_OK)
            throw sdk::Error(status, "the image service cannot make a picture of " + std::to_string(step.width) +
                                         " x " + std::to_string(step.height) + " pixels");
    }
    const size_t view_size = size_t{3} * static_cast<size_t>(g.height) * static_cast<size_t>(g.width);
    std::vector<float> block;
    for (size_t v = 0; v < g.views.size(); ++v) {
        const Picture view = picture(g.views[v].step);
        const bool padded = view.height != g.height || view.width != g.width;
        if (tower.rotary || padded) block.resize(view_size);
        const auto place = tower.rotary ? std::span<float>() : out.subspan(v * view_size, view_size);
        float* to = tower.rotary || padded ? block.data() : place.data();
        const vlm_status status = service.normalize(view.pixels, view.width, view.height, config.rescale,
                                                    config.mean.data(), config.std.data(), to);
        if (status != VLM_STATUS_OK) throw sdk::Error(status, "the image service cannot normalise a picture");
        if (tower.rotary)
            write_blocks(tower, g.height, g.width, block, out);
        else if (padded)
            write_padded(g.views[v], g, block, place);
    }
}

}  // namespace vlm::vit
