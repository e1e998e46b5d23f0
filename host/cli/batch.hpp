/** @file batch.hpp
 *  What a run over many pages leaves behind: `--output` (JSON Lines with audit records, resumable) and `--report`
 * (HTML).
 */
#pragma once
#include <chrono>
#include <memory>
#include <optional>

#include "host/cli/answers_file.hpp"
#include "host/cli/audit.hpp"
#include "host/cli/options.hpp"
#include "host/image/decode.hpp"

namespace vlm::cli {

/** `--output` and `--report`. */
po::options_description batch_options();

/** The files of one run. Does nothing when neither option was given. */
class Batch {
  public:
    Batch(const po::variables_map& options, const Pipeline& pipeline, const DecodeLimits& limits);

    /** Whether results go to a file instead of to standard output. */
    bool writes_file() const { return file_.has_value(); }

    /** Starts the clock of one picture's question. False when an earlier run has its answer already: then it is to be
     * left out. */
    bool begin(const std::filesystem::path& image);

    /** Takes the answer, or an error, of the question begun last: one object of docs/results.schema.json. */
    void end(nlohmann::ordered_json result);

    /** Writes the report. */
    void finish() const;

  private:
    DecodeLimits limits_;
    std::filesystem::path report_;
    std::optional<AnswersFile> file_;
    std::optional<AuditTrail> audit_;
    std::vector<nlohmann::ordered_json> results_;  ///< For a report without a file.
    std::string image_;
    std::string image_sha256_;
    std::chrono::steady_clock::time_point begin_;
};

}  // namespace vlm::cli
