/** @file reducers_test.cpp
 *  Reducers in whole pipelines: settings that cannot work are refused before weights are read, and settings that reduce
 * nothing change no bit of what a model computes.
 */
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/prompt.hpp"

namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

using List = std::vector<json>;

fs::path golden(const std::string& name) {
    return fs::path(VLM_GOLDEN_DIR) / name;
}

json dymu(json options) {
    return {{"plugin", "org.vlmhost.dymu"}, {"options", std::move(options)}};
}

json fastv(json options) {
    return {{"plugin", "org.vlmhost.fastv"}, {"options", std::move(options)}};
}

std::unique_ptr<vlm::Pipeline> open(const fs::path& folder, const List& reducers, bool load,
                                    const std::string& dtype = "f32") {
    json manifest = {{"model", folder.string()}, {"dtype", dtype}, {"threads", 2}};
    manifest["pipeline"]["token_reducers"] = reducers;
    vlm::OpenOptions options;
    options.load_weights = load;
    options.plugin_folders = {VLM_PLUGIN_DIR};
    return vlm::Pipeline::open(vlm::Manifest::from_text(manifest.dump(), "test manifest", folder), options);
}

std::string refusal(const std::string& model, const List& reducers) {
    try {
        open(golden(model), reducers, false);
    } catch (const vlm::Error& error) {
        return error.what();
    }
    return "accepted";
}

#define SKIP_WITHOUT(model) \
    if (!fs::exists(golden(model) / "config.json")) GTEST_SKIP() << "no golden checkpoint at " << golden(model)

TEST(Reducers, ImpossibleSettingsAreRefusedByNameBeforeWeightsAreRead) {
    SKIP_WITHOUT("dymu");
    const auto layers = open(golden("dymu"), List(), false)->encoder().description().layers;
    const auto count = static_cast<size_t>(layers);
    EXPECT_EQ(refusal("dymu", {dymu({{"thresholds", std::vector<double>(count, 0.9)}})}), "accepted");
    EXPECT_THAT(refusal("dymu", {dymu({{"thresholds", std::vector<double>(count + 1, 0.9)}})}),
                AllOf(HasSubstr("dymu"), HasSubstr("'thresholds' has " + std::to_string(count + 1)),
                      HasSubstr(std::to_string(layers) + " layers"), HasSubstr("calibrate")));
    const json file = {{"kind", "dymu"}, {"thresholds", std::vector<double>(count, 0.9)}, {"images", 3}};
    EXPECT_EQ(refusal("dymu", {dymu({{"thresholds", file}})}), "accepted");
    EXPECT_THAT(refusal("dymu", {dymu({{"thresholds", {{"kind", "fastv"}, {"thresholds", {0.5}}}}})}),
                HasSubstr("'thresholds' is an object"));
    EXPECT_THAT(refusal("dymu", {dymu({{"thresholds", json::object()}})}), HasSubstr("'thresholds' is an object"));
    EXPECT_THAT(refusal("dymu", {dymu({{"thresholds", json::array()}})}), HasSubstr("exactly one of 'thresholds'"));
    EXPECT_THAT(refusal("dymu", {dymu({{"tokens", 0}})}), HasSubstr("'tokens' must be at least 1, found 0"));
    EXPECT_THAT(refusal("dymu", {dymu({{"r", {1, -1}}})}), HasSubstr("'r' must not be negative"));
    EXPECT_THAT(refusal("dymu", {dymu({{"r", {1, 2, 3, 4, 5, 6, 7}}})}), HasSubstr("'r' has 7 values"));
    EXPECT_THAT(refusal("dymu", {dymu({{"tokens", 4}, {"r", 1}})}), HasSubstr("exactly one of"));
    EXPECT_THAT(refusal("dymu", {dymu({{"treshold", 0.5}, {"r", 1}})}), HasSubstr("treshold"));

    const auto depth = open(golden("dymu"), List(), false)->backbone().description().layers;
    EXPECT_THAT(refusal("dymu", {fastv({{"layer", depth}})}),
                AllOf(HasSubstr("fastv"), HasSubstr("'layer' is " + std::to_string(depth)),
                      HasSubstr("only " + std::to_string(depth) + " layers")));
    EXPECT_THAT(refusal("dymu", {fastv({{"layer", 0}})}), HasSubstr("'layer' must be at least 1"));
    EXPECT_THAT(refusal("dymu", {fastv({{"ratio", 1.0}})}), HasSubstr("something must be kept"));
    EXPECT_THAT(refusal("dymu", {fastv({{"ratio", -0.1}})}), HasSubstr("'ratio'"));
    EXPECT_THAT(refusal("dymu", {fastv({{"keep", 0}})}), HasSubstr("'keep' is the part that stays, above 0"));
    EXPECT_THAT(refusal("dymu", {fastv({{"keep", 1.5}})}), HasSubstr("'keep'"));
    EXPECT_THAT(refusal("dymu", {fastv({{"keep", 0.5}, {"ratio", 0.5}})}), HasSubstr("not both"));
    EXPECT_THAT(refusal("dymu", {fastv({{"score", "median"}})}), HasSubstr("'median'"));
    EXPECT_THAT(refusal("dymu", {fastv({{"layer", 1}}), fastv({{"layer", 2}})}), HasSubstr("one place takes one"));
}

