/** @file packed_cache_test.cpp
 *  A cache may only ever save time: whatever is wrong with its file, the blobs that it gives are the ones that went in.
 */
#include "host/weights/packed_cache.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <numeric>

#include "host/bench/random_checkpoint.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<unsigned char>;

class PackedCacheTest : public ::testing::Test {
  protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("vlm_packed_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        a_.resize(100'000);
        std::iota(a_.begin(), a_.end(), static_cast<unsigned char>(1));
        b_.assign(3, 7);
    }
    void TearDown() override { fs::remove_all(folder_); }

    void write(const std::string& use = "l", const std::string& origin = "w") {
        PackedCache cache(folder_, {use, origin}, 1000);
        EXPECT_FALSE(cache.reading());
        EXPECT_EQ(cache.next("a", a_.size()), nullptr);
        cache.add("a", a_.data(), a_.size());
        EXPECT_EQ(cache.next("b", b_.size()), nullptr);
        cache.add("b", b_.data(), b_.size());
        EXPECT_FALSE(fs::exists(cache.file())) << "visible before it is whole";
        cache.finish();
        EXPECT_TRUE(fs::exists(cache.file()));
        file_ = cache.file();
    }
    static bool same(const std::byte* data, const Bytes& bytes) {
        return data != nullptr && std::memcmp(data, bytes.data(), bytes.size()) == 0;
    }
    size_t files() const {
        return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
    }
    void change_byte(uint64_t at) const {
        std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(static_cast<std::streamoff>(at));
        const auto byte = static_cast<char>(file.get() ^ 0x40);
        file.seekp(static_cast<std::streamoff>(at));
        file.put(byte);
    }

    fs::path folder_, file_;
    Bytes a_, b_;
};

TEST_F(PackedCacheTest, GivesBackWhatWentIn) {
    write();
    PackedCache cache(folder_, {"l", "w"}, 1000);
    ASSERT_TRUE(cache.reading());
    const std::byte* a = cache.next("a", a_.size());
    EXPECT_TRUE(same(a, a_));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 64, 0u);
    EXPECT_TRUE(same(cache.next("b", b_.size()), b_));
    cache.finish();
    EXPECT_EQ(files(), 1u);
}

TEST_F(PackedCacheTest, AFileForEveryUse) {
    write();
    EXPECT_FALSE(PackedCache(folder_, {"int4", "w"}, 1000).reading());
    EXPECT_EQ(files(), 1u) << "loads that ended early leave nothing";
    write("int4");
    EXPECT_EQ(files(), 2u);
    EXPECT_TRUE(PackedCache(folder_, {"l", "w"}, 1000).reading());
    EXPECT_TRUE(PackedCache(folder_, {"int4", "w"}, 1000).reading());
}

TEST_F(PackedCacheTest, AnotherOriginReplacesTheFile) {
    write();
    write("l", "newer");
    EXPECT_EQ(files(), 1u) << "upgrades do not pile up gigabytes";
    EXPECT_TRUE(PackedCache(folder_, {"l", "newer"}, 1000).reading());
    EXPECT_FALSE(PackedCache(folder_, {"l", "w"}, 1000).reading());
    EXPECT_EQ(files(), 0u) << "what is outdated makes room before packing begins";
}

TEST_F(PackedCacheTest, CutFilesAreIgnored) {
    write();
    const auto size = fs::file_size(file_);
    for (const uint64_t left : {size - 1, size / 2, uint64_t{4096}, uint64_t{40}, uint64_t{0}}) {
        fs::resize_file(file_, left);
        EXPECT_FALSE(PackedCache(folder_, {"l", "w"}, 1000).reading()) << left;
        write();
    }
}

TEST_F(PackedCacheTest, AnyChangedByteIsNoticed) {
    write();
    const uint64_t size = fs::file_size(file_);
    const Bytes good = [&] {
        std::ifstream in(file_, std::ios::binary);
        return Bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    }();
    for (uint64_t at = 0; at < size; at += 997) {
        std::ofstream(file_, std::ios::binary).write(reinterpret_cast<const char*>(good.data()), good.size());
        change_byte(at);
        PackedCache cache(folder_, {"l", "w"}, 1000);
        if (!cache.reading()) continue;
        const std::byte* a = cache.next("a", a_.size());
        EXPECT_TRUE(a == nullptr || same(a, a_)) << at;
        const std::byte* b = cache.next("b", b_.size());
        EXPECT_TRUE(b == nullptr || same(b, b_)) << at;
        EXPECT_TRUE(a != nullptr || b == nullptr) << "nothing is taken behind a damaged blob";
    }
}

