/** @file main.cpp
 *  `vlmhost`: picks the command. What is no command is the main job's.
 */
#include <cstdio>
#include <exception>
#include <map>

#include "host/base/error.hpp"
#include "host/cli/command.hpp"
#include "host/services/run.hpp"

int main(int argc, char** argv) {
    using namespace vlm::cli;
    static const std::map<std::string, int (*)(const Arguments&)> commands = {
        {"run", run_command},           {"plugins", plugins_command}, {"check", check_command},
        {"bench", bench_command},       {"parity", parity_command},   {"new-plugin", new_plugin_command},
        {"keygen", keygen_command},     {"sign", sign_command},       {"chat", chat_command},
        {"estimate", estimate_command}, {"verify", verify_command},   {"calibrate", calibrate_command},
        {"quality", quality_command},
    };
    try {
        Arguments arguments(argv + 1, argv + argc);
        const auto command = arguments.empty() ? commands.end() : commands.find(arguments.front());
        if (command == commands.end()) return run_command(arguments);
        arguments.erase(arguments.begin());
        return command->second(arguments);
    } catch (const vlm::Error& error) {
        if (error.code() == VLM_STATUS_CANCELLED) {
            std::fputs("cancelled\n", stderr);
            return kCancelled;
        }
        std::fprintf(stderr, "error: %s\n", error.what());
        return kFailure;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return kFailure;
    }
}
