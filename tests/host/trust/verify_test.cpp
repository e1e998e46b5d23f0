/** @file verify_test.cpp
 *  What happens to a plugin between its vendor and its host: nothing, or something that must be seen before any of its
 * code runs.
 */
#include "host/trust/verify.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>

#include "host/base/log.hpp"
#include "host/plugin/registry.hpp"
#include "tests/host/trust/trust_test.hpp"

namespace vlm {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kMark = "VLM_TORTURE_MARK";

class Verify : public SignedPlugin {
  protected:
    Verify() { policy_.keys = {key_.public_key()}; }

    /** The plugin must be refused with `message`, and not one instruction of it may have run. */
    void expect_refused(const std::string& message) {
        policy_.mode = TrustMode::require;
        unsetenv(kMark);
        try {
            Plugin::open(library_, {}, policy_);
            ADD_FAILURE() << "was loaded";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_UNAUTHENTICATED) << error.what();
            EXPECT_THAT(error.what(), HasSubstr(message));
            EXPECT_THAT(error.what(), HasSubstr(library_.string()));
        }
        EXPECT_EQ(getenv(kMark), nullptr) << "code of the refused plugin has run";
    }
    TrustPolicy policy_;
};

TEST_F(Verify, ASignedPluginIsLoaded) {
    policy_.mode = TrustMode::require;
    unsetenv(kMark);
    const auto found = verify_plugin(library_, policy_.keys);
    EXPECT_THAT(found.faults, testing::IsEmpty());
    ASSERT_TRUE(found.signer);
    EXPECT_EQ(found.signer->comment, "Example Ltd");
    EXPECT_EQ(getenv(kMark), nullptr);
    EXPECT_EQ(Plugin::open(library_, {}, policy_)->id(), "org.vlmhost.torture");
    EXPECT_NE(getenv(kMark), nullptr);
    EXPECT_EQ(Plugin::open(library_, {}, policy_)->path(), library_);
    EXPECT_EQ(find_plugin({folder_}, "org.vlmhost.torture", policy_)->vendor(), "VLM host SDK");
}

TEST_F(Verify, ATamperedLibraryIsRefused) {
    std::string bytes = read(library_);
    bytes[bytes.size() / 2] ^= 1;
    write(library_, bytes);
    expect_refused("the library was changed or replaced");
}

TEST_F(Verify, ATamperedManifestIsRefused) {
    sidecar_.vendor = "Somebody Else";
    write(sidecar_path(library_), sidecar_.text());
    expect_refused("does not fit the manifest");
}

TEST_F(Verify, AReplacedPairOfLibraryAndManifestIsRefused) {
    fs::copy_file(torture("sound_plugin"), library_, fs::copy_options::overwrite_existing);
    sidecar_.library_sha256 = sha256_of_file(library_);
    write(sidecar_path(library_), sidecar_.text());
    expect_refused("does not fit the manifest");
}

TEST_F(Verify, AnUnknownKeyIsRefused) {
    policy_.keys = {SecretKey::generate("another").public_key()};
    expect_refused("which this host does not know");
    policy_.keys.clear();
    expect_refused("it knows 0 keys");
}

TEST_F(Verify, AForeignSignatureUnderAKnownIdIsRefused) {
    const auto other = SecretKey::generate("");
    write(signature_path(library_), SignatureFile{key_.public_key().id(), other.sign(sidecar_.text())}.text());
    expect_refused("does not fit the manifest");
}

TEST_F(Verify, MissingOrBrokenFilesAreRefused) {
    fs::remove(signature_path(library_));
    expect_refused("libvlm_torture.so.json.sig: no such file");
    fs::remove(sidecar_path(library_));
    expect_refused("libvlm_torture.so.json: no such file");
    fs::create_directory(sidecar_path(library_));
    expect_refused("is not a file");
    fs::remove(sidecar_path(library_));
    write(sidecar_path(library_), "{\"schema\": \"vlm-plugin/1\"");
    write(signature_path(library_), "");
    expect_refused("libvlm_torture.so.json");
    write(sidecar_path(library_), std::string((size_t{1} << 20) + 1, ' '));
    expect_refused("larger than 1 MiB");
}

