/** @file isolation.cpp
 *  VLM-P-26: an operator may isolate any plugin, so one that opens files while it runs, or starts processes, must hear
 * of it from the checker and not from its customer. The plugin is run in a process of its own on the inputs that it has
 * just answered here, and must give the same answers.
 */
#include "host/check/rules.hpp"
#include "host/isolate/isolated_plugin.hpp"

namespace vlm {

CheckOptions isolated(const CheckOptions& options, const std::string& kind) {
    try {
        (void)isolate::plugin_host_program();
    } catch (const Error& error) {
        throw NotCheckable(error.what());
    }
    isolate::IsolateOptions how;
    how.arena = isolate::SharedArena::create();
    how.device = {"f32", "f32", 2};  // as the trials here
    how.stage = kind;
    how.time_limit = std::chrono::milliseconds(options.limit_ms);
    CheckOptions away = options;
    try {
        away.isolated = isolate::IsolatedPlugin::open(options.library, how, TrustPolicy{});
    } catch (const Error& error) {
        throw RuleBroken(error.what());
    }
    return away;
}

}  // namespace vlm
