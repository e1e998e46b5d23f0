/** @file isolated_pipeline_test.cpp
 *  Whole pipelines with their plugins in processes of their own: the same bits, and the same refusals in time.
 */
#include <algorithm>
#include <fstream>

#include "host/image/decode.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/session.hpp"
#include "tests/host/isolate/isolate_fixture.hpp"

namespace vlm::isolate {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class IsolatedPipeline : public Isolate {
  protected:
    static std::unique_ptr<Pipeline> open(Manifest manifest) {
        OpenOptions options;
        options.plugin_folders = {VLM_PLUGIN_DIR, VLM_BINARY_DIR "/torture/sound_plugin.so"};
        return Pipeline::open(std::move(manifest), options);
    }
    static Manifest isolated(Manifest manifest) {
        for (auto* stage : {&manifest.vision_encoder, &manifest.connector, &manifest.backbone}) stage->isolate = true;
        for (auto& post : manifest.post_processors) post.isolate = true;
        return manifest;
    }
    static Image picture() {
        Image image = make_image(96, 64, 3);
        for (size_t i = 0; i < image.pixels.size(); ++i)
            image.pixels[i] = static_cast<uint8_t>((i * i / 7 + i * 13) % 251);
        return image;
    }
    static void expect_same_bits(const Tensor& found, const Tensor& expected) {
        ASSERT_EQ(static_cast<bool>(found), static_cast<bool>(expected));
        if (!found) return;
        ASSERT_EQ(found.shape(), expected.shape());
        EXPECT_TRUE(std::ranges::equal(found.span<float>(), expected.span<float>()));
    }
    static void expect_same(const Result& found, const Result& expected) {
        EXPECT_EQ(found.text, expected.text);
        EXPECT_EQ(found.extra, expected.extra);
        EXPECT_EQ(found.tokens.kv_bytes, expected.tokens.kv_bytes);
        expect_same_bits(found.image_embeddings, expected.image_embeddings);
        ASSERT_EQ(found.answers.size(), expected.answers.size());
        for (size_t i = 0; i < found.answers.size(); ++i) {
            const auto &a = found.answers[i], &b = expected.answers[i];
            EXPECT_EQ(a.text, b.text);
            EXPECT_EQ(a.confidence, b.confidence);
            expect_same_bits(a.output, b.output);
            ASSERT_EQ(a.tokens.size(), b.tokens.size());
            for (size_t t = 0; t < a.tokens.size(); ++t) {
                EXPECT_EQ(a.tokens[t].id, b.tokens[t].id);
                EXPECT_EQ(a.tokens[t].log_probability, b.tokens[t].log_probability) << "token " << t;
            }
        }
    }
    /** Answers one question about one picture with and without isolation. */
    static void compare(const Manifest& manifest, Request request) {
        GenerationOptions options = manifest.generation;
        options.max_new_tokens = 8;
        const auto here = open(manifest);
        const Result expected = here->answer({request}, options).front();
        const auto there = open(isolated(manifest));
        const Result found = there->answer({request}, options).front();
        expect_same(found, expected);
        EXPECT_GT(there->shared_memory()->counters().calls, 0u);
    }
};

TEST_F(IsolatedPipeline, ReferenceCheckpointsAnswerWithTheSameBits) {
    size_t tried = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(VLM_GOLDEN_DIR, none)) {
        const fs::path folder = entry.path();
        if (!fs::exists(folder / "model.safetensors") || !fs::exists(folder / "prompt.txt")) continue;
        SCOPED_TRACE(folder.filename().string());
        auto manifest = Manifest::for_model(folder);
        manifest.dtype = "f32";
        manifest.threads = 2;
        Request request;
        std::ifstream text(folder / "prompt.txt");
        request.prompt.assign(std::istreambuf_iterator<char>(text), {});
        request.images.push_back({"picture", picture()});
        std::unique_ptr<Pipeline> usual;
        try {
            GenerationOptions options;
            options.max_new_tokens = 1;
            usual = open(manifest);
            usual->answer({request}, options);
        } catch (const Error&) {
            continue;  // a prompt for another number of pictures, or options that the folder needs
        }
        compare(manifest, request);
        ++tried;
    }
    if (tried == 0) GTEST_SKIP() << "no reference folder in " << VLM_GOLDEN_DIR << " could be asked";
}