TEST(Reducers, AFamilyWithoutTheHookIsRefusedByName) {
    struct {
        const char* model;
        json reducer;
        const char* says;
    } const kCases[] = {{"fuyu", dymu({{"r", 1}}), "org.vlmhost.dymu works inside encoder layers"},
                        {"qwen2_vl", dymu({{"r", 1}}), "org.vlmhost.dymu works inside encoder layers"},
                        {"clip", fastv({{"layer", 1}}), "org.vlmhost.fastv works between backbone layers"},
                        {"vilt", fastv({{"layer", 1}}), "org.vlmhost.fastv works between backbone layers"},
                        {"llava_next", dymu({{"r", 1}}), "needs the whole grid"}};
    int tried = 0;
    for (const auto& c : kCases) {
        if (!fs::exists(golden(c.model) / "config.json")) continue;
        ++tried;
        EXPECT_THAT(refusal(c.model, {c.reducer}), HasSubstr(c.says)) << c.model;
    }
    if (tried == 0) GTEST_SKIP() << "no golden checkpoints at " << VLM_GOLDEN_DIR;
}

/** What a model computed for the first case of its folder, in as many sequences as asked for. */
struct Numbers {
    std::vector<float> visual;
    std::vector<float> logits;
    bool operator==(const Numbers& other) const {
        const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
            return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
        };
        return same(visual, other.visual) && same(logits, other.logits);
    }
};

Numbers compute(const fs::path& folder, const List& reducers, const std::string& dtype = "f32", size_t sequences = 1) {
    const auto pipeline = open(folder, reducers, true, dtype);
    const json inputs = json::parse(vlm::json::Document::from_file((folder / "inputs.json").string()).root().dump());
    const json& first = inputs.at("cases").at(0);
    std::vector<vlm::NamedImage> images;
    for (const auto& image : first.at("images"))
        images.push_back(
            {image, vlm::decode_file(folder / image.get<std::string>(), {}, pipeline->recipe().color_mode)});
    const auto& markers = pipeline->recipe().prompt.markers;
    std::string prompt = first.at("prompt");
    for (size_t at; !markers.empty() && (at = prompt.find("{}")) != std::string::npos;)
        prompt.replace(at, 2, markers.front());

    vlm::PipelineRun run(*pipeline, {});
    const auto ready = run.prepare(images, prompt);
    Numbers numbers;
    for (const auto& image : ready.images) {
        const auto rows = image->rows.span<float>();
        numbers.visual.insert(numbers.visual.end(), rows.begin(), rows.end());
    }
    std::vector<std::unique_ptr<vlm::Backbone::Context>> contexts;
    while (contexts.size() < sequences)
        contexts.push_back(pipeline->backbone().create_context(run.run(), vlm::segment_tokens(ready.segments) + 2));
    const std::vector<vlm::Segment> next = {{{5}, -1, 0, 1}};
    for (const auto* step : {&ready.segments, &next}) {
        const auto& with = step == &next ? std::vector<const vlm::VisualTokens*>{} : ready.visual();
        std::vector<vlm::Backbone::Request> requests;
        for (const auto& context : contexts) requests.push_back({context.get(), *step, with, VLM_LOGITS_ALL});
        for (const auto& out : pipeline->backbone().run(run.run(), requests, pipeline->device().allocator())) {
            const auto logits = out.rows.span<float>();
            numbers.logits.insert(numbers.logits.end(), logits.begin(), logits.end());
        }
    }
    return numbers;
}

