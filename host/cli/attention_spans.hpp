/** @file attention_spans.hpp
 *  Which tokens of an answer share a picture of attention: one token, a word, or a field of a medicine.
 */
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/pipeline/result.hpp"

namespace vlm::cli {

/** Neighbouring tokens of an answer that share a picture. */
struct AttentionSpan {
    std::string label;
    size_t begin = 0, end = 0;
};

/** The spans of `answer`. `per`: "token", "word", "field" (those of the medicines in `extra`, the result's JSON, that
 * stand word by word in this answer), or "auto": fields where the result has any, else tokens. */
std::vector<AttentionSpan> attention_spans(const Answer& answer, const nlohmann::ordered_json& extra,
                                           const std::string& per);

}  // namespace vlm::cli
