/** @file pages.hpp
 *  Pages as a pipeline reads them: whole, or row of text by row of text.
 *
 *  A small model reads a row of print far better than a page that was shrunk to fit it, so a manifest may ask for
 *  `"image": {"split": "rows"}`. Each row becomes an image and an answer of its own; post-processors see all of them
 * with their places.
 */
#pragma once
#include <array>
#include <memory>
#include <vector>

#include "host/pipeline/manifest.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm {

/** One image to ask about, and where it stands on its page. */
struct PagePart {
    NamedImage image;
    int page = 0;                            ///< Index of the page in the request.
    std::array<float, 4> region{};           ///< Left, top, right, bottom in pixels of the page.
    std::shared_ptr<const LevelPage> level;  ///< What a row was cut from; empty when pages stay whole.
    PixelBox box;                            ///< Where, on the level page.
};

/** Cuts the pages of a request as the manifest says. Without splitting, every page is one part. */
std::vector<PagePart> split_pages(const std::vector<NamedImage>& pages, const ImageManifest& options);

/** The same row cut with another margin (fraction of its height): a smaller one makes the letters larger. */
NamedImage cut_again(const PagePart& part, const ImageManifest& options, double margin);

}  // namespace vlm
