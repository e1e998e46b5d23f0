/** @file checkpoint_test.cpp
 *  Which of several files of a checkpoint counts.
 */
#include "host/pipeline/checkpoint.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace vlm {
namespace {

class CheckpointFiles : public testing::Test {
  protected:
    CheckpointFiles() { std::filesystem::create_directories(folder_); }
    ~CheckpointFiles() override { std::filesystem::remove_all(folder_); }
    void write(const char* name, const char* text) const { std::ofstream(folder_ / name) << text; }
    Checkpoint open() const {
        write("config.json", R"({"model_type": "x"})");
        return Checkpoint(folder_);
    }
    // Tests of one program run side by side in processes of their own.
    const std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("vlm_checkpoint_test_" + std::to_string(getpid()));
};

TEST_F(CheckpointFiles, TheProcessorsOfTransformers5CountBeforeTheOlderFile) {
    EXPECT_EQ(open().preprocessor(), "{}");
    write("preprocessor_config.json", R"({"size": 1})");
    EXPECT_EQ(open().preprocessor(), R"({"size":1})");
    write("processor_config.json", R"({"patch_size": 14})");  // of 4.x: says nothing about pictures
    EXPECT_EQ(open().preprocessor(), R"({"size":1})");
    write("processor_config.json", R"({"image_processor": {"size": 2}})");
    EXPECT_EQ(open().preprocessor(), R"({"size":2})");
}

}  // namespace
}  // namespace vlm