TEST_F(IsolatedPipeline, ReducersInProcessesOfTheirOwnReduceWithTheSameBits) {
    const fs::path model = fs::path(VLM_GOLDEN_DIR) / "dymu";
    if (!fs::exists(model / "model.safetensors")) GTEST_SKIP() << model << " is not there";
    Request request;
    request.prompt = "<image> hello";
    request.raw_prompt = true;
    request.images.push_back({"picture", picture()});
    // Inside the layers of an encoder, of a backbone, of both, and between the stages.
    for (const char* const reducers : {R"({"plugin": "org.vlmhost.dymu", "options": {"r": [2, 3, 2, 1]}})",
                                       R"({"plugin": "org.vlmhost.fastv", "options": {"layer": 1, "ratio": 0.5}})",
                                       R"({"plugin": "org.vlmhost.dymu", "options": {"r": [2, 3, 2, 1]}},
             {"plugin": "org.vlmhost.fastv", "options": {"layer": 1, "ratio": 0.5}})",
                                       R"({"plugin": "org.vlmhost.torture"})"}) {
        SCOPED_TRACE(reducers);
        const auto manifest = Manifest::from_text(
            R"({"model": ")" + model.string() + R"(", "dtype": "f32", "threads": 2, "pipeline": {"token_reducers": [)" +
                reducers + "]}}",
            "test", ".");
        GenerationOptions options;
        options.max_new_tokens = 8;
        const Result expected = open(manifest)->answer({request}, options).front();
        ASSERT_FALSE(expected.reductions.empty());
        // The reducers, the stages that they work in, or both.
        for (const auto& [reducers_too, stages_too] : {std::pair{true, false}, {false, true}, {true, true}}) {
            SCOPED_TRACE((reducers_too ? "reducers " : "") + std::string(stages_too ? "stages" : ""));
            auto apart = stages_too ? isolated(manifest) : manifest;
            for (auto& reducer : apart.token_reducers) reducer.isolate = reducers_too;
            const auto there = open(apart);
            const Result found = there->answer({request}, options).front();
            expect_same(found, expected);
            ASSERT_EQ(found.reductions.size(), expected.reductions.size());
            for (size_t i = 0; i < found.reductions.size(); ++i)
                EXPECT_EQ(found.reductions[i].groups, expected.reductions[i].groups) << i;
            EXPECT_GT(there->shared_memory()->counters().calls, 0u);
        }
    }
}

TEST_F(IsolatedPipeline, TheMedicalSampleIsReadWithTheSameBits) {
    const fs::path file = VLM_SOURCE_DIR "/samples/medical/medical.json";
    auto manifest = Manifest::from_file(file);
    if (!fs::exists(manifest.model / "model.safetensors")) GTEST_SKIP() << "the shipped reader has no weights here";
    manifest.threads = 2;
    Request request;
    request.images.push_back({"page", decode_file(file.parent_path() / "prescription.png")});
    const auto here = open(manifest);
    const Result expected = here->answer({request}, manifest.generation).front();
    const auto there = open(isolated(manifest));
    expect_same(there->answer({request}, manifest.generation).front(), expected);
    EXPECT_THAT(expected.extra, HasSubstr("drugs"));
}

TEST_F(IsolatedPipeline, IntermediateTensorsComeAcrossWithTheSameBits) {
    const fs::path model = VLM_SOURCE_DIR "/models/rx-small";
    if (!fs::exists(model / "model.safetensors")) GTEST_SKIP() << "the shipped reader has no weights here";
    auto manifest = Manifest::for_model(model);
    manifest.dtype = "f32";
    Request request;
    request.images.push_back({"picture", picture()});
    GenerationOptions options;
    options.max_new_tokens = 2;
    using Shown = std::vector<std::pair<std::string, std::vector<char>>>;
    const auto shown = [&](const Manifest& m) {
        Shown all;
        Listeners listeners;
        listeners.tap = [&](const std::string& name, const vlm_tensor& tensor) {
            if (tensor.view.strides != nullptr) return all.emplace_back(name, std::vector<char>()), void();
            const auto size = element_count({tensor.view.shape, static_cast<size_t>(tensor.view.ndim)}) *
                              dtype_bytes(dtype_of(tensor.view));
            const auto* data = static_cast<const char*>(tensor.view.data) + tensor.view.byte_offset;
            all.emplace_back(name, std::vector<char>(data, data + size));
        };
        open(m)->answer({request}, options, listeners);
        return all;
    };
    const Shown expected = shown(manifest), found = shown(isolated(manifest));
    ASSERT_GT(expected.size(), 3u);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].first, expected[i].first);
        if (expected[i].second.empty()) continue;
        EXPECT_EQ(found[i].second, expected[i].second) << found[i].first;
    }
}

