/** @file html_report.hpp
 *  `--report pages.html`: what was read, beside where it stands on the page.
 *
 *  One file that opens offline and can be archived: pictures are embedded, boxes are drawn over them as SVG, and the
 *  only script marks the box of the row under the pointer. Pages are written one by one, so that a long batch does not
 *  have to fit into memory.
 */
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "host/image/decode.hpp"

namespace vlm::cli {

/** Writes the report of `results` (docs/results.schema.json), reading their pictures again within `limits`. A picture
 * that is gone or broken leaves its place empty and says so. The file appears whole or not at all.
 *  @throws Error PERMISSION_DENIED when it cannot be written. */
void write_html_report(const std::filesystem::path& path, std::span<const nlohmann::ordered_json> results,
                       const DecodeLimits& limits);

}  // namespace vlm::cli
