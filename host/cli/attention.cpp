/** @file attention.cpp
 *  See attention.hpp.
 */
#include "host/cli/attention.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "host/base/error.hpp"
#include "host/cli/attention_spans.hpp"
#include "host/image/draw.hpp"
#include "host/pipeline/attention_picture.hpp"
#include "host/pipeline/pipeline_run.hpp"

namespace vlm::cli {
namespace {

using nlohmann::ordered_json;

/** Everything that one question's pictures need. */
struct Asked {
    std::vector<PagePart> parts;
    std::vector<std::shared_ptr<const VisualTokens>> tokens;
    std::string prompt;
};

Asked ask_again(const Pipeline& pipeline, const Request& request, const Listeners& listeners) {
    Asked asked;
    asked.parts = split_pages(request.images, pipeline.manifest().image);
    asked.prompt = pipeline.render_prompt(request);
    std::vector<const NamedImage*> images;
    for (const auto& part : asked.parts) images.push_back(&part.image);
    asked.tokens = PipelineRun(pipeline, listeners).visual().encode(images, asked.prompt, nullptr);
    return asked;
}

/** The parts of the pages that one answer saw, and where it looked. */
struct Seen {
    std::vector<const PagePart*> parts;
    AnswerAttention attention;
};

/** Reads an answer's sequence again. `part`: the only part of the pages it saw; -1: all. */
Seen see_again(const Pipeline& pipeline, const Asked& asked, const Answer& answer, int part,
               const AttentionChoice& choice, bool whole_prompt, const Listeners& listeners) {
    Seen seen;
    AnsweredSequence sequence;
    for (size_t i = 0; i < asked.parts.size(); ++i) {
        if (part >= 0 && i != static_cast<size_t>(part)) continue;
        seen.parts.push_back(&asked.parts[i]);
        sequence.images.push_back(asked.tokens[i]);
    }
    const auto segments = place_images(pipeline, asked.prompt, sequence.images);
    std::vector<int32_t> ids;
    for (const auto& token : answer.tokens) ids.push_back(token.id);
    sequence.segments = segments;
    sequence.answer = ids;
    seen.attention = answer_attention(pipeline, sequence, choice, whole_prompt, listeners);
    return seen;
}

/** By image, by position of its layout: the weights as the mean over the tokens of a span. */
std::vector<std::vector<float>> weights_on_images(const AnswerAttention& attention, const AttentionSpan& span) {
    std::vector<std::vector<float>> weights;
    for (const auto& layout : attention.layouts) weights.emplace_back(static_cast<size_t>(layout.tokens()), 0.F);
    for (size_t t = span.begin; t < span.end; ++t)
        for (size_t p = 0; p < attention.positions.size(); ++p) {
            const auto& position = attention.positions[p];
            if (position.image < 0) continue;
            weights[static_cast<size_t>(position.image)][static_cast<size_t>(position.position)] +=
                attention.rows[t][p] / static_cast<float>(span.end - span.begin);
        }
    return weights;
}

/** The files of one question. */
class Drawing {
  public:
    Drawing(const Pipeline& pipeline, const Request& request, std::filesystem::path folder, std::string stem,
            std::string shown)
        : pipeline_(pipeline),
          request_(request),
          folder_(std::move(folder)),
          stem_(std::move(stem)),
          shown_(std::move(shown)) {}

    /** A picture of each page that the answer saw. */
    void draw_span(size_t answer, const AttentionSpan& span, const Seen& seen) {
        const auto weights = weights_on_images(seen.attention, span);
        ++count_;
        for (size_t page = 0; page < request_.images.size(); ++page) {
            const bool shown = std::any_of(seen.parts.begin(), seen.parts.end(),
                                           [&](const PagePart* part) { return part->page == static_cast<int>(page); });
            if (shown) draw_page(answer, page, span, seen, weights);
        }
    }

    void draw_blocks(size_t answer, const AnswerAttention& attention) {
        for (const auto& block : attention_blocks(attention)) {
            const std::string file = stem_ + "-answer" + std::to_string(answer + 1) + "-" + block.name + ".png";
            if (!block.weights.empty()) write_png(folder_ / file, draw_block(block));
            blocks_.push_back({{"file", block.weights.empty() ? ordered_json() : ordered_json(file)},
                               {"answer", answer},
                               {"from_to", block.name},
                               {"rows", block.rows},
                               {"columns", block.columns},
                               {"mean", block.mean},
                               {"max", block.max}});
        }
    }