TEST(Reducers, SettingsThatReduceNothingChangeNoBit) {
    SKIP_WITHOUT("llava");
    std::set<std::string> merging, pruning;
    for (const auto& entry : fs::directory_iterator(VLM_GOLDEN_DIR)) {
        const fs::path folder = entry.path();
        if (!fs::exists(folder / "inputs.json")) continue;
        const auto plain = open(folder, List(), false);
        if (plain->backbone().description().output != VLM_OUTPUT_LOGITS) continue;
        const auto layers = static_cast<size_t>(plain->encoder().description().layers);
        const json merge = dymu({{"thresholds", std::vector<double>(layers, 1.0)}});
        const json prune = fastv({{"layer", 1}, {"keep", 1.0}});
        const std::string name = folder.filename();
        Numbers want, want_batch;
        const auto try_out = [&](const List& reducers, std::set<std::string>& done) {
            if (refusal(name, reducers) != "accepted") return;
            if (want.logits.empty()) want = compute(folder, List());
            if (want_batch.logits.empty()) want_batch = compute(folder, List(), "bf16", 3);
            EXPECT_TRUE(compute(folder, reducers) == want) << name << " with " << json(reducers);
            EXPECT_TRUE(compute(folder, reducers, "bf16", 3) == want_batch)
                << name << " with " << json(reducers) << ", three sequences in bf16";
            done.insert(name);
        };
        try_out({merge}, merging);
        try_out({prune}, pruning);
        if (merging.contains(name) && pruning.contains(name)) try_out({merge, prune}, merging);
    }
    EXPECT_TRUE(merging.contains("llava")) << "nothing was tried";
    EXPECT_TRUE(pruning.contains("llava"));
    // And the comparison can fail.
    EXPECT_FALSE(compute(golden("llava"), {fastv({{"layer", 1}, {"keep", 0.5}})}) == compute(golden("llava"), List()));
}

/** A page with print in its upper half and paper below. */
vlm::NamedImage half_printed() {
    vlm::NamedImage page{"page", vlm::make_image(64, 64, 3, 255)};
    for (int y = 0; y < 32; ++y)
        for (int x = 0; x < 64; x += 4) std::fill_n(page.image.row(y) + 3 * x, 6, uint8_t{0});
    return page;
}

