/** @file bench_start.cpp
 *  Starts this program again to see what starting costs: libraries, files, packing, first pass. Nothing of that can be
 *  measured in a process that has done it already.
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "host/base/error.hpp"
#include "host/cli/bench.hpp"
#include "host/json/document.hpp"

extern char** environ;

namespace vlm::cli {
namespace {

using Clock = std::chrono::steady_clock;

Error failed(const std::string& what) {
    return {VLM_STATUS_UNAVAILABLE, "measuring the start: " + what + "; leave it out with --starts 0"};
}

/** Runs this program and returns what it printed; `ms` becomes the time until it had printed that. */
std::string output_of_self(const Arguments& arguments, double& ms) {
    std::array<int, 2> pipe{};
    if (pipe2(pipe.data(), O_CLOEXEC) != 0) throw failed(std::strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    std::vector<std::string> words = {"vlmhost", "bench"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    words.emplace_back("--first-token");
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_t child = -1;
    const auto begin = Clock::now();
    const int error = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe[1]);
    std::string text;
    if (error == 0) {
        std::array<char, 4096> buffer{};
        while (true) {
            const ssize_t got = read(pipe[0], buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            if (text.empty()) ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
            text.append(buffer.data(), static_cast<size_t>(got));
        }
    }
    close(pipe[0]);
    if (error != 0) throw failed(std::strerror(error));
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw failed("the process failed; its message is above");
    return text;
}

}  // namespace

bench::StartTimes measure_start(const Arguments& arguments, int count) {
    bench::StartTimes times;
    for (int i = 0; i < count; ++i) {
        double ms = 0;
        const auto told = json::Document::from_text(output_of_self(arguments, ms), "output of --first-token");
        times.first_token_ms.add(ms);
        times.compute_ms.add(told["compute_ms"].as_number());
        times.peak_mb.add(told["peak_mb"].as_number());
    }
    return times;
}

}  // namespace vlm::cli