TEST_F(PackedCacheTest, AnotherOrderIsNoticed) {
    write();
    PackedCache cache(folder_, {"l", "w"}, 1000);
    EXPECT_EQ(cache.next("b", b_.size()), nullptr);
    EXPECT_EQ(cache.next("a", a_.size()), nullptr);
    EXPECT_FALSE(fs::exists(file_)) << "packed anew at the next start";
    write();
    PackedCache longer(folder_, {"l", "w"}, 1000);
    EXPECT_NE(longer.next("a", a_.size()), nullptr);
    EXPECT_NE(longer.next("b", b_.size()), nullptr);
    EXPECT_EQ(longer.next("c", 5), nullptr);
}

TEST_F(PackedCacheTest, AFolderThatCannotBeIsNoError) {
    std::ofstream(folder_.string() + "_file") << "x";
    PackedCache cache(fs::path(folder_.string() + "_file") / "below", {"l", "w"}, 1000);
    EXPECT_EQ(cache.next("a", 1), nullptr);
    cache.add("a", a_.data(), a_.size());
    cache.finish();
    EXPECT_FALSE(cache.reading());
    fs::remove(folder_.string() + "_file");
    PackedCache huge(folder_, {"l", "w"}, uint64_t{1} << 60);
    huge.add("a", a_.data(), a_.size());
    huge.finish();
    EXPECT_FALSE(fs::exists(huge.file())) << "the disk cannot have that space";
}

TEST_F(PackedCacheTest, TwoWritersDoNotDisturbEachOther) {
    PackedCache first(folder_, {"l", "w"}, 1000);
    first.add("a", a_.data(), a_.size());
    first.finish();
    PackedCache reader(folder_, {"l", "w"}, 1000);
    const std::byte* a = reader.next("a", a_.size());
    fs::remove(first.file());
    PackedCache second(folder_, {"l", "w"}, 1000);
    second.add("a", b_.data(), b_.size());
    second.finish();
    EXPECT_TRUE(same(a, a_)) << "the mapping keeps the old file";
}

TEST_F(PackedCacheTest, FingerprintSeesNumbersAndShapes) {
    const fs::path model = bench::ensure_checkpoint(bench::model_shape("tiny"), folder_);
    const auto time = fs::last_write_time(model / "model.safetensors");
    const std::string before = fingerprint(*WeightStore::open(model));
    EXPECT_EQ(fingerprint(*WeightStore::open(model)), before);
    file_ = model / "model.safetensors";
    change_byte(fs::file_size(file_) - 1);
    fs::last_write_time(file_, time);
    EXPECT_NE(fingerprint(*WeightStore::open(model)), before) << "the last byte is in a sample";
    change_byte(fs::file_size(file_) - 1);
    fs::last_write_time(file_, time);
    EXPECT_EQ(fingerprint(*WeightStore::open(model)), before);
    fs::last_write_time(file_, time + std::chrono::seconds(1));
    EXPECT_NE(fingerprint(*WeightStore::open(model)), before);
}

TEST_F(PackedCacheTest, FolderFollowsTheChoice) {
    fs::create_directories(folder_);
    EXPECT_TRUE(packed_cache_folder("off", folder_).empty());
    const fs::path chosen = packed_cache_folder("/somewhere", folder_);
    EXPECT_EQ(chosen.parent_path(), "/somewhere");
    EXPECT_NE(chosen, packed_cache_folder("/somewhere", folder_ / "other" / folder_.filename()))
        << "two models never replace each other's files";
    EXPECT_EQ(packed_cache_folder("auto", folder_), folder_ / ".vlmhost");
    const fs::path other = packed_cache_folder("auto", "/no/such/model");
    EXPECT_NE(other, packed_cache_folder("auto", "/no/such/other"));
    EXPECT_EQ(other, packed_cache_folder("auto", "/no/such/model"));
}

}  // namespace
}  // namespace vlm
