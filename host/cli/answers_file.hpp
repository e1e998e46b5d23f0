/** @file answers_file.hpp
 *  `--output answers.jsonl`: one line of JSON for each page, written as it is read, so that nothing is lost when the
 *  run ends early and the same command goes on where it stopped.
 */
#pragma once
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace vlm::cli {

/** A JSON Lines file of results with audit records. */
class AnswersFile {
  public:
    /** Opens or continues `path`. A last line that was cut off by a crash is taken away; a file with other content is
     * refused. @throws Error DATA_LOSS or INVALID_ARGUMENT that names file and line, PERMISSION_DENIED. */
    explicit AnswersFile(std::filesystem::path path);

    /** Whether the file has an answer, not an error, for this picture by the same manifest, plugins and weights. */
    bool has(const std::string& image_sha256, const std::string& audit_key) const;

    /** Appends one line and flushes it. @throws Error DATA_LOSS when the disk is full. */
    void append(const nlohmann::ordered_json& result);

    /** All lines, of earlier runs too; of several for one `image` only the last. In order of first appearance. */
    const std::vector<nlohmann::ordered_json>& results() const { return results_; }

  private:
    void remember(nlohmann::ordered_json result);

    std::filesystem::path path_;
    std::ofstream file_;
    std::vector<nlohmann::ordered_json> results_;
    std::map<std::string, size_t> by_image_;
    std::set<std::string> answered_;  ///< Hash of the picture and audit key, of results that are no errors.
};

}  // namespace vlm::cli
