/** @file attention_test.cpp
 *  Attention pictures: the weights are those of transformers (tests/data/attention says how they were made), and they
 * are drawn where the model looked.
 */
#include "host/pipeline/attention.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/attention_picture.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/score.hpp"
#include "host/weights/mapped_file.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

std::span<const float> floats(const TensorView& tensor) {
    return {static_cast<const float*>(tensor.data), static_cast<size_t>(tensor.elements())};
}

/** Case 0 of a reference folder, read as its attention is looked at. */
struct Subject {
    explicit Subject(const std::string& name, const std::string& reducer = "") {
        folder = fs::path(VLM_GOLDEN_DIR) / name;
        if (!fs::exists(folder / "inputs.json") || !fs::exists(fs::path(VLM_PLUGIN_DIR) / "libvlm_decoder.so")) return;
        OpenOptions options;
        options.plugin_folders.emplace_back(VLM_PLUGIN_DIR);
        const std::string text = R"({"model": ")" + folder.string() + R"(", "dtype": "f32", "pipeline": {)" +
                                 (reducer.empty() ? "" : R"("token_reducers": [)" + reducer + "]") +
                                 R"(}, "generation": {"ignore_eos": true, "max_new_tokens": 6}})";
        pipeline = Pipeline::open(with_attention_shown(Manifest::from_text(text, "test", ".")), options);
        const auto inputs = json::Document::from_file((folder / "inputs.json").string());
        const auto first = inputs["cases"].at(0);
        request.raw_prompt = true;
        request.prompt = first["prompt"].as_string();
        const auto& markers = pipeline->recipe().prompt.markers;
        for (size_t at = request.prompt.find("{}"); at != std::string::npos; at = request.prompt.find("{}"))
            request.prompt.replace(at, 2, markers.front());
        for (const auto& image : first["images"].as_strings())
            request.images.push_back({image, decode_file(folder / image, {}, pipeline->recipe().color_mode)});

        ready = PipelineRun(*pipeline, {}).prepare(request.images, pipeline->render_prompt(request));
    }
    AnswerAttention attention(const std::vector<int32_t>& ids, const std::string& layer, bool prompt = false) const {
        return answer_attention(*pipeline, {ready.segments, ready.images, ids}, attention_choice(layer), prompt);
    }

    fs::path folder;
    std::unique_ptr<Pipeline> pipeline;
    Request request;
    ReadyPrompt ready;
};

/** A file of tests/data/attention whose checkpoint is the one in the reference folder; NULL when that differs. */
std::shared_ptr<const WeightStore> reference(const std::string& name, const fs::path& folder) {
    auto store = WeightStore::open(fs::path(VLM_TEST_DATA) / "attention" / (name + ".safetensors"));
    const auto& sha = store->at("weights.sha256");
    std::string hex;
    for (int64_t i = 0; i < sha.elements(); ++i) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", static_cast<const uint8_t*>(sha.data)[i]);
        hex += two;
    }
    return MappedFile::open(folder / "model.safetensors").sha256() == hex ? store : nullptr;
}

class Transformers : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, Transformers, testing::Values("llava", "fuyu", "qwen2_vl"));

