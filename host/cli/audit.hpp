/** @file audit.hpp
 *  The audit record: with what a page was read, so that an answer can be traced and repeated years later.
 *
 *  Everything that decides an answer is in it: hashes of the picture, the manifest, the weights and the plugin
 *  libraries, versions, and the options of the post-processors with their thresholds.
 */
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "host/pipeline/pipeline.hpp"

namespace vlm::cli {

/** Records of one run. */
class AuditTrail {
  public:
    /** Hashes manifest, weights and plugins once. @throws Error of unreadable files. */
    explicit AuditTrail(const Pipeline& pipeline);

    /** The record of one picture: what all share, and `image`, `image_sha256`, `time` (UTC, ISO 8601), `duration_ms`.
     */
    nlohmann::ordered_json record(const std::string& image, const std::string& image_sha256, double duration_ms) const;

    /** Hash over all that decides an answer except the picture, 64 hex digits: equal keys, equal answers. */
    const std::string& key() const { return key_; }

  private:
    nlohmann::ordered_json shared_;
    std::string key_;
};

}  // namespace vlm::cli
