/** @file golden_case.cpp
 *  Cuts the prompts of golden checkpoints into segments and images; see checkpoint.hpp.
 */
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <tuple>

#include "checkpoint.hpp"

namespace vlm::test {
namespace {

nlohmann::json read_json(const std::filesystem::path& path) {
    std::ifstream file(path);
    return nlohmann::json::parse(file);
}

}  // namespace

Golden::Golden(const std::filesystem::path& folder)
    : store_(WeightStore::open(folder / "expected.safetensors")), config_(read_json(folder / "config.json")) {}

std::vector<float> Golden::floats(const std::string& name) const {
    const TensorView& t = store_->at(name);
    auto data = static_cast<const float*>(t.data);
    return {data, data + t.elements()};
}

std::vector<int64_t> Golden::integers(const std::string& name) const {
    const TensorView& t = store_->at(name);
    auto data = static_cast<const int64_t*>(t.data);
    return {data, data + t.elements()};
}

int Golden::cases() const {
    int count = 0;
    while (has("case" + std::to_string(count) + ".logits")) ++count;
    return count;
}

std::vector<bool> Golden::visual_mask(const std::string& prefix, std::vector<int64_t>& ids) const {
    std::vector<bool> visual;
    if (has(prefix + "sequence_ids")) {
        ids = integers(prefix + "sequence_ids");
        for (int64_t id : ids) visual.push_back(id < 0);
        return visual;
    }
    ids = integers(prefix + "input_ids");
    if (has(prefix + "image_embeds_position_mask")) {
        for (int64_t m : integers(prefix + "image_embeds_position_mask")) visual.push_back(m != 0);
        return visual;
    }
    if (config_["model_type"] == "openvla") {
        auto rows = static_cast<size_t>(shape(prefix + "connector")[0]);
        ids.insert(ids.begin() + 1, rows, -1);
        for (int64_t id : ids) visual.push_back(id < 0);
        return visual;
    }
    int64_t image_id = -1;
    for (const char* key : {"image_token_index", "image_token_id"}) image_id = config_.value(key, image_id);
    for (int64_t id : ids) visual.push_back(id == image_id);
    return visual;
}

TestPrompt Golden::prompt(int number) const {
    std::string prefix = "case" + std::to_string(number) + ".";
    std::vector<int64_t> ids;
    std::vector<bool> visual = visual_mask(prefix, ids);
    auto positions = std::count(visual.begin(), visual.end(), true);
    TestPrompt prompt;

    // Sizes of the images: from their grids where positions or masks depend on it, else everything is one image.
    std::vector<int64_t> sizes;
    std::vector<std::pair<int64_t, int64_t>> grids;
    std::string type = config_["model_type"];
    if (has(prefix + "image_grid_thw")) {
        auto grid = integers(prefix + "image_grid_thw");
        int64_t merge = config_["vision_config"].value("spatial_merge_size", int64_t{2});
        for (size_t i = 0; i < grid.size(); i += 3) {
            grids.emplace_back(grid[i + 1] / merge, grid[i + 2] / merge);
            sizes.push_back(grids.back().first * grids.back().second);
        }
    } else if (type == "early_fusion_interleaved") {
        auto grid = integers(prefix + "image_grid_hw");
        for (size_t i = 0; i < grid.size(); i += 2) sizes.push_back(grid[i] * grid[i + 1] + 1);
    } else if (positions > 0) {
        sizes.push_back(positions);
    }

    std::vector<float> tokens;
    int64_t rows = 0;
    if (type == "idefics") {
        auto s = shape(prefix + "connector");
        tokens = floats(prefix + "connector");
        for (int64_t i = 0; i < s[0]; ++i) {
            auto first = tokens.begin() + i * s[1] * s[2];
            prompt.images.push_back({{first, first + s[1] * s[2]}, s[1], 0, 0, s[1], {}});
        }
        int32_t image = 0;
        prompt.segments.emplace_back();
        for (int64_t id : ids) {
            if (id == config_["vocab_size"].get<int64_t>() + 1) {
                prompt.segments.push_back({{}, image++, 0, 0});
                prompt.segments.emplace_back();
            }
            prompt.segments.back().ids.push_back(static_cast<int32_t>(id));
        }
        return prompt;
    }
    bool reduced = has(prefix + "vision.patch_to_row");
    auto connector = has(prefix + "connector") ? floats(prefix + "connector") : std::vector<float>{};
    int64_t width = config_.contains("text_config") ? 0 : config_.value("hidden_size", int64_t{0});
    if (config_.contains("text_config")) {
        width = config_["text_config"].value("hidden_size", config_["text_config"].value("embed_dim", int64_t{0}));
    }
    // The merger of Qwen2.5-VL is recorded in window order, which the reference undoes behind it.
    bool ordered = type != "qwen2_5_vl" && static_cast<int64_t>(connector.size()) == positions * width;
    if (reduced || ordered) {
        tokens = connector;
        rows = static_cast<int64_t>(connector.size()) / width;
    } else if (positions > 0) {
        auto embeds = floats(prefix + "llm.inputs_embeds");
        for (size_t i = 0; i < visual.size(); ++i) {
            if (!visual[i]) continue;
            auto first = embeds.begin() + static_cast<int64_t>(i) * width;
            tokens.insert(tokens.end(), first, first + width);
        }
        rows = positions;
    }

    size_t image = 0;
    int64_t used = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
        TestImage out;
        out.rows = reduced ? rows : sizes[i];
        auto first = tokens.begin() + used * width;
        out.tokens.assign(first, first + out.rows * width);
        out.positions = sizes[i];
        if (!grids.empty()) std::tie(out.grid_rows, out.grid_columns) = grids[i];
        if (reduced) {
            for (int64_t row : integers(prefix + "vision.patch_to_row"))
                out.row_of_position.push_back(static_cast<int32_t>(row));
        }
        used += out.rows;
        prompt.images.push_back(std::move(out));
    }
    used = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
        auto& segments = prompt.segments;
        if (!visual[i]) {
            if (segments.empty() || segments.back().image >= 0) segments.emplace_back();
            segments.back().ids.push_back(static_cast<int32_t>(ids[i]));
            continue;
        }
        if (used == sizes[image]) {
            ++image;
            used = 0;
        }
        auto number_of_image = static_cast<int32_t>(image);
        if (segments.empty() || segments.back().image != number_of_image)
            segments.push_back({{}, number_of_image, used, 0});
        ++segments.back().count;
        ++used;
    }
    return prompt;
}

std::filesystem::path golden_folder() {
    const char* given = std::getenv("VLM_GOLDEN_DIR");
    std::filesystem::path folder = given != nullptr ? given : VLM_GOLDEN_DIR;
    return std::filesystem::exists(folder) ? folder : std::filesystem::path();
}

}  // namespace vlm::test
