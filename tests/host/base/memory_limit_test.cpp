/** @file memory_limit_test.cpp
 *  The files of a machine are written into a folder; RLIMIT_AS is tried in a child, since it cannot be raised again.
 */
#include "host/base/memory_limit.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

namespace vlm {
namespace {

namespace fs = std::filesystem;

class MemoryLimitTest : public ::testing::Test {
  protected:
    void SetUp() override { root_ = fs::path(testing::TempDir()) / ("vlm_memory_" + std::to_string(getpid())); }
    void TearDown() override { fs::remove_all(root_); }
    void write(const std::string& name, const std::string& text) const {
        fs::create_directories((root_ / name).parent_path());
        std::ofstream(root_ / name) << text;
    }
    fs::path root_;
};

TEST_F(MemoryLimitTest, NothingReadableLimitsNothing) {
    EXPECT_EQ(available_memory(root_).bytes, INT64_MAX);
    EXPECT_EQ(available_memory(root_).source, "");
}

TEST_F(MemoryLimitTest, TheMachineHasWhatIsAvailable) {
    write("proc/meminfo", "MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:    2000 kB\n");
    EXPECT_EQ(available_memory(root_).bytes, 2000 * 1024);
    EXPECT_NE(available_memory(root_).source.find("MemAvailable"), std::string::npos);
}

TEST_F(MemoryLimitTest, TheTightestGroupCounts) {
    write("proc/meminfo", "MemAvailable: 2000000 kB\n");
    write("proc/self/cgroup", "0::/user/job\n");
    write("sys/fs/cgroup/user/job/memory.max", "max\n");
    write("sys/fs/cgroup/user/job/memory.current", "5\n");
    write("sys/fs/cgroup/user/memory.max", "100000\n");
    write("sys/fs/cgroup/user/memory.current", "70000\n");
    write("sys/fs/cgroup/user/memory.stat", "anon 1\ninactive_file 10000\nactive_file 500\n");
    const auto limit = available_memory(root_);
    EXPECT_EQ(limit.bytes, 100000 - (70000 - 10500));
    EXPECT_NE(limit.source.find("user/memory.max"), std::string::npos) << limit.source;
}

TEST_F(MemoryLimitTest, TheFirstVersionOfGroupsCounts) {
    write("proc/self/cgroup", "11:cpu,cpuacct:/x\n4:memory:/docker/abc\n");
    // A container sees its own group at the mount, under no path.
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "6000\n");
    write("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 100\n");
    EXPECT_EQ(available_memory(root_).bytes, 0);
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "4000\n");
    EXPECT_EQ(available_memory(root_).bytes, 1100);
}

TEST(MemoryLimit, AddressSpaceCounts) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        // Far above what a sanitizer reserves, so that the child itself can go on.
        constexpr rlim_t kMost = rlim_t{1} << 46;
        const rlimit most{kMost, kMost};
        if (setrlimit(RLIMIT_AS, &most) != 0) _exit(2);
        fs::path root = fs::path(testing::TempDir()) / ("vlm_memory_as_" + std::to_string(getpid()));
        fs::create_directories(root / "proc/self");
        std::ofstream(root / "proc/self/statm") << "100 1 1\n";
        const auto limit = available_memory(root);
        fs::remove_all(root);
        const bool right = limit.bytes == static_cast<int64_t>(kMost) - 100 * sysconf(_SC_PAGESIZE) &&
                           limit.source.find("RLIMIT_AS") != std::string::npos;
        _exit(right ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(MemoryLimit, ThisMachineHasSome) {
    EXPECT_GT(available_memory().bytes, 0);
}

}  // namespace
}  // namespace vlm
