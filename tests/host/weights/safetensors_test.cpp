/** @file safetensors_test.cpp
 *  Whole checkpoints: one file, shards with and without an index, sets that do not belong together, files that change.
 */
#include "host/weights/safetensors.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <vlm/tensor.h>

#include <cstring>
#include <fstream>
#include <thread>

namespace vlm {
namespace {

namespace fs = std::filesystem;

/** A folder that goes when the test ends. */
class WeightStoreTest : public ::testing::Test {
  protected:
    void SetUp() override {
        const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
        folder_ = fs::temp_directory_path() / ("vlm_weights_" + std::to_string(getpid()) + "_" + info->name());
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    void write(const std::string& name, const std::string& bytes) const {
        std::ofstream(folder_ / name, std::ios::binary) << bytes;
    }

    /** A file of float vectors with two elements each: {index, -index}; the header padded so that data begins at `8·k +
     * shift`. */
    void write_tensors(const std::string& file, const std::vector<std::string>& names, size_t shift = 0) const {
        std::string header = "{";
        std::string data;
        for (size_t i = 0; i < names.size(); ++i) {
            header += (i > 0 ? "," : "") + ("\"" + names[i]) +
                      "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" + std::to_string(8 * i) + "," +
                      std::to_string(8 * i + 8) + "]}";
            const float values[] = {static_cast<float>(i), -static_cast<float>(i)};
            data.append(reinterpret_cast<const char*>(values), sizeof values);
        }
        header += "}";
        while (header.size() % 8 != shift) header += ' ';
        std::string length(8, '\0');
        const uint64_t size = header.size();
        std::memcpy(length.data(), &size, sizeof size);
        write(file, length + header + data);
    }

    std::string refusal(const fs::path& path, vlm_status code) const {
        try {
            (void)WeightStore::open(path);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.what();
            return error.what();
        }
        ADD_FAILURE() << "opened";
        return {};
    }

    void expect_refusal(vlm_status code, const std::string& part) const {
        const std::string message = refusal(folder_, code);
        EXPECT_NE(message.find(part), std::string::npos) << message;
    }

    fs::path folder_;
};

TEST_F(WeightStoreTest, SingleFile) {
    write_tensors("model.safetensors", {"b.weight", "a.weight"});
    write_tensors("expected.safetensors", {"other"});
    for (const fs::path& path : {folder_, folder_ / "model.safetensors"}) {
        const auto store = WeightStore::open(path);
        EXPECT_EQ(store->names(), (std::vector<std::string_view>{"a.weight", "b.weight"}));
        const TensorView& a = store->at("a.weight");
        EXPECT_EQ(a.dtype, VLM_DTYPE_F32);
        EXPECT_EQ(a.shape, (std::vector<int64_t>{2}));
        EXPECT_EQ(a.elements(), 2);
        EXPECT_EQ(static_cast<const float*>(a.data)[1], -1.0F);
        EXPECT_EQ(store->total_bytes(), 16U);
        EXPECT_EQ(store->find("c"), nullptr);
    }
}

TEST_F(WeightStoreTest, UnusedTensorsCanBeListed) {
    write_tensors("model.safetensors", {"a", "b", "c"});
    const auto store = WeightStore::open(folder_);
    EXPECT_TRUE(store->contains("a"));
    EXPECT_EQ(store->unused().size(), 3U) << "contains is no use";
    (void)store->find("b");
    (void)store->find("nothing");
    EXPECT_EQ(store->unused(), (std::vector<std::string_view>{"a", "c"}));
}

TEST_F(WeightStoreTest, MissingTensorNamesTheNearest) {
    write_tensors("model.safetensors", {"model.vision_tower.encoder.layers.0.norm.weight", "lm_head.weight"});
    const auto store = WeightStore::open(folder_);
    const auto message = [&](const char* name) {
        try {
            (void)store->at(name);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_NOT_FOUND);
            return std::string(error.what());
        }
        return std::string("found");
    };
    const std::string layer = "nearest names: \"model.vision_tower.encoder.layers.0.norm.weight\"";
    EXPECT_NE(message("encoder.layers.0.norm.weight").find(layer), std::string::npos);
    EXPECT_NE(message("vision_model.encoder.layers.0.norm.weight").find(layer), std::string::npos);
    EXPECT_NE(message("lm_haed.weight").find("\"lm_head.weight\""), std::string::npos);
    EXPECT_EQ(message("zzz").find("nearest"), std::string::npos);
}

TEST_F(WeightStoreTest, ShardsWithIndex) {
    write_tensors("model-00001-of-00002.safetensors", {"a", "b"});
    write_tensors("model-00002-of-00002.safetensors", {"c"});
    const std::string index =
        "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\","
        "\n\"b\":\"model-00001-of-00002.safetensors\",\"c\":\"model-00002-of-00002.safetensors\"}}";
    for (const std::string name :
         {"model.safetensors.index.json", "vendor.safetensors.index.json", "model.safetensors.index.fp16.json"}) {
        write(name, index);
        const auto store = WeightStore::open(folder_);
        EXPECT_EQ(store->size(), 3U);
        EXPECT_EQ(store->files().size(), 2U);
        EXPECT_EQ(store->at("c").file, 1U);
        EXPECT_EQ(WeightStore::open(folder_ / name)->size(), 3U);
        fs::remove(folder_ / name);
    }
    EXPECT_EQ(WeightStore::open(folder_)->size(), 3U) << "a complete numbered set needs no index";
    write("x.safetensors.index.json", index);
    write("y.safetensors.index.json", index);
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "several indexes");
}

TEST_F(WeightStoreTest, BadIndexes) {
    write_tensors("s1.safetensors", {"a", "b"});
    write_tensors("s2.safetensors", {"c", "b"});
    write_tensors("s3.safetensors", {"d"});
    const auto index = [this](const std::string& text) { write("model.safetensors.index.json", text); };
    index("{\"weight_map\":{\"a\":\"s1.safetensors\",\n\"x\":\"s9.safetensors\"}}");
    expect_refusal(VLM_STATUS_NOT_FOUND, "index.json:2: weight_map.x: the shard ");
    index("{\"weight_map\":{\"a\":\"s1.safetensors\",\"x\":\"s3.safetensors\"}}");
    expect_refusal(VLM_STATUS_DATA_LOSS, "names tensor \"x\" in ");
    index("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s3.safetensors\"}}");
    expect_refusal(VLM_STATUS_DATA_LOSS, "(it is in ");
    index("{\"weight_map\":{\"a\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}}");
    expect_refusal(VLM_STATUS_DATA_LOSS, "tensor \"b\" is in two files");
    for (const char* name :
         {"../s1.safetensors", "/etc/passwd", "sub/s1.safetensors", "..", "", "s1\\\\.safetensors"}) {
        index("{\"weight_map\":{\"a\":\"" + std::string(name) + "\"}}");
        expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "plain name of a file");
    }
    index("{\"weight_map\":{\"a\":\"pytorch_model-00001-of-00002.bin\"}}");
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "safe_serialization=True");
    index("{\"weight_map\":{}}");
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "names no tensors");
    index("{\"weight_map\":{\"a\":\"s1");
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "not valid JSON");
    index("{\"metadata\":{}}");
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "\"weight_map\" is missing");
}

