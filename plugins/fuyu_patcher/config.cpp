/** @file config.cpp
 *  See config.hpp.
 */
#include "config.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace vlm::patcher {
namespace {

constexpr int32_t kMaxPatch = 4096;
constexpr int32_t kMaxSize = 1 << 20;

/** A size given as one number, as [height, width] or as {"height": …, "width": …}. */
Extent read_extent(const sdk::Config& config, const std::string& key, const Extent& fallback, int32_t largest) {
    const auto* value = config.find(key);
    if (value == nullptr) return fallback;
    Extent extent;
    if (value->is_object()) {
        const auto section = config.section(key);
        extent = {section.require<int32_t>("width"), section.require<int32_t>("height")};
    } else {
        const auto list = config.list<int32_t>(key, {});
        if (list.empty() || list.size() > 2)
            throw sdk::invalid_argument(config.path(key) + ": expected a size or [height, width], found " +
                                        value->dump());
        extent = {list.back(), list.front()};
    }
    if (std::min(extent.width, extent.height) < 1 || std::max(extent.width, extent.height) > largest)
        throw sdk::invalid_argument(config.path(key) + ": " + value->dump() + " is out of range, expected 1 to " +
                                    std::to_string(largest));
    return extent;
}

/** Three numbers, or one for all channels. */
std::array<float, 3> read_channels(const sdk::Config& config, const std::string& key, float fallback) {
    auto list = config.list<float>(key, {fallback});
    if (list.size() == 1) list.resize(3, list[0]);
    if (list.size() != 3)
        throw sdk::invalid_argument(config.path(key) + ": expected one number or three, found " +
                                    std::to_string(list.size()));
    return {list[0], list[1], list[2]};
}

/** A switch. Null is off, as the reference asks only whether the value is true. */
bool flag(const sdk::Config& config, const char* key, bool fallback) {
    const auto it = config.json().find(key);
    return it != config.json().end() && it->is_null() ? false : config.get(key, fallback);
}

void read_size(const sdk::Config& pre, Config& c) {
    if (c.resize == Resize::none) return;
    if (c.resize == Resize::shrink) {
        c.size = read_extent(pre, "size", c.size, kMaxSize);
        return;
    }
    // Old files say `"size": 384`, newer ones name the edge.
    const auto* size = pre.find("size");
    const bool named = size != nullptr && size->is_object();
    const sdk::Config& section = named ? pre.section("size") : pre;
    c.shortest = static_cast<int32_t>(section.integer(named ? "shortest_edge" : "size", c.shortest, 1, kMaxSize));
    if (named) section.ignore({"longest_edge"});  // the reference derives it from the shortest
    c.divisor = static_cast<int32_t>(pre.integer("size_divisor", c.divisor, 1, kMaxSize));
}

}  // namespace

Config read_config(const sdk::ComponentConfig& component) {
    const sdk::Config& own = component.config;
    const sdk::Config& pre = component.preprocessor;
    Config c;
    c.resize = own.choice<Resize>("resize", "none",
                                  {{"none", Resize::none}, {"shrink", Resize::shrink}, {"edges", Resize::edges}});
    c.pad = own.choice<Pad>("pad", "none",
                            {{"none", Pad::none}, {"before_normalize", Pad::before}, {"after_normalize", Pad::after}});
    c.channel_last = own.choice<bool>("order", "channel_first", {{"channel_first", false}, {"channel_last", true}});
    c.patch = read_extent(own, "patch_size", read_extent(pre, "patch_size", c.patch, kMaxPatch), kMaxPatch);
    own.integer("num_channels", 3, 3, 3);
    own.refuse_unknown();

    if (!flag(pre, "do_resize", c.resize != Resize::none)) c.resize = Resize::none;
    read_size(pre, c);
    c.filter = static_cast<int32_t>(pre.integer("resample", c.resize == Resize::shrink ? 2 : 3, 0, 5));
    c.rescale = pre.get("rescale_factor", 1.0 / 255.0);
    if (!flag(pre, "do_rescale", true)) c.rescale = 1;
    c.mean = read_channels(pre, "image_mean", 0.5F);
    c.std = read_channels(pre, "image_std", 0.5F);
    if (!flag(pre, "do_normalize", true)) {
        c.mean = {0, 0, 0};
        c.std = {1, 1, 1};
    }
    if (std::any_of(c.std.begin(), c.std.end(), [](float s) { return !(s > 0); }))
        throw sdk::invalid_argument(pre.path("image_std") + ": must be positive");
    pre.expect<std::string>("padding_mode", "constant");
    const bool pads = flag(pre, "do_pad", true);
    c.padding_value = pre.get("padding_value", c.pad == Pad::before ? 1.F : 0.F);
    if (!pads) c.pad = Pad::none;
    const float value = c.padding_value;
    if (c.pad == Pad::before && !(value >= 0 && value <= 255 && value == std::floor(value)))
        throw sdk::invalid_argument(pre.path("padding_value") + ": expected a whole number of 0 to 255, found " +
                                    std::to_string(value));
    pre.refuse_unknown({"image_processor_type", "feature_extractor_type", "processor_class", "do_convert_rgb",
                        "default_to_square", "size_divisor", "return_tensors", "data_format", "input_data_format",
                        "device", "disable_grouping", "size"});
    return c;
}

Extent resized(const Config& config, int32_t width, int32_t height) {
    Extent page{width, height};
    if (config.resize == Resize::shrink && (width > config.size.width || height > config.size.height)) {
        const double scale =
            std::min(static_cast<double>(config.size.height) / height, static_cast<double>(config.size.width) / width);
        page = {static_cast<int32_t>(width * scale), static_cast<int32_t>(height * scale)};
    } else if (config.resize == Resize::edges) {
        // 1333 x 800: the proportion of COCO pictures, fixed in the reference.
        const auto longest = static_cast<double>(static_cast<int32_t>(1333.0 / 800.0 * config.shortest));
        double scale = static_cast<double>(config.shortest) / std::min(width, height);
        double h = height < width ? config.shortest : scale * height;
        double w = height < width ? scale * width : config.shortest;
        if (std::max(h, w) > longest) {
            scale = longest / std::max(h, w);
            h *= scale;
            w *= scale;
        }
        page = {static_cast<int32_t>(w + 0.5) / config.divisor * config.divisor,
                static_cast<int32_t>(h + 0.5) / config.divisor * config.divisor};
    }
    if (page.width < 1 || page.height < 1)
        throw sdk::invalid_argument("an image of " + std::to_string(width) + " x " + std::to_string(height) +
                                    " pixels is too narrow: resizing leaves nothing of it");
    return page;
}

Extent patch_grid(const Config& config, const Extent& page) {
    const int32_t extra_x = config.pad == Pad::none ? 0 : config.patch.width - 1;
    const int32_t extra_y = config.pad == Pad::none ? 0 : config.patch.height - 1;
    const Extent grid{(page.width + extra_x) / config.patch.width, (page.height + extra_y) / config.patch.height};
    if (grid.width < 1 || grid.height < 1)
        throw sdk::invalid_argument("an image of " + std::to_string(page.width) + " x " + std::to_string(page.height) +
                                    " pixels is smaller than a patch");
    return grid;
}

}  // namespace vlm::patcher
