/** @file result.cpp
 *  See result.hpp.
 */
#include "host/pipeline/result.hpp"

#include <cstdlib>
#include <fstream>

#include "host/json/document.hpp"
#include "host/json/writer.hpp"

namespace vlm {

const char* finish_reason_name(FinishReason reason) {
    switch (reason) {
        case FinishReason::stop_token:
            return "stop_token";
        case FinishReason::stop_string:
            return "stop_string";
        case FinishReason::length:
            return "length";
        case FinishReason::none:
            break;
    }
    return "none";
}

double peak_memory_mb() {
    // Not ru_maxrss: that is inherited from the process that started this one.
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + sizeof("VmHWM:") - 1, nullptr) / 1024.0;
    return 0;
}

std::string Result::to_json() const {
    json::Writer writer;
    writer.begin_object();
    if (images.size() == 1)
        writer.member("image", images.front());
    else if (images.empty())
        writer.member("image", nullptr);
    else {
        writer.key("image").begin_array();
        for (const auto& image : images) writer.value(image);
        writer.end_array();
    }
    writer.member("text", text);
    if (answers.size() == 1) writer.member("finish_reason", finish_reason_name(answers.front().finish));
    if (answers.size() == 1 && answers.front().confidence >= 0) writer.member("confidence", answers.front().confidence);
    const auto members = json::Document::from_text(extra, "post-processor output");
    for (const auto& [key, value] : members.root().members()) writer.key(key).raw(value.dump());
    if (!budget.empty()) writer.key("budget").raw(budget);
    writer.key("timings_ms").begin_object();
    for (const auto& [stage, ms] : timings_ms) writer.member(stage, ms);
    writer.end_object();
    writer.key("tokens").begin_object();
    writer.member("visual", tokens.visual).member("text", tokens.text).member("generated", tokens.generated);
    if (tokens.merged > 0) writer.member("merged", tokens.merged);
    if (tokens.pruned > 0) writer.member("pruned", tokens.pruned);
    if (tokens.reused > 0) writer.member("reused", tokens.reused);
    if (tokens.guesses.proposed > 0)
        writer.member("proposed", tokens.guesses.proposed).member("accepted", tokens.guesses.accepted);
    writer.member("kv_bytes", tokens.kv_bytes);
    writer.end_object();
    writer.member("peak_mb", peak_memory_mb());
    writer.end_object();
    return writer.take();
}

}  // namespace vlm
