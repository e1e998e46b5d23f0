/** @file rules.hpp
 *  The contract of docs/abi.md as functions: each tries one rule on a plugin and throws RuleBroken when it is broken.
 *  They run inside a child process and may leave anything behind.
 */
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "host/check/subject.hpp"

namespace vlm {

/** One rule that can be tried. */
struct Rule {
    std::string id;     ///< "VLM-P-01".
    std::string title;  ///< One clause, as in docs/abi.md.
    std::function<void(const CheckOptions& options)> check;
};

/** What VLM-P-26 is called. */
constexpr const char* kIsolationRule = "VLM-P-26";
constexpr const char* kIsolationTitle = "works the same in a process of its own, which opens no files";

/** The plugin of `options` in a process of its own, set in a copy of them. Throws NotCheckable where this system cannot
 * isolate, RuleBroken when the plugin cannot be opened so. */
CheckOptions isolated(const CheckOptions& options, const std::string& kind);

class Trial;
/** Calls that could have failed, by what was called. */
using Tried = std::map<std::string, int>;
/** Loads components over and over, each time with another call of a service failing, and runs those that load all the
 * same on `draw`, for which a sound one gives `bytes`. Throws RuleBroken. */
Tried fails_well_in_load(const CheckOptions& options, const std::function<std::unique_ptr<Trial>(const Subject&)>& make,
                         uint64_t draw, const std::vector<char>& bytes);
/** Runs `trial`, made with CheckOptions::watched, on the one of `draws` that calls `service` most, each time with
 * another call failing. The number of these calls; 0: there was nothing to try. Throws RuleBroken. */
int fails_well_with(HostService service, Trial& trial, const std::vector<uint64_t>& draws);

/** Rules about the library, its entry, its identity and its tables. */
std::vector<Rule> entry_rules();
/** Rules about making, describing and destroying components of any kind. */
std::vector<Rule> component_rules();
/** Rules about running, tried on all kinds. */
std::vector<Rule> run_rules();
/** Rules about token reducers alone. */
std::vector<Rule> reducer_rules();

}  // namespace vlm