TEST_F(IsolatedPipeline, SessionsGoOnAfterTheBackboneWasLost) {
    const fs::path model = fs::path(VLM_GOLDEN_DIR) / "llava";
    if (!fs::exists(model / "model.safetensors")) GTEST_SKIP() << model << " is not there";
    auto manifest = isolated(Manifest::for_model(model));
    manifest.dtype = "f32";
    const auto pipeline = open(manifest);
    Request request;
    request.prompt = "<image> hello";
    request.raw_prompt = true;
    request.images.push_back({"picture", picture()});
    GenerationOptions options;
    options.max_new_tokens = 4;
    const std::string expected = pipeline->answer({request}, options).front().text;
    const Listeners quiet;
    vlm::Run run(pipeline->device().compute(), &quiet);
    const auto context = pipeline->backbone().create_context(run, 64);
    EXPECT_EQ(pipeline->backbone().state(*context).tokens, 0);
    for (const auto& entry : fs::directory_iterator("/proc")) {
        // All children of this process: the three stages.
        std::ifstream stat(entry.path() / "stat");
        std::string line, name;
        std::getline(stat, line);
        const size_t end = line.rfind(')');
        if (end == std::string::npos || line.find("(vlm-plugin-host") == std::string::npos) continue;
        char state = 0;
        int parent = 0;
        if (std::sscanf(line.c_str() + end + 1, " %c %d", &state, &parent) == 2 && parent == getpid())
            kill(std::stoi(entry.path().filename().string()), SIGKILL);
    }
    try {
        pipeline->backbone().state(*context);
        ADD_FAILURE() << "the conversation survived its process";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_UNAVAILABLE);
        EXPECT_THAT(error.what(), HasSubstr("killed from outside"));
    }
    try {
        pipeline->backbone().state(*context);
        ADD_FAILURE() << "the conversation came back";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_FAILED_PRECONDITION);
        EXPECT_THAT(error.what(), HasSubstr("the conversation was lost"));
    }
    // Encoder and connector were lost too: the first question to each finds out, the next is answered.
    std::string found;
    for (int attempt = 0; attempt < 3 && found.empty(); ++attempt) {
        try {
            found = pipeline->answer({request}, options).front().text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_UNAVAILABLE) << error.what();
        }
    }
    EXPECT_EQ(found, expected);
}

TEST_F(IsolatedPipeline, WhatCannotBeIsolatedIsRefusedWhenThePipelineIsChecked) {
    const fs::path model = VLM_SOURCE_DIR "/models/rx-small";
    auto manifest = isolated(Manifest::for_model(model));
    manifest.device = "cuda";
    try {
        open(manifest);
        ADD_FAILURE() << "opened on a GPU";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_FAILED_PRECONDITION);
        EXPECT_THAT(error.what(), AllOf(HasSubstr("\"isolate\""), HasSubstr("'cuda:0'")));
    }
    const auto text = [&](const std::string& rest) {
        return Manifest::from_text("{\"model\": \"" + model.string() + "\", \"pipeline\": {" + rest + "}}", "test",
                                   ".");
    };
    const auto refused = [&](const std::string& rest) -> std::string {
        try {
            text(rest);
            return "accepted";
        } catch (const Error& error) {
            return error.what();
        }
    };
    EXPECT_THAT(refused(R"("backbone": {"isolate": 1})"), HasSubstr("must be true, false or"));
    EXPECT_THAT(refused(R"("backbone": {"isolate": {"timelimit": 5}})"), HasSubstr("time_limit"));
    EXPECT_THAT(refused(R"("backbone": {"isolate": {"time_limit": 0}})"), HasSubstr("time_limit"));
    EXPECT_THAT(refused(R"("backbone": {"isolate": {"memory_mb": 0}})"), HasSubstr("memory_mb"));
    EXPECT_THAT(refused(R"("backbone": {"isolate": {"memory_mb": "1 GB"}})"), HasSubstr("memory_mb"));
    EXPECT_THAT(refused(R"("backbone": {"isolated": true})"), HasSubstr("isolate"));
    const auto read =
        text(R"("backbone": {"isolate": {"time_limit": 2.5, "memory_mb": 800}}, "connector": {"isolate": false})");
    EXPECT_TRUE(read.backbone.isolate);
    EXPECT_EQ(read.backbone.time_limit_s, 2.5);
    EXPECT_EQ(read.backbone.memory_mb, 800);
    EXPECT_EQ(read.connector.memory_mb, 0);
    EXPECT_FALSE(read.connector.isolate);
}

}  // namespace
}  // namespace vlm::isolate
