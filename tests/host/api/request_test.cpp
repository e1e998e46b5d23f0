/** @file request_test.cpp
 *  What callers hand in: images in four ways, options, texts.
 */
#include "tests/host/api/api_fixture.hpp"

namespace {

using testing::HasSubstr;
using namespace vlm_test;

TEST_F(ApiWithModel, AnImageIsGivenInOneWay) {
    EXPECT_THAT(refusal(), HasSubstr("exactly one"));
    use_pixels();
    source_.path = "x.png";
    EXPECT_THAT(refusal(), HasSubstr("exactly one"));
    source_.path = nullptr;
    source_.width = 0;
    EXPECT_THAT(refusal(), HasSubstr("width and height"));
    source_.width = 2'000'000'000;
    source_.height = 2'000'000'000;
    EXPECT_THAT(refusal(), HasSubstr("size limit"));
    source_.pixels = nullptr;
    source_.encoded = pixels_.data();
    source_.encoded_size = pixels_.size();
    source_.name = "scan 7";
    EXPECT_THAT(refusal(), HasSubstr("scan 7"));
    images_[0] = nullptr;
    EXPECT_THAT(refusal(), HasSubstr("NULL"));
    request_.images = nullptr;
    EXPECT_THAT(refusal(), HasSubstr("images is NULL"));
}

TEST_F(ApiWithModel, RequestsMustBeWellFormed) {
    use_pixels();
    generation_.struct_size = 0;
    EXPECT_THAT(refusal(), HasSubstr("vlm_generation_options"));
    generation_.struct_size = sizeof(generation_);
    generation_.stop_count = 1;
    EXPECT_THAT(refusal(), HasSubstr("stops is NULL"));
    generation_.stop_count = 0;
    request_.abi_version = 0;
    EXPECT_THAT(refusal(), HasSubstr("vlm_generate_request"));
    request_.abi_version = VLM_ABI_VERSION;
    source_.struct_size = 3;
    EXPECT_THAT(refusal(), HasSubstr("vlm_image_source"));
}

/** A u8 tensor on the CPU. */
vlm_tensor_view view_of(uint8_t* data, std::vector<int64_t>& shape, int64_t* strides = nullptr) {
    vlm_tensor_view view{};
    view.data = data;
    view.device = {VLM_DEVICE_CPU, 0};
    view.ndim = static_cast<int32_t>(shape.size());
    view.dtype = {VLM_TYPE_UINT, 8, 1};
    view.shape = shape.data();
    view.strides = strides;
    return view;
}

TEST_F(ApiWithModel, ATensorIsReadLikeThePixelsThatItHolds) {
    for (size_t i = 0; i < pixels_.size(); ++i) pixels_[i] = static_cast<uint8_t>(i * 7 % 251);
    use_pixels();
    const auto expected = encoded();
    ASSERT_FALSE(expected.empty());
    source_.pixels = nullptr;

    std::vector<int64_t> shape = {64, 64, 3};
    auto view = view_of(pixels_.data(), shape);
    source_.tensor = &view;
    EXPECT_EQ(encoded(), expected);

    // Planes [3, 64, 64], looked at as [64, 64, 3], and behind an offset.
    std::vector<uint8_t> planes(5 + pixels_.size());
    for (size_t p = 0; p < 64 * 64; ++p)
        for (size_t c = 0; c < 3; ++c) planes[5 + c * 64 * 64 + p] = pixels_[p * 3 + c];
    int64_t strides[] = {64, 1, 64 * 64};
    view = view_of(planes.data(), shape, strides);
    view.byte_offset = 5;
    EXPECT_EQ(encoded(), expected);

    // Opaque RGBA is the same picture; gray is not.
    std::vector<uint8_t> rgba(64 * 64 * 4, 255);
    for (size_t p = 0; p < 64 * 64; ++p) std::copy_n(&pixels_[p * 3], 3, &rgba[p * 4]);
    shape = {64, 64, 4};
    view = view_of(rgba.data(), shape);
    EXPECT_EQ(encoded(), expected);
    shape = {64, 64};
    view = view_of(rgba.data(), shape);
    EXPECT_NE(encoded(), expected);
    EXPECT_FALSE(encoded().empty());
}

TEST_F(ApiWithModel, ATensorThatIsNoImageIsRefused) {
    std::vector<int64_t> shape = {64, 64, 3};
    auto view = view_of(pixels_.data(), shape);
    source_.tensor = &view;
    source_.name = "camera";
    view.device.device_type = VLM_DEVICE_CUDA;
    EXPECT_THAT(refusal(), HasSubstr("camera: an image tensor is u8"));
    view.device.device_type = VLM_DEVICE_CPU;
    view.dtype = {VLM_TYPE_FLOAT, 32, 1};
    EXPECT_THAT(refusal(), HasSubstr("type code 2 with 32 bits"));
    view.dtype = {VLM_TYPE_UINT, 8, 1};
    view.ndim = 4;
    EXPECT_THAT(refusal(), HasSubstr("4 dimensions"));
    view.ndim = 3;
    shape = {64, 64, 2};
    EXPECT_THAT(refusal(), HasSubstr("[64, 64, 2]"));
    shape = {64, 0, 3};
    EXPECT_THAT(refusal(), HasSubstr("[64, 0, 3]"));
    shape = {int64_t{1} << 62, int64_t{1} << 62, 3};
    EXPECT_THAT(refusal(), HasSubstr("max_pixels"));
    shape = {64, 64, 3};
    view.data = nullptr;
    EXPECT_THAT(refusal(), HasSubstr("no data"));
    source_.pixels = pixels_.data();
    EXPECT_THAT(refusal(), HasSubstr("exactly one"));
}

TEST_F(ApiWithModel, StreamsAndTextsMustBeWellFormed) {
    use_pixels();
    request_.stream = [](void*, const char*, uint64_t) { return 1; };
    request_.answer_stream = [](void*, uint64_t, const char*, uint64_t) { return 1; };
    EXPECT_THAT(refusal(), HasSubstr("both stream and answer_stream"));
    request_.answer_stream = nullptr;
    request_.text_count = 1;
    EXPECT_THAT(refusal(), HasSubstr("texts is NULL"));
    const char* const texts[] = {nullptr};
    request_.texts = texts;
    EXPECT_THAT(refusal(), HasSubstr("a text of the request is NULL"));
}

}  // namespace
