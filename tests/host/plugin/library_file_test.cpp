/** @file library_file_test.cpp
 *  A whole plugin passes; every shorter copy of it is refused before the system's loader maps it.
 */
#include "host/plugin/library_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "host/base/error.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

class LibraryFile : public ::testing::Test {
  protected:
    void SetUp() override {
        std::ifstream in(fs::path(VLM_BINARY_DIR) / "torture/sound_plugin.so", std::ios::binary);
        whole_.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
        ASSERT_GT(whole_.size(), 1000U);
        file_ = fs::path(testing::TempDir()) / ("vlm_library_" + std::to_string(getpid()) + ".so");
    }
    void TearDown() override { fs::remove(file_); }
    void write(const std::string& content) const { std::ofstream(file_, std::ios::binary) << content; }
    std::string whole_;
    fs::path file_;
};

TEST_F(LibraryFile, AWholeOnePasses) {
    write(whole_);
    EXPECT_NO_THROW(check_library_file(file_, file_));
}

TEST_F(LibraryFile, WhatIsNoLibraryIsLeftToTheLoader) {
    write("");
    EXPECT_NO_THROW(check_library_file(file_, file_));
    write("just a text that is longer than the header of a library, which has sixty-four bytes");
    EXPECT_NO_THROW(check_library_file(file_, file_));
}

TEST_F(LibraryFile, CutOnesAreRefused) {
    for (const size_t size : {size_t{5}, size_t{63}, size_t{64}, size_t{200}, whole_.size() / 8}) {
        write(whole_.substr(0, size));
        try {
            check_library_file(file_, "plugin.so");
            ADD_FAILURE() << size << " bytes of " << whole_.size() << " passed";
        } catch (const Error& error) {
            EXPECT_NE(std::string(error.what()).find("plugin.so"), std::string::npos) << error.what();
            EXPECT_NE(std::string(error.what()).find("cut off"), std::string::npos) << error.what();
        }
    }
}

TEST_F(LibraryFile, HeadersThatLieAreRefused) {
    std::string lying = whole_;
    lying[32] = lying[33] = lying[34] = lying[35] = lying[36] = '\xff';  // e_phoff
    write(lying);
    EXPECT_THROW(check_library_file(file_, file_), Error);
}

}  // namespace
}  // namespace vlm
