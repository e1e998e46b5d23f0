/** @file reduction_map.cpp
 *  See reduction_map.hpp.
 */
#include "host/pipeline/reduction_map.hpp"

#include <algorithm>
#include <cmath>

#include "host/base/error.hpp"
#include "host/image/process.hpp"
#include "host/pipeline/patches.hpp"

namespace vlm {
namespace {

/** A bright colour for a group; neighbours in number are far apart in hue (golden angle). */
Color group_color(int32_t group) {
    constexpr double kGolden = 0.61803398875;
    const double turns = group * kGolden;
    const double hue = (turns - std::floor(turns)) * 6;
    const auto channel = [&](double offset) {
        const double k = std::fmod(hue + offset, 6.0);
        return static_cast<uint8_t>(std::lround(255 * std::clamp(std::abs(k - 3) - 1, 0.0, 1.0)));
    };
    return {channel(0), channel(4), channel(2), 255};
}

}  // namespace

int64_t ReducedImage::rows() const {
    int32_t last = -1;
    for (const int32_t row : row_of_position) last = std::max(last, row);
    return last + 1;
}

void add_backbone_reductions(std::vector<ReducedImage>& images, const std::vector<ReductionRecord>& records) {
    for (const auto& record : records) {
        if (record.site != VLM_SITE_BACKBONE_LAYER || record.groups.size() != record.images.size()) continue;
        for (auto& image : images) {
            if (image.sequence != record.sequence) continue;
            std::vector<int32_t> group_of_row;
            for (size_t i = 0; i < record.images.size(); ++i)
                if (record.images[i] == image.image) group_of_row.push_back(record.groups[i]);
            if (static_cast<int64_t>(group_of_row.size()) != image.rows()) continue;  // seen in an earlier turn
            // Groups count all rows of the sequence; here they count this image's.
            std::vector<int32_t> own(group_of_row);
            std::sort(own.begin(), own.end());
            own.erase(std::unique(own.begin(), own.end()), own.end());
            if (!own.empty() && own.front() < 0) own.erase(own.begin());
            for (int32_t& row : image.row_of_position) {
                if (row < 0) continue;
                const int32_t group = group_of_row[static_cast<size_t>(row)];
                row = group < 0 ? -1
                                : static_cast<int32_t>(std::lower_bound(own.begin(), own.end(), group) - own.begin());
            }
        }
    }
}

Image draw_reductions(const Image& page, const std::vector<ReducedImage>& images) {
    constexpr float kTint = 0.45F;
    constexpr float kDark = 0.8F;
    Image picture = to_rgb(page);
    bool placed = false;
    for (const auto& image : images) {
        std::array<float, 4> part = image.region;
        if (!(part[2] > part[0] && part[3] > part[1]))
            part = {0, 0, static_cast<float>(page.width), static_cast<float>(page.height)};
        const int width = std::max(1, static_cast<int>(std::lround(part[2] - part[0])));
        const int height = std::max(1, static_cast<int>(std::lround(part[3] - part[1])));
        const auto patches = patches_of(image.layout, width, height);
        // Beside tiles, the view of the whole image would cover them.
        const bool tiles = std::any_of(patches.begin(), patches.end(), [](const Patch& p) { return !p.global; });
        std::vector<int> members(static_cast<size_t>(image.rows()), 0);
        for (const int32_t row : image.row_of_position)
            if (row >= 0) ++members[static_cast<size_t>(row)];
        for (const auto& patch : patches) {
            if (tiles && patch.global) continue;
            placed = true;
            const int32_t row = image.row_of_position.at(static_cast<size_t>(patch.position));
            const int left = static_cast<int>(std::lround(part[0]));
            const int top = static_cast<int>(std::lround(part[1]));
            const PixelBox box{patch.box.left + left, patch.box.top + top, patch.box.right + left,
                               patch.box.bottom + top};
            if (row < 0)
                blend_box(picture, box, {0, 0, 0, 255}, kDark);
            else if (members[static_cast<size_t>(row)] > 1)
                blend_box(picture, box, group_color(row), kTint);
        }
    }
    if (!placed)
        throw failed_precondition(
            "the visual tokens of this model have no place on the page (they are latents of a resampler), so there is "
            "nothing to draw");
    return picture;
}

}  // namespace vlm
