/** @file attention.cpp
 *  See attention.hpp.
 */
#include "host/cli/attention.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/image/draw.hpp"
#include "host/pipeline/attention_picture.hpp"
#include "host/pipeline/prompt.hpp"
#include "host/pipeline/visual.hpp"

namespace vlm::cli {
namespace {

using nlohmann::ordered_json;

/** Neighbouring tokens of an answer that share a picture. */
struct Span {
    std::string label;
    size_t begin = 0, end = 0;
};

bool blank(char letter) {
    return std::isspace(static_cast<unsigned char>(letter)) != 0;
}

std::string text_of(const Answer& answer, size_t begin, size_t end) {
    const auto from = static_cast<size_t>(answer.tokens[begin].text_begin);
    const auto to = static_cast<size_t>(answer.tokens[end - 1].text_end);
    return from < to && to <= answer.text.size() ? answer.text.substr(from, to - from) : answer.tokens[begin].piece;
}

std::vector<Span> token_spans(const Answer& answer, bool words) {
    std::vector<Span> spans;
    for (size_t t = 0; t < answer.tokens.size(); ++t) {
        const std::string text = text_of(answer, t, t + 1);
        const bool joins = words && !spans.empty() && !text.empty() && !blank(text.front()) &&
                           !spans.back().label.empty() && !blank(spans.back().label.back());
        if (joins)
            spans.back().end = t + 1;
        else
            spans.push_back({"", t, t + 1});
        spans.back().label = text_of(answer, spans.back().begin, spans.back().end);
    }
    return spans;
}

/** The fields of the medicines of a result that stand word by word in `answer`. */
std::vector<Span> field_spans(const Answer& answer, const ordered_json& extra) {
    std::vector<Span> spans;
    if (!extra.contains("drugs")) return spans;
    for (const auto& drug : extra["drugs"]) {
        const auto box = drug.value("box", ordered_json());
        const bool elsewhere = box.is_array() && box.get<std::vector<float>>() !=
                                                     std::vector<float>(answer.region.begin(), answer.region.end());
        if (elsewhere || (drug["image"].is_number() && drug["image"] != answer.image)) continue;
        for (const char* field : {"printed", "also_printed", "printed_dosage"}) {
            if (!drug.contains(field) || !drug[field].is_string()) continue;
            const auto text = drug[field].get<std::string>();
            const size_t at = text.empty() ? std::string::npos : answer.text.find(text);
            if (at == std::string::npos) continue;
            Span span{std::string(field) + ": " + text, answer.tokens.size(), 0};
            for (size_t t = 0; t < answer.tokens.size(); ++t) {
                const auto& token = answer.tokens[t];
                if (static_cast<size_t>(token.text_end) <= at ||
                    static_cast<size_t>(token.text_begin) >= at + text.size())
                    continue;
                span.begin = std::min(span.begin, t);
                span.end = t + 1;
            }
            if (span.begin < span.end) spans.push_back(std::move(span));
        }
    }
    return spans;
}

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
    HookService hooks(pipeline.reducers(), pipeline.device().allocator());
    Run run(pipeline.device().compute(), &listeners, hooks.abi(), pipeline.device().stream());
    hooks.bind(&run);
    Trace trace;
    asked.tokens = VisualStage{pipeline, run, hooks, trace}.encode(images, asked.prompt, nullptr);
    pipeline.device().end_run(run.context(VLM_ABI_VERSION));
    return asked;
}

std::string padded(size_t number) {
    char text[16];
    std::snprintf(text, sizeof text, "%03zu", number);
    return text;
}

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
    const bool in_sequence = pipeline.connector().description().delivery == VLM_DELIVERY_INLINE;
    ordered_json report = {{"layer", shown_}, {"heads", "mean"}, {"pictures", ordered_json::array()}};
    const std::string stem = "question" + std::to_string(question + 1);
    size_t count = 0;
    bool placed = false;
    for (size_t a = 0; a < result.answers.size(); ++a) {
        const Answer& answer = result.answers[a];
        if (answer.tokens.empty()) continue;
        auto spans = per_ == "token" || per_ == "word" ? std::vector<Span>() : field_spans(answer, extra);
        // Beside rows with medicines, the other rows of a page have nothing to show.
        if (spans.empty() &&
            (per_ == "field" || (per_ == "auto" && !extra.value("drugs", ordered_json::array()).empty())))
            continue;
        if (spans.empty()) spans = token_spans(answer, per_ == "word");

        AnsweredSequence sequence;
        std::vector<const PagePart*> parts;
        for (size_t i = 0; i < asked.parts.size(); ++i) {
            if (alone && i != a) continue;
            parts.push_back(&asked.parts[i]);
            sequence.images.push_back(asked.tokens[i]);
        }
        std::vector<TokenLayout> layouts;
        for (const auto& tokens : sequence.images) layouts.push_back(tokens->layout);
        const auto segments = build_prompt(asked.prompt, layouts, pipeline.recipe().prompt,
                                           pipeline.checkpoint().tokenizer(), in_sequence);
        std::vector<int32_t> ids;
        for (const auto& token : answer.tokens) ids.push_back(token.id);
        sequence.segments = segments;
        sequence.answer = ids;
        const auto attention = answer_attention(pipeline, sequence, choice_, blocks, listeners);

        for (const auto& span : spans) {
            // By image: weights by position of its layout, the mean over the tokens of the span.
            std::vector<std::vector<float>> weights;
            for (const auto& layout : layouts) weights.emplace_back(static_cast<size_t>(layout.tokens()), 0.F);
            for (size_t t = span.begin; t < span.end; ++t)
                for (size_t p = 0; p < attention.positions.size(); ++p) {
                    const auto& position = attention.positions[p];
                    if (position.image >= 0)
                        weights[static_cast<size_t>(position.image)][static_cast<size_t>(position.position)] +=
                            attention.rows[t][p] / static_cast<float>(span.end - span.begin);
                }
            ++count;
            for (size_t page = 0; page < request.images.size(); ++page) {
                const auto& picture = request.images[page].image;
                PageHeat heat{picture.width, picture.height, {}};
                heat.values.assign(static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height), 0.F);
                ordered_json shares = ordered_json::array();
                double total = 0;
                bool any = false;
                for (size_t i = 0; i < parts.size(); ++i) {
                    if (parts[i]->page != static_cast<int>(page)) continue;
                    any = true;
                    placed |= add_heat(heat, *parts[i], layouts[i], weights[i], pipeline.manifest().image.rows);
                    for (const float weight : weights[i]) total += static_cast<double>(weight);
                    shares.push_back(weights[i]);
                }
                if (!any) continue;
                if (!placed)
                    throw unimplemented(
                        "--attention: the visual tokens of " + pipeline.connector().plugin().id() +
                        " are latents without a place on the page, so their weights cannot be drawn on it");
                const std::string file = stem + "-page" + std::to_string(page + 1) + "-" + padded(count) + ".png";
                write_png(folder_ / file, draw_heat(picture, heat, "attention " + shown_));
                const PointF peak = heat.peak();
                report["pictures"].push_back({{"file", file},
                                              {"image", request.images[page].name},
                                              {"answer", a},
                                              {"text", span.label},
                                              {"tokens", {span.begin, span.end}},
                                              {"weight_on_image", total},
                                              {"peak", {peak.x, peak.y}},
                                              {"weights", std::move(shares)}});
            }
        }
        if (!blocks) continue;
        for (const auto& block : attention_blocks(attention)) {
            const std::string file = stem + "-answer" + std::to_string(a + 1) + "-" + block.name + ".png";
            if (!block.weights.empty()) write_png(folder_ / file, draw_block(block));
            report["blocks"].push_back({{"file", block.weights.empty() ? ordered_json() : ordered_json(file)},
                                        {"answer", a},
                                        {"from_to", block.name},
                                        {"rows", block.rows},
                                        {"columns", block.columns},
                                        {"mean", block.mean},
                                        {"max", block.max}});
        }
    }
    const auto path = folder_ / ("attention-" + std::to_string(question + 1) + ".json");
    std::ofstream out(path, std::ios::binary);
    out << report.dump(1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
    if (!out.flush()) throw Error(VLM_STATUS_PERMISSION_DENIED, path.string() + ": cannot be written");
}

}  // namespace vlm::cli