TEST_P(Transformers, HasTheSameWeights) {
    constexpr float kTolerance = 1e-5F;
    const Subject subject(GetParam());
    if (!subject.pipeline) GTEST_SKIP() << "no reference folder " << subject.folder;
    const auto store = reference(GetParam(), subject.folder);
    if (!store) GTEST_SKIP() << "tests/data/attention was made from another " << subject.folder;
    const auto& id_view = store->at("ids");
    const std::vector<int32_t> ids(static_cast<const int32_t*>(id_view.data),
                                   static_cast<const int32_t*>(id_view.data) + id_view.elements());
    const auto& shape = store->at("attention").shape;  // [layers, tokens, positions]
    const auto expected = floats(store->at("attention"));
    const auto tokens = static_cast<size_t>(shape[1]), positions = static_cast<size_t>(shape[2]);
    const auto compare = [&](const AnswerAttention& got, auto value) {
        ASSERT_EQ(got.rows.size(), tokens);
        ASSERT_EQ(got.positions.size(), positions);
        float worst = 0;
        for (size_t t = 0; t < tokens; ++t)
            for (size_t p = 0; p < positions; ++p) worst = std::max(worst, std::abs(got.rows[t][p] - value(t, p)));
        EXPECT_LT(worst, kTolerance);
    };
    for (int64_t layer = 0; layer < shape[0]; ++layer)
        compare(subject.attention(ids, std::to_string(layer)), [&](size_t t, size_t p) {
            return expected[(static_cast<size_t>(layer) * tokens + t) * positions + p];
        });
    compare(subject.attention(ids, "mean"), [&](size_t t, size_t p) {
        float sum = 0;
        for (int64_t layer = 0; layer < shape[0]; ++layer)
            sum += expected[(static_cast<size_t>(layer) * tokens + t) * positions + p];
        return sum / static_cast<float>(shape[0]);
    });
    const auto rollout = floats(store->at("rollout"));
    compare(subject.attention(ids, "rollout"), [&](size_t t, size_t p) { return rollout[t * positions + p]; });

    const auto blocks = floats(store->at("blocks"));
    for (int64_t layer = 0; layer < shape[0]; ++layer) {
        const auto got = attention_blocks(subject.attention(ids, std::to_string(layer), true));
        ASSERT_EQ(got.size(), 4U);
        for (size_t b = 0; b < 4; ++b) {
            const auto at = static_cast<size_t>(layer) * 8 + 2 * b;
            EXPECT_NEAR(got[b].mean, static_cast<double>(blocks[at]), 1e-5) << got[b].name << " of layer " << layer;
            EXPECT_NEAR(got[b].max, static_cast<double>(blocks[at + 1]), 1e-5) << got[b].name << " of layer " << layer;
        }
    }
    EXPECT_THROW(subject.attention(ids, std::to_string(shape[0])), Error);
}

TEST_P(Transformers, GivesAnAnswerTheSameScore) {
    const Subject subject(GetParam());
    if (!subject.pipeline) GTEST_SKIP() << "no reference folder " << subject.folder;
    const auto store = reference(GetParam(), subject.folder);
    if (!store) GTEST_SKIP() << "tests/data/attention was made from another " << subject.folder;
    const auto logprobs = floats(store->at("answer.logprobs"));
    const std::string answer = "A red circle, 42 mg.";
    // Together with other answers, and alone.
    const auto together = score_answers(*subject.pipeline, subject.request, {"No.", answer, "A cat"}, false);
    const auto alone = score_answers(*subject.pipeline, subject.request, {answer}, false);
    for (const Score& score : {together.at(1), alone.at(0)}) {
        ASSERT_EQ(score.tokens.size(), logprobs.size());
        for (size_t i = 0; i < logprobs.size(); ++i) EXPECT_NEAR(score.tokens[i].log_probability, logprobs[i], 1e-4F);
        EXPECT_NEAR(score.loss, static_cast<double>(floats(store->at("answer.loss"))[0]), 2e-5);
    }
}

TEST(Attention, AgreesWithReferenceBlocksOfEarlyFusion) {
    int tried = 0;
    for (const char* name : {"early_fusion", "early_fusion_interleaved", "hybrid_early_fusion"}) {
        const Subject subject(name);
        if (!subject.pipeline) continue;
        const auto expected = WeightStore::open(subject.folder / "expected.safetensors");
        const auto* first = expected->find("case0.attn.layer0.blocks");
        if (first == nullptr) continue;
        ++tried;
        for (const auto& [layer, view] :
             {std::pair{"0", first}, std::pair{"-1", &expected->at("case0.attn.last.blocks")}}) {
            const auto blocks = attention_blocks(subject.attention({1}, layer, true));
            const auto values = floats(*view);
            ASSERT_EQ(values.size(), 8U);
            for (size_t b = 0; b < 4; ++b) {
                EXPECT_NEAR(blocks[b].mean, static_cast<double>(values[2 * b]), 1e-5) << name << blocks[b].name;
                EXPECT_NEAR(blocks[b].max, static_cast<double>(values[2 * b + 1]), 1e-5) << name << blocks[b].name;
            }
        }
    }
    if (tried == 0) GTEST_SKIP() << "no reference folders of early fusion in " << VLM_GOLDEN_DIR;
}

