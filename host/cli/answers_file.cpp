/** @file answers_file.cpp
 *  See answers_file.hpp.
 */
#include "host/cli/answers_file.hpp"

#include <cerrno>
#include <system_error>

#include "host/base/error.hpp"

namespace vlm::cli {
namespace {

using nlohmann::ordered_json;

/** A text member of a member, or "". */
std::string text_at(const ordered_json& object, const char* member, const char* key) {
    const auto inner = object.find(member);
    if (inner == object.end() || !inner->is_object()) return {};
    const auto value = inner->find(key);
    return value != inner->end() && value->is_string() ? value->get<std::string>() : std::string();
}

}  // namespace

AnswersFile::AnswersFile(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code missing;
    const auto status = std::filesystem::status(path_, missing);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
        throw invalid_argument(path_.string() +
                               ": --output is read again when work goes on, so it must be a regular file");
    std::ifstream old(path_, std::ios::binary);
    std::uintmax_t whole = 0;  // bytes of complete lines
    bool cut_off = false;
    size_t number = 0;
    for (std::string line; old && std::getline(old, line);) {
        ++number;
        cut_off = old.eof();  // no line end behind it
        if (cut_off) break;
        auto result = ordered_json::parse(line, nullptr, false);
        if (!result.is_object() || !result.contains("image"))
            throw invalid_argument(path_.string() + ", line " + std::to_string(number) +
                                   ": this is no result of vlmhost; give --output a new file, or one that an earlier "
                                   "run wrote");
        whole += line.size() + 1;
        remember(std::move(result));
    }
    old.close();
    if (cut_off) {
        std::error_code failure;
        std::filesystem::resize_file(path_, whole, failure);
        if (failure)
            throw Error(
                VLM_STATUS_PERMISSION_DENIED,
                path_.string() + ": its last line is incomplete and cannot be taken away: " + failure.message());
    }
    file_.open(path_, std::ios::binary | std::ios::app);
    if (!file_)
        throw Error(VLM_STATUS_PERMISSION_DENIED,
                    path_.string() + ": cannot be written: " + std::generic_category().message(errno));
}

bool AnswersFile::has(const std::string& image_sha256, const std::string& audit_key) const {
    return answered_.contains(image_sha256 + audit_key);
}

void AnswersFile::append(const ordered_json& result) {
    file_ << result.dump() << '\n';
    file_.flush();
    if (!file_) throw data_loss(path_.string() + ": a result could not be written; is the disk full?");
    remember(result);
}

void AnswersFile::remember(ordered_json result) {
    const std::string image = result["image"].dump();
    if (!result.contains("error"))
        answered_.insert(text_at(result, "audit", "image_sha256") + text_at(result, "audit", "key"));
    const auto known = by_image_.find(image);
    if (known != by_image_.end()) {
        results_[known->second] = std::move(result);
        return;
    }
    by_image_[image] = results_.size();
    results_.push_back(std::move(result));
}

}  // namespace vlm::cli
