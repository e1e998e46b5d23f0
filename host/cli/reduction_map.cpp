/** @file reduction_map.cpp
 *  See reduction_map.hpp.
 */
#include "host/cli/reduction_map.hpp"

#include "host/base/error.hpp"
#include "host/image/draw.hpp"
#include "host/pipeline/reduction_map.hpp"

namespace vlm::cli {

void check_reduction_map(const Pipeline& pipeline) {
    if (pipeline.reducers().empty())
        throw failed_precondition(
            "--reduction-map: this pipeline has no token reducer; name one under pipeline.token_reducers in the "
            "manifest (docs/reducers.md)");
}

void write_reduction_maps(const std::filesystem::path& path, const Request& request, const Result& result, size_t first,
                          size_t pages) {
    for (size_t page = 0; page < request.images.size(); ++page) {
        std::vector<ReducedImage> images;
        for (const auto& image : result.reduced_images)
            if (image.page == static_cast<int>(page)) images.push_back(image);
        auto target = path;
        if (pages > 1)
            target.replace_filename(path.stem().string() + "-" + std::to_string(first + page + 1) +
                                    path.extension().string());
        write_png(target, draw_reductions(request.images[page].image, images));
    }
}

}  // namespace vlm::cli
