/** @file reference_processor_test.cpp
 *  Decode, resize, crop and normalise in a row, against the `pixel_values` of whole reference processors, bit for bit.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "host/image/decode.hpp"
#include "host/image/process.hpp"
#include "host/image/resize.hpp"
#include "tests/host/image/image_cases.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/** The float32 tensors named `pre.<picture>.pixel_values` of a safetensors file, by picture. */
std::map<std::string, std::vector<float>> expected_pixels(const fs::path& path) {
    const std::vector<uint8_t> bytes = test::read_bytes(path.string());
    uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), sizeof header_size);
    const json header = json::parse(bytes.begin() + 8, bytes.begin() + 8 + static_cast<long>(header_size));
    std::map<std::string, std::vector<float>> pixels;
    for (const auto& [name, entry] : header.items()) {
        const std::string suffix = ".pixel_values";
        if (!name.starts_with("pre.") || !name.ends_with(suffix) || entry["dtype"] != "F32") continue;
        const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
        std::vector<float> values((end - begin) / sizeof(float));
        std::memcpy(values.data(), bytes.data() + 8 + header_size + begin, end - begin);
        pixels[name.substr(4, name.size() - 4 - suffix.size())] = values;
    }
    return pixels;
}

/** The pipeline of CLIP, BLIP, SigLIP and Idefics image processors, and of those that keep the size. */
std::vector<float> process(Image image, const json& config) {
    if (config.value("do_resize", true)) {
        ResizeOptions options;
        options.filter = filter_from_pil(config["resample"]);
        if (config["size"].contains("shortest_edge")) {
            const int64_t edge = config["size"]["shortest_edge"];
            const int64_t shorter = std::min(image.width, image.height);
            image = resize(image, static_cast<int>(image.width * edge / shorter),
                           static_cast<int>(image.height * edge / shorter), options);
        } else {
            image = resize(image, config["size"]["width"], config["size"]["height"], options);
        }
    }
    if (config.value("do_center_crop", false)) {
        image = center_crop(image, config["crop_size"]["width"], config["crop_size"]["height"]);
    }
    NormalizeOptions options;
    options.rescale_factor = config["rescale_factor"];
    options.mean = config["image_mean"].get<std::vector<double>>();
    options.std = config["image_std"].get<std::vector<double>>();
    return rescale_normalize(image, options);
}

TEST(ReferenceProcessors, PixelValuesAreBitEqual) {
    if (!fs::exists(VLM_GOLDEN_DIR)) GTEST_SKIP() << "no golden references at " << VLM_GOLDEN_DIR;
    const std::vector<std::string> types = {"CLIPImageProcessor", "BlipImageProcessor", "SiglipImageProcessor",
                                            "IdeficsImageProcessor"};
    size_t compared = 0;
    for (const auto& folder : fs::directory_iterator(VLM_GOLDEN_DIR)) {
        const fs::path config_path = folder.path() / "preprocessor_config.json";
        if (!fs::exists(config_path)) continue;
        const json config = json::parse(std::ifstream(config_path));
        const std::string type = config.value("image_processor_type", "");
        if (std::find(types.begin(), types.end(), type) == types.end()) continue;
        if (config["size"].contains("shortest_edge") && !config.value("do_center_crop", false)) continue;
        for (const auto& [picture, expected] : expected_pixels(folder.path() / "expected.safetensors")) {
            const std::vector<float> actual = process(decode_file(folder.path() / (picture + ".png")), config);
            ASSERT_EQ(actual.size(), expected.size()) << folder.path() << " " << picture;
            EXPECT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)), 0)
                << folder.path() << " " << picture;
            ++compared;
        }
    }
    EXPECT_GT(compared, 5u);
    RecordProperty("compared", static_cast<int>(compared));
}

}  // namespace
}  // namespace vlm
