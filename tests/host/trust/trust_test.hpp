/** @file trust_test.hpp
 *  A folder with a signed plugin in it, for the tests of trust.
 */
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>
#include <vlm/version.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "host/base/error.hpp"
#include "host/trust/keys.hpp"
#include "host/trust/sealed_file.hpp"
#include "host/trust/sidecar.hpp"

namespace vlm {

/** A copy of a torture plugin, its manifest and its signature by `key_`. */
class SignedPlugin : public testing::Test {
  protected:
    SignedPlugin()
        : folder_(std::filesystem::temp_directory_path() /
                  ("vlm_trust_" + std::to_string(getpid()) + "_" +
                   testing::UnitTest::GetInstance()->current_test_info()->name())),
          library_(folder_ / "libvlm_torture.so"),
          key_(SecretKey::generate("Example Ltd")) {
        std::filesystem::create_directories(folder_);
        std::filesystem::copy(torture("marks_its_start"), library_);
        sidecar_.id = "org.vlmhost.torture";
        sidecar_.vendor = "Example Ltd";
        sidecar_.version = "1.0.0";
        sidecar_.license = "Apache-2.0";
        sidecar_.platform = this_platform();
        sidecar_.abi_min = sidecar_.abi_max = VLM_ABI_VERSION;
        sidecar_.library_sha256 = sha256_of_file(library_);
        sign();
    }
    ~SignedPlugin() override { std::filesystem::remove_all(folder_); }

    static std::filesystem::path torture(const std::string& name) {
        return std::filesystem::path(VLM_BINARY_DIR) / "torture" / (name + ".so");
    }
    static void write(const std::filesystem::path& path, const std::string& text) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    }
    static std::string read(const std::filesystem::path& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void sign() {
        write(sidecar_path(library_), sidecar_.text());
        write(signature_path(library_), SignatureFile{key_.public_key().id(), key_.sign(sidecar_.text())}.text());
    }

    std::filesystem::path folder_, library_;
    SecretKey key_;
    Sidecar sidecar_;
};

}  // namespace vlm
