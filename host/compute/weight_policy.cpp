/** @file weight_policy.cpp
 *  See weight_policy.hpp.
 */
#include "host/compute/weight_policy.hpp"

#include <algorithm>
#include <array>

#include "host/base/error.hpp"

namespace vlm {

WeightRule parse_weight_rule(const std::string& text) {
    static constexpr std::array<std::string_view, 6> types = {"f32", "f16", "bf16", "int8", "int4", "fp8"};
    const size_t at = text.rfind('=');
    if (at == std::string::npos || at == 0)
        throw invalid_argument("weights_of \"" + text + "\": expected PATTERN=TYPE, such as backbone/layers.0.*=int8");
    WeightRule rule{text.substr(0, at), text.substr(at + 1)};
    if (std::find(types.begin(), types.end(), rule.type) == types.end())
        throw invalid_argument("weights_of \"" + text + "\": type \"" + rule.type +
                               "\" is unknown; known are f32, f16, bf16, int8, int4, fp8");
    return rule;
}

bool matches_pattern(std::string_view name, std::string_view pattern) noexcept {
    size_t n = 0, p = 0, star = std::string_view::npos, resume = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = n;
        } else if (p < pattern.size() && pattern[p] == name[n]) {
            ++p;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

const std::string* find_weight_type(const std::vector<WeightRule>& rules, std::string_view name) noexcept {
    for (const WeightRule& rule : rules)
        if (matches_pattern(name, rule.pattern)) return &rule.type;
    return nullptr;
}

}  // namespace vlm