TEST_F(WeightStoreTest, FoldersWithoutUsableWeights) {
    expect_refusal(VLM_STATUS_NOT_FOUND, "holds no *.safetensors");
    write("pytorch_model.bin", "x");
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "PyTorch");
    EXPECT_NE(refusal(folder_ / "pytorch_model.bin", VLM_STATUS_INVALID_ARGUMENT).find("safe_serialization"),
              std::string::npos);
    EXPECT_NE(refusal(folder_ / "none", VLM_STATUS_NOT_FOUND).find("no such"), std::string::npos);
    write_tensors("a.safetensors", {"a"});
    EXPECT_EQ(WeightStore::open(folder_)->size(), 1U) << "the only one";
    write_tensors("b.safetensors", {"a"});
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "several *.safetensors and no index (a.safetensors, b.safetensors)");
    write_tensors("model-00001-of-00003.safetensors", {"a"});
    write_tensors("model-00003-of-00003.safetensors", {"c"});
    expect_refusal(VLM_STATUS_NOT_FOUND, "shard 2 of 3 is missing");
    fs::create_directory(folder_ / "model.safetensors");
    expect_refusal(VLM_STATUS_INVALID_ARGUMENT, "is a directory");
}

TEST_F(WeightStoreTest, MisalignedDataIsCopiedOnce) {
    for (size_t shift = 1; shift < 8; ++shift) {
        write_tensors("model.safetensors", {"a", "b"}, shift);
        const auto store = WeightStore::open(folder_);
        const TensorView* found[4] = {};
        std::vector<std::thread> threads;
        for (auto& slot : found) threads.emplace_back([&] { slot = store->find("b"); });
        for (std::thread& thread : threads) thread.join();
        for (const TensorView* tensor : found) {
            ASSERT_EQ(tensor, found[0]);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->data) % alignof(float), 0U);
            EXPECT_EQ(static_cast<const float*>(tensor->data)[0], 1.0F);
            EXPECT_EQ(static_cast<const float*>(tensor->data)[1], -1.0F);
        }
    }
}

