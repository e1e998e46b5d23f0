/** @file boxes.cpp
 *  See boxes.hpp.
 */
#include "boxes.hpp"

#include <cmath>
#include <string>

namespace vlm::boxes {

using namespace sdk;
using nlohmann::json;

namespace {

constexpr int64_t kDefaultCells = 1024;
constexpr int64_t kMostCells = int64_t{1} << 24;

int64_t side_of(int64_t cells, const std::string& path) {
    const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(cells))));
    if (side < 1 || side * side != cells)
        throw invalid_argument(path + ": expected the cells of a square grid (1024 = 32 x 32), found " +
                               std::to_string(cells));
    return side;
}

/** The part of a prompt that an answer continues: from its last phrase on when that ends the prompt. */
std::string_view open_phrase(std::string_view prompt, std::string_view answer) {
    const size_t object = answer.find_first_not_of(" \n");
    if (object == std::string_view::npos || !answer.substr(object).starts_with("<object>")) return {};
    const size_t phrase = prompt.rfind("<phrase>");
    constexpr std::string_view kEnd = "</phrase>";
    const bool ends = prompt.ends_with(kEnd);
    return phrase == std::string_view::npos || !ends ? std::string_view{} : prompt.substr(phrase);
}

json to_json(const Grounded& grounded, const float* region) {
    json entities = json::array();
    const double width = static_cast<double>(region[2] - region[0]);
    const double height = static_cast<double>(region[3] - region[1]);
    for (const auto& entity : grounded.entities) {
        json e = {{"phrase", entity.phrase}, {"span", {entity.begin, entity.end}}, {"boxes", entity.boxes}};
        if (width > 0 && height > 0) {
            json pixels = json::array();
            for (const auto& b : entity.boxes)
                pixels.push_back(
                    {static_cast<double>(region[0]) + b[0] * width, static_cast<double>(region[1]) + b[1] * height,
                     static_cast<double>(region[0]) + b[2] * width, static_cast<double>(region[1]) + b[3] * height});
            e["pixels"] = std::move(pixels);
        }
        entities.push_back(std::move(e));
    }
    return {{"text", grounded.text}, {"entities", std::move(entities)}};
}

}  // namespace

Boxes::Boxes(const ComponentConfig& c) {
    if (c.config.has("cells"))
        side_ = side_of(c.config.integer("cells", kDefaultCells, 1, kMostCells), c.config.path("cells"));
    c.config.refuse_unknown();
}

void Boxes::load(const Weights& weights) {
    if (side_ != 0) return;
    const auto file = weights.read_file("processor_config.json");
    const Config processor = file ? Config::parse(*file, "processor_config.json") : Config();
    side_ = side_of(processor.integer("num_patch_index_tokens", kDefaultCells, 1, kMostCells),
                    processor.path("num_patch_index_tokens"));
}

json Boxes::process(const Run& /*run*/, const vlm_post_input& input) const {
    const int64_t side = side_ != 0 ? side_ : side_of(kDefaultCells, "cells");
    json grounding = json::array();
    for (uint32_t i = 0; i < input.answer_count; ++i) {
        const auto answer = read_struct(input.answers[i], "answer");
        const std::string_view text = text_of(answer.text);
        // One prompt for all answers (rows of a page), or one for each.
        const uint32_t prompt = input.prompt_count == input.answer_count ? i : 0;
        const std::string_view before =
            input.prompt_count > 0 ? open_phrase(text_of(input.prompts[prompt]), text) : std::string_view{};
        std::string whole(before);
        whole += before.empty() ? text : text.substr(text.find('<'));
        grounding.push_back(to_json(read_grounded(whole, side), answer.region));
    }
    return {{"grounding", grounding.size() == 1 ? grounding[0] : grounding}};
}

}  // namespace vlm::boxes