TEST(Reducers, ProtectedPrintIsNeverDropped) {
    SKIP_WITHOUT("llava");
    vlm::GenerationOptions generation;
    generation.max_new_tokens = 1;
    vlm::Request request;
    request.prompt = "<image> a";
    request.images = {half_printed()};
    const auto dropped = [&](const json& options, const List& others = {}) {
        List reducers = others;
        reducers.push_back(fastv(options));
        const auto pipeline = open(golden("fastv"), reducers, true);
        const auto result = pipeline->answer({request}, generation).front();
        const auto& rows = result.reduced_images.at(0).row_of_position;
        const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
        return std::pair(std::count(rows.begin(), middle, -1), std::count(middle, rows.end(), -1));
    };
    // A model with random weights looks anywhere, so without protection print is lost too.
    const auto [print, paper] = dropped({{"layer", 1}, {"ratio", 0.5}});
    EXPECT_GT(print, 0);
    const auto [kept_print, lost_paper] = dropped({{"layer", 1}, {"ratio", 0.5}, {"protect", true}});
    EXPECT_EQ(kept_print, 0);
    EXPECT_EQ(lost_paper, print + paper) << "as many as before, but paper";
    EXPECT_EQ(dropped({{"layer", 1}, {"ratio", 0.9}, {"protect", 0.2}}).first, 0) << "even when fewer can go";
    EXPECT_EQ(dropped({{"layer", 1}, {"ratio", 0.5}, {"protect", false}}), std::pair(print, paper));
    // Of a merged token all patches stay when one of them is print.
    EXPECT_EQ(dropped({{"layer", 1}, {"ratio", 0.5}, {"protect", true}}, {dymu({{"tokens", 40}})}).first, 0);
    EXPECT_THAT(refusal("fastv", {fastv({{"layer", 1}, {"protect", 2}})}), HasSubstr("protect"));
}

TEST(Reducers, ResultsSayWhatWasMergedAndPrunedAndTheTraceCountsIt) {
    SKIP_WITHOUT("hybrid");
    const auto pipeline = open(golden("hybrid"), {dymu({{"tokens", 20}}), fastv({{"layer", 2}, {"keep", 0.5}})}, true);
    vlm::GenerationOptions generation;
    generation.max_new_tokens = 2;
    vlm::Request one;
    one.prompt = "<image> a <image>";
    one.images = {half_printed(), half_printed()};
    vlm::Request other = one;
    other.images.pop_back();
    other.prompt = "<image> b";
    vlm::Request text;
    text.prompt = "no image";
    vlm::Trace trace;
    const auto results = pipeline->answer({text, one, other}, generation, {}, {}, &trace);
    EXPECT_TRUE(results[0].reduced_images.empty());
    for (size_t r : {1U, 2U}) {
        const auto& result = results[r];
        int64_t pruned = 0, rows = 0, positions = 0;
        ASSERT_EQ(result.reduced_images.size(), result.images.size());
        for (const auto& image : result.reduced_images) {
            pruned += std::count(image.row_of_position.begin(), image.row_of_position.end(), -1);
            rows += image.rows();
            positions += image.layout.tokens();
        }
        EXPECT_EQ(result.tokens.visual, positions);
        EXPECT_EQ(result.tokens.pruned, pruned) << r;
        EXPECT_EQ(positions - result.tokens.merged, 20 * static_cast<int64_t>(result.images.size())) << r;
        EXPECT_EQ(rows, 10 * static_cast<int64_t>(result.images.size())) << "half of the tokens stay, over all images";
    }
    const auto file = fs::temp_directory_path() / "vlm_reducers_trace.json";
    trace.write_chrome(file);
    const json written = json::parse(vlm::json::Document::from_file(file.string()).root().dump());
    std::map<std::string, int64_t> counted;
    for (const auto& event : written.at("traceEvents"))
        if (event.at("ph") == "C") counted[event.at("name")] += event.at("args").at("value").get<int64_t>();
    EXPECT_EQ(counted["tokens in"], results[1].tokens.visual + results[2].tokens.visual);
    EXPECT_EQ(counted["tokens merged"], results[1].tokens.merged + results[2].tokens.merged);
    EXPECT_EQ(counted["tokens pruned"], results[1].tokens.pruned + results[2].tokens.pruned);
    EXPECT_EQ(counted["KV bytes"],
              results[0].tokens.kv_bytes + results[1].tokens.kv_bytes + results[2].tokens.kv_bytes);
    fs::remove(file);
}

}  // namespace
