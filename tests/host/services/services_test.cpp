/** @file services_test.cpp
 *  The service tables as plugins call them, rightly and wrongly.
 */
#include "host/services/services.hpp"

#include <gtest/gtest.h>
#include <unistd.h>
#include <vlm/image.h>
#include <vlm/text.h>

#include <cstring>
#include <fstream>

namespace {

namespace fs = std::filesystem;

TEST(Services, AreFoundById) {
    EXPECT_NE(vlm::find_service(VLM_SERVICE_IMAGE), nullptr);
    EXPECT_NE(vlm::find_service(VLM_SERVICE_TEXT), nullptr);
    EXPECT_EQ(vlm::find_service("vlm.image/2"), nullptr);
    EXPECT_EQ(vlm::find_service(""), nullptr);
}

const vlm_image_service& images() {
    return *static_cast<const vlm_image_service*>(vlm::find_service(VLM_SERVICE_IMAGE));
}

TEST(ImageService, WindowCutsAndPads) {
    const std::vector<uint8_t> src = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};  // 2 x 2
    const uint8_t fill[3] = {9, 8, 7};
    std::vector<uint8_t> dst(3 * 3 * 3);
    ASSERT_EQ(images().window(src.data(), 2, 2, -1, 1, dst.data(), 3, 3, fill), VLM_STATUS_OK);
    const std::vector<uint8_t> expected = {9, 8, 7, 3, 3, 3, 4, 4, 4, 9, 8, 7, 9, 8,
                                           7, 9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7};
    EXPECT_EQ(dst, expected);
    // Windows far outside are all fill, also where left + width would overflow.
    for (const int32_t far : {INT32_MIN, INT32_MAX, -3, 2}) {
        ASSERT_EQ(images().window(src.data(), 2, 2, far, far, dst.data(), 3, 3, fill), VLM_STATUS_OK);
        for (size_t i = 0; i < dst.size(); ++i) ASSERT_EQ(dst[i], fill[i % 3]) << far;
    }
}

TEST(ImageService, RefusesWhatIsNoImage) {
    const uint8_t pixel[3] = {1, 2, 3};
    uint8_t out[3] = {};
    float values[3] = {};
    const float mean[3] = {0, 0, 0};
    const float std[3] = {1, 1, 1};
    EXPECT_NE(images().resize(nullptr, 1, 1, out, 1, 1, 0), VLM_STATUS_OK);
    EXPECT_NE(images().resize(pixel, 1, 1, nullptr, 1, 1, 0), VLM_STATUS_OK);
    EXPECT_NE(images().resize(pixel, 0, 1, out, 1, 1, 0), VLM_STATUS_OK);
    EXPECT_NE(images().resize(pixel, 1, 1, out, 1, -1, 0), VLM_STATUS_OK);
    EXPECT_NE(images().resize(pixel, 1, 1, out, 1, 1, 99), VLM_STATUS_OK);
    EXPECT_NE(images().window(pixel, 1, 1, 0, 0, out, 0, 1, pixel), VLM_STATUS_OK);
    EXPECT_NE(images().window(pixel, 1, 1, 0, 0, out, 1, 1, nullptr), VLM_STATUS_OK);
    EXPECT_NE(images().normalize(nullptr, 1, 1, 1, mean, std, values), VLM_STATUS_OK);
    EXPECT_NE(images().normalize(pixel, 1, 1, 1, nullptr, std, values), VLM_STATUS_OK);
    EXPECT_NE(images().normalize(pixel, 0, 1, 1, mean, std, values), VLM_STATUS_OK);
    EXPECT_EQ(images().resize(pixel, 1, 1, out, 1, 1, VLM_RESAMPLE_BICUBIC), VLM_STATUS_OK);
    EXPECT_EQ(std::memcmp(pixel, out, 3), 0);
    EXPECT_EQ(images().normalize(pixel, 1, 1, 0.5, mean, std, values), VLM_STATUS_OK);
    EXPECT_EQ(values[2], 1.5F);
}

/** A checkpoint folder with two tensors and a tokenizer. */
class Checkpoint : public testing::Test {
  protected:
    Checkpoint() : folder_(fs::temp_directory_path() / ("vlm_services_" + std::to_string(getpid()))) {
        fs::create_directories(folder_ / "inner");
        const std::string header =
            R"({"a.w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b.w":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]}})";
        const uint64_t size = header.size();
        const float values[3] = {1, 2, 3};
        std::ofstream out(folder_ / "model.safetensors", std::ios::binary);
        out.write(reinterpret_cast<const char*>(&size), sizeof(size));
        out << header;
        out.write(reinterpret_cast<const char*>(values), sizeof(values));
        out.close();
        std::ofstream(folder_ / "inner" / "notes.txt") << "hello";
        fs::copy(fs::path(VLM_TEST_DATA) / "tokenizers" / "bert" / "tokenizer.json",
                 folder_ / "inner" / "tokenizer.json");
        service_ = std::make_unique<vlm::WeightsService>(vlm::WeightStore::open(folder_),
                                                         std::vector<std::string>{"a.", ""}, folder_.string());
    }
    ~Checkpoint() override {
        service_.reset();
        fs::remove_all(folder_);
    }
    const vlm_weights& abi() const { return service_->abi(); }
    fs::path folder_;
    std::unique_ptr<vlm::WeightsService> service_;
};

