/** @file reduction_map.hpp
 *  `--reduction-map out.png`: pictures of what the token reducers did.
 */
#pragma once
#include <filesystem>

#include "host/pipeline/pipeline.hpp"

namespace vlm::cli {

/** Refuses a pipeline without token reducers: there would be nothing to see. */
void check_reduction_map(const Pipeline& pipeline);

/** Writes one PNG per page of `request`: `path` itself when `pages`, the pages of the whole call, is 1; else
 * `name-1.png`, `name-2.png`, …, the first one being page `first` (from 0). */
void write_reduction_maps(const std::filesystem::path& path, const Request& request, const Result& result, size_t first,
                          size_t pages);

}  // namespace vlm::cli
