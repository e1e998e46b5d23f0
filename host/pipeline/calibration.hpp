/** @file calibration.hpp
 *  Thresholds for merging inside a vision tower, found on pictures as they will come (DyMU, arXiv 2504.17040, 3.2).
 *
 *  A threshold belongs to a layer and is chosen so that a *batch* of pictures loses the wanted number of tokens there
 * together: a plain picture gives more of them than a page of print. The pictures of a batch therefore walk through
 * the tower side by side, each on a thread of its own, and meet at every hook, where the proposals of all are ranked
 * together. One pass per picture is enough, and the tower is any plugin with the hook.
 */
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/pipeline/pipeline.hpp"

namespace vlm {

/** How many tokens an image shall have behind the tower. */
struct MergeTarget {
    int64_t tokens = 0;  ///< A number of tokens, or 0: by `share`.
    double share = 1;    ///< Part of the image's own tokens.

    /** "high", "mid", "low" (the 394, 195 and 89 of 576 tokens of the paper), or a number of tokens.
     *  Throws INVALID_ARGUMENT for anything else. */
    static MergeTarget parse(const std::string& text);
    /** Tokens wanted of an image of `all` tokens; at least 1, at most all. */
    int64_t of(int64_t all) const;
};

/** Finds and tries thresholds with the encoder of a pipeline. */
class MergeCalibration {
  public:
    /** Throws FAILED_PRECONDITION when the encoder has no hook inside its layers. */
    MergeCalibration(const Pipeline& pipeline, const MergeTarget& target, const std::atomic<bool>* cancelled);

    /** Tokens that the target asks for on this image. */
    int64_t wanted(const NamedImage& image) const;

    /** Layers of the encoder: the number of thresholds. */
    int32_t layers() const;

    /** Thresholds of one batch, one per layer; 1 (nothing merges) where no layer runs. Throws FAILED_PRECONDITION for
     * an encoder that looks at an image in several views, CANCELLED, and what the encoder throws. */
    std::vector<double> batch(std::span<const NamedImage> images) const;

    /** Tokens that each image has behind the tower with these thresholds, class tokens not counted. */
    std::vector<int64_t> tokens_with(std::span<const NamedImage> images, const std::vector<double>& thresholds) const;

  private:
    const Pipeline& pipeline_;
    MergeTarget target_;
    const std::atomic<bool>* cancelled_;
};

}  // namespace vlm
