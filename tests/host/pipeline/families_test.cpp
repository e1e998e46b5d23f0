/** @file families_test.cpp
 *  What holds for every family that generates text: a batch answers as each question alone, and a conversation reads
 * only what is new. Tried with all reference folders that are there, whatever their names.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/session.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> reference_folders() {
    std::vector<fs::path> folders;
    std::error_code unreadable;
    for (const auto& entry : fs::directory_iterator(fs::path(VLM_GOLDEN_DIR), unreadable))
        if (fs::exists(entry.path() / "inputs.json") && fs::exists(entry.path() / "config.json"))
            folders.push_back(entry.path());
    std::sort(folders.begin(), folders.end());
    return folders;
}

/** The folder's model in f32; NULL when it does not generate text. */
std::shared_ptr<Pipeline> open(const fs::path& folder) {
    OpenOptions options;
    options.plugin_folders.emplace_back(VLM_PLUGIN_DIR);
    Manifest manifest = Manifest::for_model(folder.string());
    manifest.dtype = "f32";
    manifest.batch = 4;
    manifest.generation.ignore_eos = true;
    manifest.generation.max_new_tokens = 8;
    std::shared_ptr<Pipeline> pipeline = Pipeline::open(std::move(manifest), options);
    return pipeline->backbone().description().output == VLM_OUTPUT_LOGITS ? pipeline : nullptr;
}

std::vector<Request> cases_of(const fs::path& folder, const Pipeline& pipeline) {
    std::vector<Request> requests;
    const auto inputs = json::Document::from_file((folder / "inputs.json").string());
    const auto cases = inputs["cases"];
    const auto& markers = pipeline.recipe().prompt.markers;
    for (size_t i = 0; i < cases.size(); ++i) {
        Request request;
        request.raw_prompt = true;
        request.prompt = cases.at(i)["prompt"].as_string();
        for (size_t at = request.prompt.find("{}"); at != std::string::npos && !markers.empty();
             at = request.prompt.find("{}"))
            request.prompt.replace(at, 2, markers.front());
        for (const auto& image : cases.at(i)["images"].as_strings())
            request.images.push_back({image, decode_file(folder / image, {}, pipeline.recipe().color_mode)});
        requests.push_back(std::move(request));
    }
    return requests;
}

std::vector<int32_t> ids_of(const Result& result) {
    std::vector<int32_t> ids;
    for (const auto& answer : result.answers)
        for (const auto& token : answer.tokens) ids.push_back(token.id);
    return ids;
}

/** The answer alone, or nothing when the family does not take the request. */
std::optional<std::vector<int32_t>> alone(const Pipeline& pipeline, const Request& request) {
    try {
        return ids_of(pipeline.answer({request}, pipeline.manifest().generation).front());
    } catch (const Error&) {
        return std::nullopt;
    }
}

TEST(Families, ABatchAnswersAsEachQuestionAlone) {
    int tried = 0;
    for (const auto& folder : reference_folders()) {
        SCOPED_TRACE(folder.filename().string());
        const auto pipeline = open(folder);
        if (!pipeline) continue;
        auto asked = cases_of(folder, *pipeline);
        const size_t cases = asked.size();
        // Other numbers of images: those of all cases in one prompt, and none.
        Request joined;
        joined.raw_prompt = true;
        for (const auto& request : asked) {
            joined.prompt += request.prompt;
            joined.images.insert(joined.images.end(), request.images.begin(), request.images.end());
        }
        asked.push_back(joined);
        Request text;
        text.raw_prompt = true;
        text.prompt = "No picture at all, only some words.";
        asked.push_back(text);
        std::vector<Request> requests;
        std::vector<std::vector<int32_t>> expected;
        for (size_t i = 0; i < asked.size(); ++i) {
            auto answer = alone(*pipeline, asked[i]);
            ASSERT_TRUE(answer || i >= cases) << "case " << i << " is refused";
            if (!answer) continue;
            EXPECT_EQ(answer->size(), 8U);
            expected.push_back(std::move(*answer));
            requests.push_back(asked[i]);
        }
        const auto together = pipeline->answer(requests, pipeline->manifest().generation);
        for (size_t i = 0; i < requests.size(); ++i)
            EXPECT_EQ(ids_of(together[i]), expected[i]) << "request " << i << " of " << requests.size();
        ++tried;
    }
    if (tried == 0) GTEST_SKIP() << "no reference folders in " << VLM_GOLDEN_DIR;
}

TEST(Families, ASecondTurnReadsOnlyWhatIsNew) {
    int tried = 0;
    for (const auto& folder : reference_folders()) {
        SCOPED_TRACE(folder.filename().string());
        const auto pipeline = open(folder);
        if (!pipeline || pipeline->connector().description().delivery != VLM_DELIVERY_INLINE) continue;
        const auto request = cases_of(folder, *pipeline).front();
        const auto& options = pipeline->manifest().generation;
        Session session(pipeline);
        Trace first_trace, second_trace;
        const auto first = session.generate(request, options, {}, &first_trace);
        EXPECT_EQ(first.tokens.reused, 0);
        EXPECT_GT(first.tokens.visual, 0);
        EXPECT_TRUE(first_trace.totals_ms().contains("encode"));
        Request next;
        next.raw_prompt = true;
        next.prompt = " And what else is there?";
        Result second;
        try {
            second = session.generate(next, options, {}, &second_trace);
        } catch (const Error& error) {
            ADD_FAILURE() << error.what();
            continue;
        }
        // The tokens of the first turn's prompt, but for those behind which a family writes its end of a prompt.
        EXPECT_GE(second.tokens.reused, first.tokens.visual) << "the image is read once";
        EXPECT_EQ(second.tokens.visual, 0);
        EXPECT_GT(second.tokens.text, 0);
        EXPECT_FALSE(second_trace.totals_ms().contains("encode")) << "images are encoded once per session";
        // Whole conversation afresh: the same tokens, and as many as were reused and read.
        Request whole = request;
        whole.prompt += first.text + next.prompt;
        const auto fresh = pipeline->answer({whole}, options).front();
        EXPECT_EQ(second.tokens.reused + second.tokens.text, fresh.tokens.visual + fresh.tokens.text);
        // With a bidirectional prefix the earlier turn has not seen the later one, and a connector that reads the
        // prompt has read the first turn's: there the answer may differ.
        const std::set<std::string> bidirectional = {"paligemma"};
        const bool reads_prompt = pipeline->connector().description().reads_prompt != 0;
        if (!bidirectional.contains(pipeline->recipe().name) && !reads_prompt) {
            EXPECT_EQ(ids_of(second), ids_of(fresh));
        }
        ++tried;
    }
    if (tried == 0) GTEST_SKIP() << "no reference folders in " << VLM_GOLDEN_DIR;
}

}  // namespace
}  // namespace vlm
