/** @file generate_test.cpp
 *  What may never change an answer: guessing ahead, and who else is in the batch. The model is a tiny one with random
 *  weights, whose answers soon repeat themselves; models of the reference folder are tried where they are.
 */
#include "host/pipeline/generate.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "host/bench/random_checkpoint.hpp"
#include "host/image/decode.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/session.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

std::vector<int32_t> ids_of(const Result& result) {
    std::vector<int32_t> ids;
    for (const auto& answer : result.answers)
        for (const auto& token : answer.tokens) ids.push_back(token.id);
    return ids;
}

class Generate : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!fs::exists(fs::path(VLM_PLUGIN_DIR) / "libvlm_decoder.so"))
            GTEST_SKIP() << "no plugins in " << VLM_PLUGIN_DIR;
        folder_ = fs::path(testing::TempDir()) / ("vlm_generate_" + std::to_string(getpid()));
    }
    void TearDown() override { fs::remove_all(folder_); }

    static std::shared_ptr<Pipeline> open(Manifest manifest) {
        OpenOptions options;
        options.plugin_folders.emplace_back(VLM_PLUGIN_DIR);
        return Pipeline::open(std::move(manifest), options);
    }
    Manifest tiny() const {
        Manifest manifest = Manifest::for_model(bench::ensure_checkpoint(bench::model_shape("tiny"), folder_));
        manifest.dtype = "f32";
        manifest.generation.ignore_eos = true;
        manifest.generation.max_new_tokens = 80;
        return manifest;
    }
    static Request request(const std::string& prompt) {
        Request r;
        r.prompt = prompt;
        r.images.push_back({"page", make_image(60, 40, 3, 128)});
        return r;
    }
    /** Calls of the backbone behind the first. */
    int steps(const Trace& trace) const {
        const fs::path file = folder_ / "trace.json";
        trace.write_chrome(file);
        std::ifstream in(file);
        const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
        int count = 0;
        for (size_t at = text.find("\"decode\""); at != std::string::npos; at = text.find("\"decode\"", at + 1))
            ++count;
        return count;
    }

    fs::path folder_;
};

TEST_F(Generate, GuessingChangesNoTokenAndSavesSteps) {
    const auto pipeline = open(tiny());
    GenerationOptions options = pipeline->manifest().generation;
    const std::vector<Request> requests = {request("one two three one two three one two"), request("zyx")};
    Trace plain_trace;
    const auto plain = pipeline->answer(requests, options, {}, {}, &plain_trace);
    int fewest = steps(plain_trace);
    EXPECT_EQ(fewest, 79);
    for (const int64_t most : {1, 3, 10}) {
        options.prompt_lookup = most;
        Trace trace;
        const auto guessed = pipeline->answer(requests, options, {}, {}, &trace);
        for (size_t i = 0; i < requests.size(); ++i) {
            EXPECT_EQ(ids_of(guessed[i]), ids_of(plain[i])) << most;
            EXPECT_EQ(guessed[i].text, plain[i].text) << most;
        }
        fewest = std::min(fewest, steps(trace));
    }
    EXPECT_LT(fewest, 79) << "no guess was ever right";
}

TEST_F(Generate, GuessesChangeNoBitOfAProbabilityOnTheCpu) {
    for (const std::string arithmetic : {"f32 f32", "bf16 bf16", "bf16 int8", "bf16 int4"}) {
        Manifest manifest = tiny();
        manifest.dtype = arithmetic.substr(0, arithmetic.find(' '));
        manifest.weights = arithmetic.substr(arithmetic.find(' ') + 1);
        const auto pipeline = open(manifest);
        GenerationOptions options = manifest.generation;
        const std::vector<Request> requests = {request("one two three one two three one two"), request("zyx"),
                                               request("yyyyyyyyyyyy")};
        const auto plain = pipeline->answer(requests, options);
        options.prompt_lookup = GenerationLimits::kMostGuesses;
        const auto guessed = pipeline->answer(requests, options);
        int64_t accepted = 0;
        for (size_t i = 0; i < requests.size(); ++i) {
            const auto &a = plain[i].answers.front().tokens, &b = guessed[i].answers.front().tokens;
            ASSERT_EQ(ids_of(plain[i]), ids_of(guessed[i])) << arithmetic;
            for (size_t t = 0; t < a.size(); ++t)
                ASSERT_EQ(a[t].log_probability, b[t].log_probability) << arithmetic << ", token " << t;
            EXPECT_EQ(plain[i].tokens.guesses.proposed, 0);
            EXPECT_EQ(plain[i].tokens.guesses.steps, 79);
            EXPECT_EQ(guessed[i].tokens.guesses.steps + guessed[i].tokens.guesses.accepted, 79) << arithmetic;
            EXPECT_LE(guessed[i].tokens.guesses.accepted, guessed[i].tokens.guesses.proposed);
            accepted += guessed[i].tokens.guesses.accepted;
        }
        EXPECT_GT(accepted, 0) << arithmetic << ": no guess was right, so nothing has been compared";
    }
}

TEST_F(Generate, GuessesEndWhereTheAnswerEnds) {
    const auto pipeline = open(tiny());
    GenerationOptions options = pipeline->manifest().generation;
    const auto whole = ids_of(pipeline->answer({request("stop")}, options).front());
    for (const int64_t length : {1, 2, 7, 50}) {
        options.max_new_tokens = length;
        options.prompt_lookup = 8;
        const auto result = pipeline->answer({request("stop")}, options).front();
        EXPECT_EQ(ids_of(result), std::vector<int32_t>(whole.begin(), whole.begin() + length));
        EXPECT_EQ(result.answers.front().finish, FinishReason::length);
    }
}