TEST_F(Checkpoint, TensorsAreFoundByThePrefixesInOrder) {
    const vlm_tensor* tensor = nullptr;
    ASSERT_EQ(abi().find(abi().host, "w", &tensor), VLM_STATUS_OK);
    EXPECT_EQ(tensor->view.ndim, 1);
    EXPECT_EQ(static_cast<const float*>(tensor->view.data)[1], 2);
    const vlm_tensor* again = nullptr;
    ASSERT_EQ(abi().find(abi().host, "w", &again), VLM_STATUS_OK);
    EXPECT_EQ(again, tensor);
    ASSERT_EQ(abi().find(abi().host, "b.w", &tensor), VLM_STATUS_OK);
    EXPECT_EQ(tensor->view.ndim, 2);
    EXPECT_EQ(abi().find(abi().host, "c.w", &tensor), VLM_STATUS_NOT_FOUND);
    EXPECT_EQ(tensor, nullptr);
    EXPECT_EQ(abi().count(abi().host), 2u);
    EXPECT_STREQ(abi().name(abi().host, 0), "w");
    EXPECT_EQ(abi().name(abi().host, 2), nullptr);
    EXPECT_EQ(abi().find(abi().host, nullptr, &tensor), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(abi().find(abi().host, "w", nullptr), VLM_STATUS_INVALID_ARGUMENT);
}

TEST_F(Checkpoint, FilesAreReadInsideTheFolderOnly) {
    vlm_string text{};
    ASSERT_EQ(abi().read_file(abi().host, "inner/notes.txt", &text), VLM_STATUS_OK);
    EXPECT_EQ(std::string(text.data, text.size), "hello");
    EXPECT_EQ(abi().read_file(abi().host, "none.txt", &text), VLM_STATUS_NOT_FOUND);
    EXPECT_EQ(abi().read_file(abi().host, "inner", &text), VLM_STATUS_NOT_FOUND);
    EXPECT_EQ(abi().read_file(abi().host, "../other.txt", &text), VLM_STATUS_PERMISSION_DENIED);
    EXPECT_EQ(abi().read_file(abi().host, "inner/../../other.txt", &text), VLM_STATUS_PERMISSION_DENIED);
    EXPECT_EQ(abi().read_file(abi().host, "/etc/hostname", &text), VLM_STATUS_PERMISSION_DENIED);
    EXPECT_EQ(abi().read_file(abi().host, nullptr, &text), VLM_STATUS_INVALID_ARGUMENT);
}

TEST_F(Checkpoint, TokenizersOfSubFoldersAreOpened) {
    const auto& texts = *static_cast<const vlm_text_service*>(vlm::find_service(VLM_SERVICE_TEXT));
    const vlm_tokenizer* tokenizer = nullptr;
    EXPECT_EQ(texts.open(abi().host, "", &tokenizer), VLM_STATUS_NOT_FOUND);
    EXPECT_EQ(tokenizer, nullptr);
    ASSERT_EQ(texts.open(abi().host, "inner", &tokenizer), VLM_STATUS_OK);
    uint64_t count = 0;
    ASSERT_EQ(texts.encode(tokenizer, "hello", 5, 1, nullptr, 0, &count), VLM_STATUS_RESOURCE_EXHAUSTED);
    ASSERT_GT(count, 2u);
    std::vector<int32_t> ids(count);
    EXPECT_EQ(texts.encode(tokenizer, "hello", 5, 1, ids.data(), count - 1, &count), VLM_STATUS_RESOURCE_EXHAUSTED);
    EXPECT_EQ(texts.encode(tokenizer, "hello", 5, 1, ids.data(), ids.size(), &count), VLM_STATUS_OK);
    EXPECT_EQ(texts.id_of(tokenizer, "[CLS]"), ids[0]);
    EXPECT_EQ(texts.id_of(tokenizer, "no such piece"), -1);
    EXPECT_EQ(texts.encode(tokenizer, "\xFF", 1, 0, ids.data(), ids.size(), &count), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(texts.encode(nullptr, "a", 1, 0, ids.data(), ids.size(), &count), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(texts.encode(tokenizer, nullptr, 1, 0, ids.data(), ids.size(), &count), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(texts.encode(tokenizer, "a", 1, 0, nullptr, 3, &count), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(texts.open(abi().host, nullptr, &tokenizer), VLM_STATUS_INVALID_ARGUMENT);
}

}  // namespace
