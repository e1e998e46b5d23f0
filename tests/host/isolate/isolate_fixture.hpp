/** @file isolate_fixture.hpp
 *  Plugins in processes of their own, for the tests of isolation.
 */
#pragma once
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "host/isolate/isolated_plugin.hpp"

namespace vlm::isolate {

class Isolate : public testing::Test {
  protected:
    Isolate() { setenv("VLM_PLUGIN_HOST", VLM_BINARY_DIR "/vlm-plugin-host", 1); }
    ~Isolate() override { unsetenv("VLM_PLUGIN_HOST"); }

    static std::shared_ptr<const Plugin> torture(const std::string& name, const std::shared_ptr<SharedArena>& arena,
                                                 std::chrono::milliseconds time_limit = std::chrono::seconds(60),
                                                 uint64_t memory_limit = 0) {
        IsolateOptions options;
        options.arena = arena;
        options.device = {"f32", "f32", 1};
        options.time_limit = time_limit;
        options.memory_limit = memory_limit;
        return IsolatedPlugin::open(std::string(VLM_BINARY_DIR) + "/torture/" + name + ".so", options);
    }
    static size_t open_files() {
        size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
            count += entry.path().empty() ? 0 : 1;
        return count;
    }
    /** Children that have not ended; who has is left for the host to wait for. */
    static bool has_running_children() {
        siginfo_t ended{};
        return waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
    }
    /** Children that run, or that nobody has waited for. */
    static bool has_children() { return waitpid(-1, nullptr, WNOHANG | __WALL) >= 0; }
};

}  // namespace vlm::isolate