TEST_F(Generate, SamplingIsNotGuessed) {
    const auto pipeline = open(tiny());
    GenerationOptions options = pipeline->manifest().generation;
    options.temperature = 1;
    options.seed = 5;
    const auto plain = ids_of(pipeline->answer({request("a a a a")}, options).front());
    options.prompt_lookup = 8;
    Trace trace;
    EXPECT_EQ(ids_of(pipeline->answer({request("a a a a")}, options, {}, {}, &trace).front()), plain);
    EXPECT_EQ(steps(trace), 79);
}

TEST_F(Generate, TheCacheHoldsWhatWasAnsweredAndNoGuess) {
    const auto pipeline = open(tiny());
    std::vector<std::vector<int32_t>> turns;
    std::vector<int64_t> reused;
    for (const int64_t most : {0, 8}) {
        Session session(pipeline);
        GenerationOptions options = pipeline->manifest().generation;
        options.prompt_lookup = most;
        options.max_new_tokens = 40;
        const auto first = session.generate(request("first turn"), options);
        Request next;
        next.prompt = "and the second turn";
        const auto second = session.generate(next, options);
        turns.push_back(ids_of(first));
        turns.push_back(ids_of(second));
        reused.push_back(second.tokens.reused);
    }
    EXPECT_EQ(turns[0], turns[2]);
    EXPECT_EQ(turns[1], turns[3]);
    EXPECT_EQ(reused[0], reused[1]);
}

TEST_F(Generate, SequencesJoinTheRunningBatch) {
    Manifest manifest = tiny();
    manifest.max_context = 170;
    std::vector<Request> requests;
    std::vector<std::vector<int32_t>> alone;
    // The longer the prompt, the shorter the answer that still fits.
    for (const size_t length : {110u, 10u, 105u, 100u, 20u}) requests.push_back(request(std::string(length, 'x')));
    {
        manifest.batch = 1;
        const auto pipeline = open(manifest);
        for (const auto& r : requests) alone.push_back(ids_of(pipeline->answer({r}, manifest.generation).front()));
    }
    manifest.batch = 2;
    const auto pipeline = open(manifest);
    Trace trace;
    const auto together = pipeline->answer(requests, manifest.generation, {}, {}, &trace);
    size_t most = 0, sum = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(ids_of(together[i]), alone[i]) << i;
        most = std::max(most, alone[i].size());
        sum += alone[i].size();
    }
    EXPECT_NE(alone[0].size(), alone[1].size()) << "the answers must differ in length to show anything";
    // Two at a time without waiting; pairs that wait for each other would take the sum of the longer ones.
    EXPECT_LT(static_cast<size_t>(steps(trace)), std::max(alone[0].size(), alone[1].size()) +
                                                     std::max(alone[2].size(), alone[3].size()) + alone[4].size() - 5);
    EXPECT_GE(static_cast<size_t>(steps(trace)), most - 1);
    EXPECT_GT(sum, most);
}

/** Folders of reference models, also with a reducer in their pipeline. */
TEST_F(Generate, GuessingChangesNoTokenOfReferenceModels) {
    struct Case {
        const char* folder;
        const char* reducer;
    };
    constexpr Case kCases[] = {{"llava", nullptr},
                               {"qwen2_vl", nullptr},
                               {"paligemma", nullptr},
                               {"idefics", nullptr},
                               {"fuyu", nullptr},
                               {"early_fusion_interleaved", nullptr},
                               {"llava", R"({"plugin": "org.vlmhost.fastv", "options": {"layer": 1, "ratio": 0.5}})"},
                               {"llava", R"({"plugin": "org.vlmhost.dymu", "options": {"r": 2}})"}};
    int tried = 0;
    for (const auto& [name, reducer] : kCases) {
        const fs::path folder = fs::path(VLM_GOLDEN_DIR) / name;
        if (!fs::exists(folder / "inputs.json")) continue;
        SCOPED_TRACE(std::string(name) + (reducer != nullptr ? reducer : ""));
        const auto inputs = json::Document::from_file((folder / "inputs.json").string());
        const auto first = inputs["cases"].at(0);
        Request question;
        question.prompt = first["prompt"].as_string();
        for (const auto& image : first["images"].as_strings())
            question.images.push_back({image, decode_file(folder / image, {})});
        const std::string text = R"({"model": ")" + folder.string() + R"(", "dtype": "f32", "pipeline": {)" +
                                 (reducer != nullptr ? std::string(R"("token_reducers": [)") + reducer + "]" : "") +
                                 R"(}, "generation": {"ignore_eos": true, "max_new_tokens": 48}})";
        const auto pipeline = open(Manifest::from_text(text, "test", "."));
        GenerationOptions options = pipeline->manifest().generation;
        const auto plain = ids_of(pipeline->answer({question}, options).front());
        options.prompt_lookup = 6;
        EXPECT_EQ(ids_of(pipeline->answer({question}, options).front()), plain);
        ++tried;
    }
    if (tried == 0) GTEST_SKIP() << "no reference folders in " << VLM_GOLDEN_DIR;
}

}  // namespace
}  // namespace vlm
