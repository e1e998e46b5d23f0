/** @file elf_test.cpp
 *  Reading symbols from libraries, and from files that only look like libraries.
 */
#include "host/check/elf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>

#include "host/base/error.hpp"

namespace {

namespace fs = std::filesystem;

const fs::path kSound = fs::path(VLM_BINARY_DIR) / "torture" / "sound_plugin.so";

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/** A file that goes away. */
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string& content)
        : path_(fs::temp_directory_path() / ("vlm_elf_" + std::to_string(getpid()))) {
        std::ofstream(path_, std::ios::binary) << content;
    }
    ~TemporaryFile() { fs::remove(path_); }
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

TEST(Elf, ListsWhatALibraryShows) {
    EXPECT_THAT(vlm::exported_symbols(kSound), testing::Contains("vlm_plugin_entry"));
    EXPECT_THAT(vlm::exported_symbols(kSound), testing::Not(testing::Contains("malloc")));
    EXPECT_THAT(vlm::exported_symbols(kSound.parent_path() / "extra_symbol.so"),
                testing::IsSupersetOf({"helper_of_the_plugin", "vlm_plugin_entry"}));
    EXPECT_THAT(vlm::imported_symbols(kSound), testing::Contains("malloc"));
    EXPECT_THAT(vlm::imported_symbols(kSound), testing::Not(testing::Contains("vlm_plugin_entry")));
}

TEST(Elf, RefusesOtherFiles) {
    for (const std::string& content : {std::string(), std::string("text"), std::string(64, '\0'),
                                       std::string("\x7F"
                                                   "ELF",
                                                   4) +
                                           std::string(60, '\x01')}) {
        const TemporaryFile file(content);
        EXPECT_THROW(vlm::exported_symbols(file.path()), vlm::Error) << content.size();
    }
    EXPECT_THROW(vlm::exported_symbols("/no/such/file.so"), vlm::Error);
    EXPECT_THROW(vlm::exported_symbols(fs::temp_directory_path()), vlm::Error);
}

TEST(Elf, NeverReadsOutsideADamagedFile) {
    const std::string sound = read(kSound);
    std::mt19937 random(7);
    constexpr int kDamages = 60;
    for (int i = 0; i < kDamages; ++i) {
        std::string damaged = sound;
        if (i % 2 == 0) damaged.resize(random() % damaged.size());
        for (int k = 0; k < 20 && !damaged.empty(); ++k)
            damaged[random() % std::min<size_t>(damaged.size(), k < 10 ? 64 : damaged.size())] =
                static_cast<char>(random());
        const TemporaryFile file(damaged);
        try {
            vlm::exported_symbols(file.path());
        } catch (const vlm::Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        }
    }
}

}  // namespace
