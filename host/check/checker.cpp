/** @file checker.cpp
 *  See checker.hpp.
 */
#include "host/check/checker.hpp"

#include <algorithm>
#include <chrono>

#include "host/base/error.hpp"
#include "host/check/rules.hpp"

namespace vlm {
namespace {

constexpr const char* kSilence = "VLM-P-11";
constexpr const char* kSilenceTitle = "prints nothing";

std::vector<Rule> all_rules() {
    std::vector<Rule> rules = entry_rules();
    for (auto& rule : component_rules()) rules.push_back(rule);
    for (auto& rule : run_rules()) rules.push_back(rule);
    for (auto& rule : reducer_rules()) rules.push_back(rule);
    std::stable_sort(rules.begin(), rules.end(), [](const Rule& a, const Rule& b) { return a.id < b.id; });
    return rules;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> checkable_rules() {
    std::vector<std::pair<std::string, std::string>> names = {{kSilence, kSilenceTitle}};
    for (const auto& rule : all_rules()) names.emplace_back(rule.id, rule.title);
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<RuleResult> check_plugin(const CheckOptions& options, const std::function<void(const RuleResult&)>& seen) {
    if (!std::filesystem::is_regular_file(options.library))
        throw not_found(options.library.string() + ": no such plugin file");
    const auto names = checkable_rules();
    for (const auto& only : options.only)
        if (std::none_of(names.begin(), names.end(), [&](const auto& rule) { return rule.first == only; }))
            throw invalid_argument("there is no rule '" + only + "' to check; the rules are " + names.front().first +
                                   " to " + names.back().first + " (docs/abi.md)");
    const auto wanted = [&](const std::string& id) {
        return options.only.empty() || std::find(options.only.begin(), options.only.end(), id) != options.only.end();
    };

    const auto begin = std::chrono::steady_clock::now();
    /** Milliseconds that the next check may take; 0: none are left. */
    const auto limit = [&]() -> int64_t {
        if (options.total_ms <= 0) return options.limit_ms;
        const auto used =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
        return std::clamp<int64_t>(options.total_ms - used.count(), 0, options.limit_ms);
    };
    std::vector<RuleResult> results;
    // Whoever prints does so anywhere, so silence is judged over all checks.
    RuleResult silence{kSilence, kSilenceTitle, {}};
    for (const auto& rule : all_rules()) {
        if (!wanted(rule.id) && !wanted(kSilence)) continue;
        RuleResult result{rule.id, rule.title, {}};
        if (const int64_t left = limit(); left > 0)
            result.verdict = run_in_child([&] { rule.check(options); }, std::chrono::milliseconds(left));
        else
            result.verdict = {Verdict::Status::skip, "the time limit for all checks was over", {}, 0};
        // What a sanitizer or the C library says about a crash is no print of the plugin.
        if (!result.verdict.output.empty() && result.verdict.message.find("crashed") == std::string::npos &&
            silence.verdict.status == Verdict::Status::pass) {
            silence.verdict.status = Verdict::Status::fail;
            silence.verdict.message = "prints while " + rule.id + " is checked: \"" +
                                      result.verdict.output.substr(0, 200) + "\"; use the host's log";
        }
        if (!wanted(rule.id)) continue;
        if (seen) seen(result);
        results.push_back(std::move(result));
    }
    if (wanted(kSilence)) {
        if (seen) seen(silence);
        results.push_back(std::move(silence));
    }
    return results;
}

}  // namespace vlm