TEST(Attention, RowsAddUpToOneWhateverTheModelDoesToItsTokens) {
    int tried = 0;
    const std::pair<const char*, const char*> cases[] = {
        {"paligemma", ""},
        {"llava_next", ""},
        {"internvl", ""},
        {"llava", R"({"plugin": "org.vlmhost.fastv", "options": {"layer": 1, "ratio": 0.5}})"},
        {"llava", R"({"plugin": "org.vlmhost.dymu", "options": {"r": 2}})"}};
    for (const auto& [name, reducer] : cases) {
        const Subject subject(name, reducer);
        if (!subject.pipeline) continue;
        ++tried;
        for (const char* layer : {"0", "-1", "mean", "rollout"}) {
            const auto got = subject.attention({5, 6, 7}, layer);
            for (const auto& row : got.rows) {
                double sum = 0;
                for (const float weight : row) sum += static_cast<double>(weight);
                EXPECT_NEAR(sum, 1, 1e-4) << name << " " << reducer << " " << layer;
            }
        }
    }
    if (tried == 0) GTEST_SKIP() << "no reference folders in " << VLM_GOLDEN_DIR;
}

TEST(Attention, OfAMemoryGoesToTheLatestImage) {
    const Subject subject("idefics");
    if (!subject.pipeline || subject.ready.images.size() < 2)
        GTEST_SKIP() << "no reference folder with two images as memory";
    const auto got = subject.attention({5, 6}, "mean");
    for (const auto& row : got.rows) {
        double latest = 0, other = 0;
        for (size_t p = 0; p < row.size(); ++p)
            (got.positions[p].image + 1 == static_cast<int>(subject.ready.images.size()) ? latest : other) +=
                static_cast<double>(row[p]);
        EXPECT_NEAR(latest, 1, 1e-4);
        EXPECT_EQ(other, 0);
    }
    EXPECT_THROW(subject.attention({5}, "rollout"), Error);
}

TEST(Attention, ChoicesAreChecked) {
    EXPECT_EQ(attention_choice("-1").layer, -1);
    EXPECT_EQ(attention_choice("rollout").kind, AttentionChoice::Kind::rollout);
    for (const char* wrong : {"", "1x", "last", "1.5"}) EXPECT_THROW(attention_choice(wrong), Error) << wrong;
}

vlm_token_block grid(int64_t first, int32_t rows, int32_t columns, std::array<float, 4> region, uint32_t flags = 0) {
    vlm_token_block block{};
    block.struct_size = sizeof block;
    block.abi_version = VLM_ABI_VERSION;
    block.kind = VLM_BLOCK_GRID;
    block.flags = flags;
    block.first = first;
    block.rows = rows;
    block.columns = columns;
    block.tokens = rows * (columns + ((flags & VLM_BLOCK_FLAG_ROW_END) != 0 ? 1 : 0));
    std::copy(region.begin(), region.end(), block.region);
    return block;
}

TokenLayout layout_of(const std::vector<vlm_token_block>& blocks) {
    std::vector<const vlm_token_block*> pointers;
    int64_t tokens = 0;
    for (const auto& block : blocks) {
        pointers.push_back(&block);
        tokens += block.tokens;
    }
    return {vlm_token_layout{sizeof(vlm_token_layout), VLM_ABI_VERSION, tokens, static_cast<uint32_t>(blocks.size()), 0,
                             pointers.data()},
            "test"};
}

PageHeat heat_of(const TokenLayout& layout, const std::vector<float>& weights, const PagePart& part, int width,
                 int height) {
    PageHeat heat{width, height, std::vector<float>(static_cast<size_t>(width) * static_cast<size_t>(height), 0.F)};
    EXPECT_TRUE(add_heat(heat, part, layout, weights, {}));
    return heat;
}