    void write_report(const std::string& name) const {
        ordered_json report = {{"layer", shown_}, {"heads", "mean"}, {"pictures", pictures_}};
        if (!blocks_.empty()) report["blocks"] = blocks_;
        const auto path = folder_ / name;
        std::ofstream out(path, std::ios::binary);
        out << report.dump(1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
        if (!out.flush()) throw Error(VLM_STATUS_PERMISSION_DENIED, path.string() + ": cannot be written");
    }

  private:
    void draw_page(size_t answer, size_t page, const AttentionSpan& span, const Seen& seen,
                   const std::vector<std::vector<float>>& weights) {
        const auto& picture = request_.images[page].image;
        PageHeat heat{picture.width, picture.height, {}};
        heat.values.assign(static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height), 0.F);
        ordered_json shares = ordered_json::array();
        double total = 0;
        bool placed = false;
        for (size_t i = 0; i < seen.parts.size(); ++i) {
            const PagePart& part = *seen.parts[i];
            if (part.page != static_cast<int>(page)) continue;
            placed |= add_heat(heat, part, seen.attention.layouts[i], weights[i], pipeline_.manifest().image.rows);
            total += std::accumulate(weights[i].begin(), weights[i].end(), 0.0);
            shares.push_back(weights[i]);
        }
        if (!placed)
            throw unimplemented("--attention: the visual tokens of " + pipeline_.connector().plugin().id() +
                                " are latents without a place on the page, so their weights cannot be drawn on it");
        char number[16];
        std::snprintf(number, sizeof number, "%03d", count_);
        const std::string file = stem_ + "-page" + std::to_string(page + 1) + "-" + number + ".png";
        write_png(folder_ / file, draw_heat(picture, heat, "attention " + shown_));
        const PointF peak = heat.peak();
        pictures_.push_back({{"file", file},
                             {"image", request_.images[page].name},
                             {"answer", answer},
                             {"text", span.label},
                             {"tokens", {span.begin, span.end}},
                             {"weight_on_image", total},
                             {"peak", {peak.x, peak.y}},
                             {"weights", std::move(shares)}});
    }

    const Pipeline& pipeline_;
    const Request& request_;
    std::filesystem::path folder_;
    std::string stem_;
    std::string shown_;
    int count_ = 0;
    ordered_json pictures_ = ordered_json::array();
    ordered_json blocks_ = ordered_json::array();
};

}  // namespace

po::options_description attention_options() {
    po::options_description options("Attention");
    auto add = options.add_options();
    add("attention", po::value<std::string>(),
        "draw where the model looked into this folder: a picture per field of a prescription, token or word of the "
        "answer, and attention-N.json with the numbers (weights are means over the heads)");
    add("attention-layer", po::value<std::string>()->default_value("mean"),
        "number of a layer (-1: the last), mean over the layers, or rollout: the product of (I + A) / 2 over all "
        "layers");
    add("attention-per", po::value<std::string>()->default_value("auto"),
        "field, token, word, or auto: fields where the result has them, else tokens");
    add("attention-blocks",
        "also draw the weights from visual and text tokens to visual and text tokens, with mean and maximum; models of "
        "early fusion have it always");
    return options;
}

AttentionPictures::AttentionPictures(const po::variables_map& values) {
    if (!values.contains("attention")) return;
    folder_ = values["attention"].as<std::string>();
    if (folder_.empty()) throw invalid_argument("--attention: needs a folder");
    shown_ = values["attention-layer"].as<std::string>();
    choice_ = attention_choice(shown_);
    per_ = values["attention-per"].as<std::string>();
    blocks_ = values.contains("attention-blocks");
    if (per_ != "auto" && per_ != "field" && per_ != "token" && per_ != "word")
        throw invalid_argument("--attention-per: '" + per_ + "' is none of auto, field, token, word");
}

std::unique_ptr<Pipeline> AttentionPictures::open(const po::variables_map& values, Manifest manifest,
                                                  OpenOptions options) const {
    try {
        return open_pipeline(values, with_attention_shown(std::move(manifest)), std::move(options));
    } catch (const Error& error) {
        if (std::string(error.what()).find("tap_attention") == std::string::npos) throw;
        throw unimplemented(std::string("--attention: this model's backbone does not show attention weights: ") +
                            error.what());
    }
}

void AttentionPictures::write(const Pipeline& pipeline, const Request& request, const Result& result, size_t question,
                              const Listeners& listeners) const {
    if (request.images.empty()) throw invalid_argument("--attention: needs an --image to draw on");
    std::filesystem::create_directories(folder_);
    const Asked asked = ask_again(pipeline, request, listeners);
    const auto extra = ordered_json::parse(result.extra);
    const bool alone = pipeline.manifest().image.split_rows;
    const bool blocks = blocks_ || pipeline.recipe().early_fusion;
    const std::string number = std::to_string(question + 1);
    Drawing drawing(pipeline, request, folder_, "question" + number, shown_);
    for (size_t a = 0; a < result.answers.size(); ++a) {
        const Answer& answer = result.answers[a];
        if (answer.tokens.empty()) continue;
        const auto spans = attention_spans(answer, extra, per_);
        if (spans.empty()) continue;
        const Seen seen =
            see_again(pipeline, asked, answer, alone ? static_cast<int>(a) : -1, choice_, blocks, listeners);
        for (const auto& span : spans) drawing.draw_span(a, span, seen);
        if (blocks) drawing.draw_blocks(a, seen.attention);
    }
    drawing.write_report("attention-" + number + ".json");
}

}  // namespace vlm::cli
