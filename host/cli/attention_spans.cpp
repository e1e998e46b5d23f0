/** @file attention_spans.cpp
 *  See attention_spans.hpp.
 */
#include "host/cli/attention_spans.hpp"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

namespace vlm::cli {
namespace {

using nlohmann::ordered_json;

bool blank(char letter) {
    return std::isspace(static_cast<unsigned char>(letter)) != 0;
}

std::string text_of(const Answer& answer, size_t begin, size_t end) {
    const auto from = static_cast<size_t>(answer.tokens[begin].text_begin);
    const auto to = static_cast<size_t>(answer.tokens[end - 1].text_end);
    return from < to && to <= answer.text.size() ? answer.text.substr(from, to - from) : answer.tokens[begin].piece;
}

std::vector<AttentionSpan> token_spans(const Answer& answer, bool words) {
    std::vector<AttentionSpan> spans;
    for (size_t t = 0; t < answer.tokens.size(); ++t) {
        const std::string text = text_of(answer, t, t + 1);
        const bool joins = words && !spans.empty() && !text.empty() && !blank(text.front()) &&
                           !spans.back().label.empty() && !blank(spans.back().label.back());
        if (joins)
            spans.back().end = t + 1;
        else
            spans.push_back({"", t, t + 1});
        spans.back().label = text_of(answer, spans.back().begin, spans.back().end);
    }
    return spans;
}

/** The fields of the medicines of a result that stand word by word in `answer`. */
std::vector<AttentionSpan> field_spans(const Answer& answer, const ordered_json& extra) {
    std::vector<AttentionSpan> spans;
    if (!extra.contains("drugs")) return spans;
    for (const auto& drug : extra["drugs"]) {
        const auto box = drug.value("box", ordered_json());
        const bool elsewhere = box.is_array() && box.get<std::vector<float>>() !=
                                                     std::vector<float>(answer.region.begin(), answer.region.end());
        if (elsewhere || (drug["image"].is_number() && drug["image"] != answer.image)) continue;
        for (const char* field : {"printed", "also_printed", "printed_dosage"}) {
            if (!drug.contains(field) || !drug[field].is_string()) continue;
            const auto text = drug[field].get<std::string>();
            const size_t at = text.empty() ? std::string::npos : answer.text.find(text);
            if (at == std::string::npos) continue;
            AttentionSpan span{std::string(field) + ": " + text, answer.tokens.size(), 0};
            for (size_t t = 0; t < answer.tokens.size(); ++t) {
                const auto& token = answer.tokens[t];
                if (static_cast<size_t>(token.text_end) <= at ||
                    static_cast<size_t>(token.text_begin) >= at + text.size())
                    continue;
                span.begin = std::min(span.begin, t);
                span.end = t + 1;
            }
            if (span.begin < span.end) spans.push_back(std::move(span));
        }
    }
    return spans;
}

}  // namespace

std::vector<AttentionSpan> attention_spans(const Answer& answer, const ordered_json& extra, const std::string& per) {
    if (per == "token" || per == "word") return token_spans(answer, per == "word");
    auto spans = field_spans(answer, extra);
    // Beside rows with medicines, the other rows of a page have nothing to show.
    const bool fields_only = per == "field" || !extra.value("drugs", ordered_json::array()).empty();
    return spans.empty() && !fields_only ? token_spans(answer, false) : spans;
}

}  // namespace vlm::cli