TEST(AttentionPicture, IsHotWhereTheTokenLooks) {
    // Rows end with a newline token, which has no place.
    const auto layout = layout_of({grid(0, 4, 5, {0, 0, 1, 1}, VLM_BLOCK_FLAG_ROW_END)});
    std::vector<float> weights(24, 0.01F);
    weights[6 * 2 + 3] = 0.5F;  // row 2, column 3
    weights[6 * 2 + 5] = 0.9F;  // a newline
    const auto heat = heat_of(layout, weights, {}, 100, 80);
    EXPECT_NEAR(heat.peak().x, 70, 1);
    EXPECT_NEAR(heat.peak().y, 50, 1);
    const Image picture = draw_heat(make_image(100, 80, 3, 255), heat, "test");
    EXPECT_GT(picture.height, 80) << "the legend stands below";
    const auto yellow = [&](int x, int y) { return picture.row(y)[3 * x] - picture.row(y)[3 * x + 2]; };
    EXPECT_GT(yellow(70, 50), yellow(10, 10) + 80);
}

TEST(AttentionPicture, AddsTilesAndTheViewOfTheWhole) {
    const auto layout = layout_of({grid(0, 2, 2, {0, 0, 1, 1}, VLM_BLOCK_FLAG_GLOBAL), grid(4, 2, 2, {0, 0, 0.5F, 1}),
                                   grid(8, 2, 2, {0.5F, 0, 1, 1})});
    std::vector<float> weights(12, 0.F);
    weights[1] = 0.25F;      // whole: top right
    weights[8 + 2] = 0.25F;  // right tile: bottom left
    const auto heat = heat_of(layout, weights, {}, 80, 80);
    EXPECT_NEAR(heat.peak().x, 50, 1) << "the tile's patch is smaller, so it is hotter";
    EXPECT_NEAR(heat.peak().y, 60, 1);
    double sum = 0;
    for (const float value : heat.values) sum += static_cast<double>(value);
    EXPECT_NEAR(sum / (80 * 80), 0.5, 1e-4) << "no weight is lost";
}

TEST(AttentionPicture, PutsARowBackOnItsPage) {
    // Two words far apart: the row's picture is shorter than the page, because the blank between them is cut down.
    Image page = make_image(600, 200, 3, 255);
    const auto ink = [&page](int left, int top, int right, int bottom) {
        for (int x = left; x < right; x += 6)
            blend_box(page, {x, top, std::min(x + 3, right), bottom}, {0, 0, 0, 255}, 1);
    };
    ink(40, 80, 140, 100);
    ink(440, 80, 540, 100);
    ImageManifest options;
    options.split_rows = true;
    const auto parts = split_pages({{"page", page}}, options);
    ASSERT_EQ(parts.size(), 1U);
    const int columns = parts[0].image.image.width / 16;
    const auto layout = layout_of({grid(0, 1, columns, {0, 0, 1, 1})});
    std::vector<float> weights(static_cast<size_t>(columns), 0.F);
    weights[static_cast<size_t>(columns) - 2] = 1;  // in the second word
    PageHeat heat{600, 200, std::vector<float>(600 * 200, 0.F)};
    ASSERT_TRUE(add_heat(heat, parts[0], layout, weights, options.rows));
    EXPECT_GT(heat.peak().x, 440);
    EXPECT_LT(heat.peak().x, 545);
    EXPECT_NEAR(heat.peak().y, 90, 8);
}

TEST(AttentionPicture, LatentsHaveNoPlace) {
    auto block = grid(0, 1, 6, {0, 0, 0, 0});
    block.kind = VLM_BLOCK_LATENT;
    PageHeat heat{10, 10, std::vector<float>(100, 0.F)};
    EXPECT_FALSE(add_heat(heat, {}, layout_of({block}), std::vector<float>(6, 0.1F), {}));
}

}  // namespace
}  // namespace vlm