TEST_F(Verify, ManifestsOfOtherPlacesAreRefused) {
    sidecar_.platform = "plan9-m68k";
    sign();
    expect_refused("is for platform plan9-m68k");
    sidecar_.platform = this_platform();
    sidecar_.abi_min = sidecar_.abi_max = VLM_ABI_VERSION + 7;
    sign();
    expect_refused("speaks ABI versions");
}

TEST_F(Verify, ASignedManifestOfAnotherPluginIsRefused) {
    sidecar_.id = "com.example.other";
    sign();
    policy_.mode = TrustMode::require;
    EXPECT_THROW(Plugin::open(library_, {}, policy_), Error);  // its own vendor's code has been asked who it is
}

TEST_F(Verify, WeightsBelongToThePlugin) {
    write(folder_ / "w.safetensors", "weights");
    sidecar_.weights = {{"w.safetensors", sha256_of_file(folder_ / "w.safetensors")}};
    sign();
    EXPECT_THAT(verify_plugin(library_, policy_.keys).faults, testing::IsEmpty());
    write(folder_ / "w.safetensors", "Weights");
    expect_refused("w.safetensors: is not the file that was signed");
    fs::remove(folder_ / "w.safetensors");
    expect_refused("w.safetensors: cannot be opened");
    sidecar_.weights = {{"../w.safetensors", sidecar_.library_sha256}};
    sign();
    expect_refused("stay in its folder");
}

TEST_F(Verify, WhatIsLoadedIsWhatWasChecked) {
    auto found = verify_plugin(library_, policy_.keys);
    ASSERT_THAT(found.faults, testing::IsEmpty());
    // Between check and load somebody writes into the file, and then puts another in its place.
    const std::string original = read(library_);
    write(library_, std::string(original.size(), 'x'));
    EXPECT_EQ(read(found.library.path()), original);
    fs::copy_file(torture("no_id"), library_, fs::copy_options::overwrite_existing);
    EXPECT_EQ(read(found.library.path()), original);
    const int again = open(found.library.path().c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_LT(::write(again, "x", 1), 0) << "the checked bytes can be written to";
    close(again);
    EXPECT_LT(ftruncate(found.library.descriptor(), 0), 0);
    void* library = dlopen(found.library.path().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    EXPECT_NE(dlsym(library, "vlm_plugin_entry"), nullptr);
}

TEST_F(Verify, WhatCannotBeReadIsRefused) {
    const uid_t me = geteuid();
    fs::permissions(library_, fs::perms::none);
    constexpr uid_t kNobody = 65534;
    if (me == 0) {
        ASSERT_EQ(seteuid(kNobody), 0);
    }
    EXPECT_THROW(verify_plugin(library_, policy_.keys), Error);
    if (me == 0) {
        ASSERT_EQ(seteuid(me), 0);
    }
    fs::permissions(library_, fs::perms::owner_all);
    fs::remove(library_);
    ASSERT_EQ(mkfifo(library_.c_str(), S_IRUSR | S_IWUSR), 0);
    EXPECT_THROW(verify_plugin(library_, policy_.keys), Error);  // and does not wait for a writer
    EXPECT_THROW(verify_plugin(folder_, policy_.keys), Error);
    EXPECT_THROW(verify_plugin(folder_ / "nothing", policy_.keys), Error);
}

TEST_F(Verify, WarningsAreLoggedAndThePluginRuns) {
    std::string log;
    set_log_sink([&](int, std::string_view, std::string_view text) { log += text; });
    fs::remove(signature_path(library_));
    policy_.mode = TrustMode::warn;
    EXPECT_EQ(Plugin::open(library_, {}, policy_)->id(), "org.vlmhost.torture");
    EXPECT_THAT(log, HasSubstr("is not trusted"));
    log.clear();
    policy_.mode = TrustMode::off;
    EXPECT_EQ(Plugin::open(library_, {}, policy_)->id(), "org.vlmhost.torture");
    EXPECT_EQ(log, "");
    set_log_sink({});
}

TEST_F(Verify, TheSearchSaysWhatItRefused) {
    set_log_sink([](int, std::string_view, std::string_view) {});
    fs::remove(signature_path(library_));
    policy_.mode = TrustMode::require;
    try {
        find_plugin({folder_}, "org.vlmhost.torture", policy_);
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_UNAUTHENTICATED);
        EXPECT_THAT(error.what(), HasSubstr("libvlm_torture.so.json.sig: no such file"));
    }
    set_log_sink({});
}

}  // namespace
}  // namespace vlm
