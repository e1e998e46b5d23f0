/** @file batch.cpp
 *  See batch.hpp.
 */
#include "host/cli/batch.hpp"

#include "host/base/error.hpp"
#include "host/cli/html_report.hpp"
#include "host/trust/sealed_file.hpp"

namespace vlm::cli {

po::options_description batch_options() {
    po::options_description options("Many pages");
    auto add = options.add_options();
    add("output", po::value<std::string>(),
        "append results as JSON Lines, with audit records, to this file; pages that it has answers for are skipped, so "
        "the same command goes on where it was stopped");
    add("report", po::value<std::string>(), "write an HTML page with pictures, boxes, tables and warnings");
    return options;
}

Batch::Batch(const po::variables_map& options, const Pipeline& pipeline, const DecodeLimits& limits) : limits_(limits) {
    if (options.contains("report")) report_ = options["report"].as<std::string>();
    if (!options.contains("output")) return;
    audit_.emplace(pipeline);
    file_.emplace(options["output"].as<std::string>());
}

bool Batch::begin(const std::filesystem::path& image) {
    image_ = image.string();
    image_sha256_.clear();
    begin_ = std::chrono::steady_clock::now();
    if (!file_ || image.empty()) return true;
    try {
        image_sha256_ = sha256_of_file(image);
    } catch (const Error&) {
        return true;  // whoever reads the picture next says what is wrong with it
    }
    return !file_->has(image_sha256_, audit_->key());
}

void Batch::end(nlohmann::ordered_json result) {
    if (!file_) {
        if (!report_.empty()) results_.push_back(std::move(result));
        return;
    }
    const std::chrono::duration<double, std::milli> duration = std::chrono::steady_clock::now() - begin_;
    result["audit"] = audit_->record(image_, image_sha256_, duration.count());
    file_->append(result);
}

void Batch::finish() const {
    if (report_.empty()) return;
    write_html_report(report_, file_ ? file_->results() : results_, limits_);
}

}  // namespace vlm::cli
