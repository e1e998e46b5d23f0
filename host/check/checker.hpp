/** @file checker.hpp
 *  Tries the rules of docs/abi.md on a plugin, each in a child process of its own.
 */
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "host/check/subject.hpp"

namespace vlm {

/** What was found about one rule. */
struct RuleResult {
    std::string id;
    std::string title;
    Verdict verdict;
};

/** Ids and titles of all rules that can be checked, in order. */
std::vector<std::pair<std::string, std::string>> checkable_rules();

/** Checks; `seen` (may be empty) hears of each result as it comes. Throws NOT_FOUND when the library does not exist and
 * INVALID_ARGUMENT for an unknown rule in `only`. Call it while this process has one thread. */
std::vector<RuleResult> check_plugin(const CheckOptions& options,
                                     const std::function<void(const RuleResult&)>& seen = {});

}  // namespace vlm
