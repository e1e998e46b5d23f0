/** @file main.cpp
 *  `vlmhost`: picks the command. What is no command is the main job's.
 */
#include <fcntl.h>
#include <vlm/version.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string_view>
#include <system_error>
#include <vector>

#include "host/base/error.hpp"
#include "host/cli/command.hpp"
#include "host/json/nearest_name.hpp"
#include "host/services/run.hpp"

namespace {

/** A standard stream that the caller closed would be the next file that is opened, and results would go into that one.
 */
void hold_standard_streams() {
    for (int stream = 0; stream <= 2; ++stream)
        if (fcntl(stream, F_GETFD) == -1 && open("/dev/null", O_RDONLY | O_CLOEXEC) != stream)
            std::_Exit(vlm::cli::kFailure);
}

/** `status`, or failure when the output of the command did not arrive: a full disk must not look like an answer. */
int delivered(int status) {
    errno = 0;
    if (std::cout.flush() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
    std::fprintf(stderr, "error: standard output cannot be written%s%s\n", errno != 0 ? ": " : "",
                 errno != 0 ? std::generic_category().message(errno).c_str() : "");
    return status == vlm::cli::kSuccess ? vlm::cli::kFailure : status;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace vlm::cli;
    hold_standard_streams();
    static const std::map<std::string, int (*)(const Arguments&)> commands = {
        {"run", run_command},           {"plugins", plugins_command}, {"check", check_command},
        {"bench", bench_command},       {"parity", parity_command},   {"new-plugin", new_plugin_command},
        {"keygen", keygen_command},     {"sign", sign_command},       {"chat", chat_command},
        {"estimate", estimate_command}, {"verify", verify_command},   {"calibrate", calibrate_command},
        {"quality", quality_command},
    };
    try {
        Arguments arguments(argv + 1, argv + argc);
        if (!arguments.empty() && arguments.front() == "--version") {
            std::cout << "vlmhost " VLM_HOST_VERSION ", plugin ABI " << VLM_ABI_VERSION_MIN << " to " << VLM_ABI_VERSION
                      << '\n';
            return delivered(kSuccess);
        }
        const auto command = arguments.empty() ? commands.end() : commands.find(arguments.front());
        if (command == commands.end()) {
            if (!arguments.empty() && !arguments.front().empty() && arguments.front()[0] != '-') {
                std::vector<std::string_view> names;
                for (const auto& known : commands) names.push_back(known.first);
                throw vlm::invalid_argument("there is no command '" + arguments.front() + "'" +
                                            vlm::did_you_mean(arguments.front(), names) + "; see --help");
            }
            return delivered(run_command(arguments));
        }
        arguments.erase(arguments.begin());
        return delivered(command->second(arguments));
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