TEST_F(WeightStoreTest, VerifySeesEachFileBeforeItIsRead) {
    write("model.safetensors", "not a safetensors file");
    std::string seen;
    const auto verify = [&](int fd, const std::string& path) {
        char first = 0;
        EXPECT_EQ(pread(fd, &first, 1, 0), 1);
        seen = path + first;
        throw Error(VLM_STATUS_PERMISSION_DENIED, "hash differs");
    };
    try {
        (void)WeightStore::open(folder_, verify);
        FAIL() << "opened";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_PERMISSION_DENIED);
    }
    EXPECT_EQ(seen, (folder_ / "model.safetensors").string() + "n");
}

TEST_F(WeightStoreTest, AdoptsOpenFilesEvenIfTheNameIsGone) {
    write_tensors("x.safetensors", {"a"});
    const int fd = ::open((folder_ / "x.safetensors").c_str(), O_RDONLY | O_CLOEXEC);
    fs::remove(folder_ / "x.safetensors");
    const auto store = WeightStore::adopt({{fd, "x"}});
    EXPECT_EQ(store->at("a").elements(), 2);
    EXPECT_EQ(store->files()[0].fd(), fd);
    const int directory = ::open(folder_.c_str(), O_RDONLY | O_CLOEXEC);
    const int second = dup(directory);
    EXPECT_THROW((void)WeightStore::adopt({{directory, "d"}, {second, "e"}}), Error);
    EXPECT_EQ(fcntl(directory, F_GETFD), -1) << "descriptors are closed also on failure";
    EXPECT_EQ(fcntl(second, F_GETFD), -1);
}

TEST_F(WeightStoreTest, HashOfAKnownText) {
    write("abc", "abc");
    EXPECT_EQ(MappedFile::open((folder_ / "abc").string()).sha256(),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2, appendix B.1
    write("million", std::string(1000000, 'a'));
    EXPECT_EQ(MappedFile::open((folder_ / "million").string()).sha256(),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");  // appendix B.3
    write("empty", "");
    EXPECT_EQ(MappedFile::open((folder_ / "empty").string()).sha256(),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_F(WeightStoreTest, ChangesOfAFileAreNoticed) {
    write_tensors("model.safetensors", {"a"});
    const auto store = WeightStore::open(folder_);
    EXPECT_NO_THROW(store->check_unchanged());
    fs::resize_file(folder_ / "model.safetensors", 20);
    EXPECT_THROW(store->check_unchanged(), Error);
    EXPECT_THROW((void)store->files()[0].sha256(), Error);
}

TEST_F(WeightStoreTest, HintsLeaveTheDataAsItIs) {
    std::vector<std::string> names;
    for (int i = 0; i < 3000; ++i) names.push_back("t" + std::to_string(i));
    write_tensors("model.safetensors", names);
    const auto store = WeightStore::open(folder_);
    store->prefetch();
    for (const int i : {0, 1, 1500, 2999}) {
        const TensorView& tensor = store->at("t" + std::to_string(i));
        store->prefetch(tensor);
        store->release(tensor);
        EXPECT_EQ(static_cast<const float*>(tensor.data)[0], static_cast<float>(i));
    }
    store->files()[0].release(0, store->files()[0].size());
    EXPECT_EQ(static_cast<const float*>(store->at("t7").data)[1], -7.0F);
}

TEST_F(WeightStoreTest, GoldenCheckpointsOpen) {
    if (!fs::exists(VLM_GOLDEN_DIR)) GTEST_SKIP() << "no golden folder at " VLM_GOLDEN_DIR;
    int opened = 0;
    for (const auto& entry : fs::directory_iterator(VLM_GOLDEN_DIR)) {
        if (!entry.is_directory() || !fs::exists(entry.path() / "config.json")) continue;
        const auto store = WeightStore::open(entry.path());
        EXPECT_GT(store->size(), 0U) << entry.path();
        ++opened;
    }
    EXPECT_GT(opened, 0);
}

}  // namespace
}  // namespace vlm
