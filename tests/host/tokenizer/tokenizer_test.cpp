/** @file tokenizer_test.cpp
 *  Equality with the reference library on recorded cases, and what it cannot show: streaming, long texts, threads,
 * refusals.
 */
#include "host/tokenizer/tokenizer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/base/error.hpp"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

/** Fixtures of make_tokenizer_goldens.py; VLM_TOKENIZER_FIXTURES names a larger corpus of the same form. */
fs::path fixtures() {
    const char* other = std::getenv("VLM_TOKENIZER_FIXTURES");
    return other ? fs::path(other) : fs::path(VLM_TEST_DATA) / "tokenizers";
}

Json read(const fs::path& path) {
    std::ifstream in(path);
    return Json::parse(in);
}

std::vector<std::string> fixture_names() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(fixtures())) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

class TokenizerFixture : public testing::TestWithParam<std::string> {
  protected:
    vlm::Tokenizer tokenizer_ = vlm::Tokenizer::from_file(fixtures() / GetParam() / "tokenizer.json");
    Json cases_ = read(fixtures() / GetParam() / "cases.json");
};

TEST_P(TokenizerFixture, EncodesAsTheReference) {
    ASSERT_GT(cases_["encode"].size(), 20u);
    for (const Json& entry : cases_["encode"]) {
        const auto text = entry[0].get<std::string>();
        EXPECT_EQ(tokenizer_.encode(text, true), entry[1].get<Ids>()) << entry[0];
        EXPECT_EQ(tokenizer_.encode(text, false), (entry[2].is_null() ? entry[1] : entry[2]).get<Ids>()) << entry[0];
    }
}

TEST_P(TokenizerFixture, DecodesAsTheReferenceAtOnceAndInAStream) {
    ASSERT_GT(cases_["decode"].size(), 10u);
    for (const Json& entry : cases_["decode"]) {
        const auto ids = entry[0].get<Ids>();
        for (const bool skip : {false, true}) {
            const auto expected = (skip && !entry[2].is_null() ? entry[2] : entry[1]).get<std::string>();
            EXPECT_EQ(tokenizer_.decode(ids, skip), expected) << entry[0];
            vlm::StreamDecoder stream(tokenizer_, skip);
            std::string joined;
            for (const std::int32_t id : ids) {
                const std::string piece = stream.push(id);
                EXPECT_NO_THROW((void)Json(piece).dump()) << "a piece is cut inside a character: " << entry[0];
                joined += piece;
            }
            EXPECT_EQ(joined + stream.finish(), expected) << entry[0];
        }
    }
}

TEST_P(TokenizerFixture, PiecesAndIdsAgreeWithTheFile) {
    const Json file = read(fixtures() / GetParam() / "tokenizer.json");
    for (const Json& token : file["added_tokens"]) {
        const auto content = token["content"].get<std::string>();
        EXPECT_EQ(tokenizer_.id_of(content), token["id"].get<std::int32_t>()) << content;
        EXPECT_EQ(tokenizer_.is_special(token["id"]), token["special"].get<bool>()) << content;
    }
    if (!file["model"]["vocab"].is_object()) return;
    EXPECT_GE(tokenizer_.vocab_size(), file["model"]["vocab"].size());
    for (const auto& [piece, id] : file["model"]["vocab"].items())
        EXPECT_EQ(tokenizer_.id_of(piece), id.get<std::int32_t>()) << piece;
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerFixture, testing::ValuesIn(fixture_names()),
                         [](const testing::TestParamInfo<std::string>& fixture) { return fixture.param; });

/** A small valid file to break in the tests below. */
Json small() {
    return Json::parse(
        R"({"version": "1.0", "added_tokens": [{"id": 4, "content": "<s>", "special": true, "normalized": false}],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": ["a b"]}})");
}

vlm::Tokenizer load(const Json& json) {
    return vlm::Tokenizer::from_json(json.dump(), "f.json");
}

/** Expects a refusal whose message holds `part`. */
void expect_refusal(const Json& json, vlm_status code, const std::string& part) {
    try {
        load(json);
        ADD_FAILURE() << "accepted, expected: " << part;
    } catch (const vlm::Error& e) {
        EXPECT_EQ(e.code(), code) << e.what();
        EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
        EXPECT_EQ(std::string(e.what()).rfind("f.json", 0), 0u) << e.what();
    }
}

TEST(Tokenizer, ReadsBothSpellingsOfMerges) {
    Json json = small();
    EXPECT_EQ(load(json).encode("abc", true), (Ids{2, 3}));
    json["model"]["merges"] = Json::array({Json::array({"a", "b"})});
    EXPECT_EQ(load(json).encode("abc", true), (Ids{2, 3}));
}

TEST(Tokenizer, RefusesBadFilesByFieldAndReason) {
    const auto bad = [](const char* path, Json value, const std::string& part,
                        vlm_status code = VLM_STATUS_INVALID_ARGUMENT) {
        Json json = small();
        json[Json::json_pointer(path)] = std::move(value);
        expect_refusal(json, code, part);
    };
    bad("/model/merges/0", "a x", "model.merges[0]: the right piece \"x\" is not in model.vocab");
    bad("/model/merges/0", "b c", "model.merges[0]: the merged piece \"bc\" is not in model.vocab");
    bad("/model/merges/0", "abc", "expected two pieces");
    bad("/model/merges/0", Json::array({"a"}), "found 1 pieces, expected 2");
    bad("/model/merges/0", 7, "model.merges[0]: found number 7, expected an array");
    bad("/model/vocab/c", 1, "the id 1 belongs to two pieces");
    bad("/model/vocab/c", 4294967296, "model.vocab.c: found number 4294967296");
    bad("/model/vocab/c", 1e300, "model.vocab.c");
    bad("/model/vocab/c", -1, "model.vocab.c");
    bad("/model/vocab", Json::array(), "model.vocab");
    bad("/model/type", "Magic", "unknown model type \"Magic\"");
    bad("/model/dropout", 0.1, "model.dropout", VLM_STATUS_UNIMPLEMENTED);
    bad("/model", nullptr, "model: found null, expected an object");
    bad("/normalizer", Json{{"type", "Sequence"}, {"normalizers", Json::array({Json{{"type", "Upper"}}})}},
        "normalizer.normalizers[0]: unknown normalizer type \"Upper\"");
    bad("/pre_tokenizer", Json{{"type", "Magic"}}, "pre_tokenizer: unknown pre-tokenizer type");
    bad("/pre_tokenizer",
        Json{{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}, {"invert", false}},
        "pre_tokenizer.pattern.Regex: the regular expression \"(a\" does not compile");
    bad("/post_processor", Json{{"type", "Magic"}}, "post_processor: unknown post-processor type");
    bad("/post_processor",
        Json{{"type", "TemplateProcessing"}, {"single", Json::array({{{"SpecialToken", {{"id", "<x>"}}}}})}},
        "the template uses \"<x>\"");
    bad("/decoder", Json{{"type", "Magic"}}, "decoder: unknown decoder type");
    bad("/decoder", Json::array(), "decoder: found array, expected an object");
    bad("/added_tokens/0/id", "4", "added_tokens[0].id: found string \"4\"");
    bad("/added_tokens/1", Json{{"id", 4}, {"content", "<t>"}}, "added_tokens[1]: the id 4 belongs to \"<s>\" already");
    bad("/version", "2.0", "version: found \"2.0\"");
    bad("/normalizer", Json{{"type", "Precompiled"}, {"precompiled_charsmap", "/////w=="}},
        "normalizer.precompiled_charsmap");
    expect_refusal(Json::array(), VLM_STATUS_INVALID_ARGUMENT, "the top level: found array, expected an object");
}

TEST(Tokenizer, RefusesDeepNesting) {
    const auto nested = [](int depth) {
        std::string text = R"({"model": {"type": "BPE", "vocab": {}, "merges": []}, "normalizer": )";
        for (int i = 0; i < depth; ++i) text += R"({"type":"Sequence","normalizers":[)";
        text += R"({"type":"NFC"})";
        for (int i = 0; i < depth; ++i) text += "]}";
        return text + "}";
    };
    EXPECT_NO_THROW(vlm::Tokenizer::from_json(nested(20), "f.json"));
    for (const int depth : {40, 100'000}) EXPECT_THROW(vlm::Tokenizer::from_json(nested(depth), "f.json"), vlm::Error);
}

TEST(Tokenizer, NamesLineAndColumnOfTruncatedJson) {
    const std::string whole = small().dump(1);
    for (std::size_t cut = 0; cut < whole.size(); cut += 7) {
        try {
            vlm::Tokenizer::from_json(whole.substr(0, cut), "f.json");
            ADD_FAILURE() << "accepted " << cut << " bytes";
        } catch (const vlm::Error& e) {
            EXPECT_NE(std::string(e.what()).find("line "), std::string::npos) << e.what();
            EXPECT_NE(std::string(e.what()).find("column "), std::string::npos) << e.what();
        }
    }
    EXPECT_THROW(vlm::Tokenizer::from_file("/nonexistent/tokenizer.json"), vlm::Error);
}

TEST(Tokenizer, RefusesInvalidUtf8WithItsPlace) {
    const vlm::Tokenizer tokenizer = load(small());
    for (const std::string bad : {"ab\xff", "ab\xc3", "ab\xed\xa0\x80", "ab\xc0\x80", "ab\xf5\x80\x80\x80"}) {
        try {
            tokenizer.encode(bad, false);
            ADD_FAILURE();
        } catch (const vlm::Error& e) {
            EXPECT_EQ(e.code(), VLM_STATUS_INVALID_ARGUMENT);
            EXPECT_NE(std::string(e.what()).find("at byte 2"), std::string::npos) << e.what();
        }
    }
}

TEST(Tokenizer, StopsCatastrophicExpressions) {
    Json json = small();
    json["pre_tokenizer"] = {
        {"type", "Split"}, {"pattern", {{"Regex", "(a+)+(b+)+$"}}}, {"behavior", "Isolated"}, {"invert", false}};
    const vlm::Tokenizer tokenizer = load(json);
    try {
        tokenizer.encode(std::string(5000, 'a') + std::string(5000, 'b') + "c", false);
        ADD_FAILURE() << "expected the search to give up";
    } catch (const vlm::Error& e) {
        EXPECT_EQ(e.code(), VLM_STATUS_RESOURCE_EXHAUSTED);
        EXPECT_NE(std::string(e.what()).find("pre_tokenizer.pattern.Regex"), std::string::npos) << e.what();
    }
}

TEST(Tokenizer, LongTextsTakeLinearTime) {
    for (const std::string& name : fixture_names()) {
        const vlm::Tokenizer tokenizer = vlm::Tokenizer::from_file(fixtures() / name / "tokenizer.json");
        for (const std::string unit : {"a", " ", "가나", "hello world ", "\n ", "12"}) {
            std::string text;
            while (text.size() < 50'000) text += unit;
            const auto begin = std::chrono::steady_clock::now();
            EXPECT_LE(tokenizer.encode(text, true).size(), 3 * text.size() + 2) << name;
            // Quadratic work on this length takes long; the bound is loose for slow and busy machines.
            EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << name << " " << unit;
        }
    }
}

TEST(Tokenizer, ManyThreadsGetTheSameIds) {
    const vlm::Tokenizer tokenizer = vlm::Tokenizer::from_file(fixtures() / "qwen2" / "tokenizer.json");
    const Json cases = read(fixtures() / "qwen2" / "cases.json")["encode"];
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (int& count : wrong) {
        threads.emplace_back([&] {
            for (const Json& entry : cases)
                count += tokenizer.encode(entry[0].get<std::string>(), true) != entry[1].get<Ids>();
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Tokenizer, UnknownIdsAreLeftOut) {
    const vlm::Tokenizer tokenizer = load(small());
    EXPECT_EQ(tokenizer.decode(Ids{0, 99, -1, 3, 4}, false), "a c <s>");
    EXPECT_EQ(tokenizer.decode(Ids{0, 4, 3}, true), "a c");
    EXPECT_EQ(tokenizer.piece_of(99), std::nullopt);
    EXPECT_EQ(tokenizer.max_id(), 4);
    EXPECT_EQ(tokenizer.vocab_size(), 5u);
}

TEST(StreamDecoder, HoldsBackUnfinishedCharactersAndRefusesUseAfterFinish) {
    const vlm::Tokenizer tokenizer = vlm::Tokenizer::from_file(fixtures() / "gpt2" / "tokenizer.json");
    const Ids ids = tokenizer.encode("\xF0\x9F\x98\x80!", false);
    ASSERT_GT(ids.size(), 2u);
    vlm::StreamDecoder stream(tokenizer);
    EXPECT_EQ(stream.push(ids[0]), "");
    std::string rest;
    for (std::size_t i = 1; i < ids.size(); ++i) rest += stream.push(ids[i]);
    EXPECT_EQ(rest, "\xF0\x9F\x98\x80!") << "all of it is settled before finish()";
    EXPECT_EQ(stream.finish(), "");
    EXPECT_THROW(stream.push(ids[0]), vlm::Error);

    vlm::StreamDecoder cut(tokenizer);
    cut.push(ids[0]);
    EXPECT_EQ(cut.finish(), "\xEF\xBF\xBD");
}

TEST(Tokenizer, ReadsEveryCheckpointOfTheGoldenFolder) {
    if (!fs::exists(VLM_GOLDEN_DIR)) GTEST_SKIP() << "no golden folder at " << VLM_GOLDEN_DIR;
    int read_count = 0;
    for (const auto& entry : fs::directory_iterator(VLM_GOLDEN_DIR)) {
        if (!fs::exists(entry.path() / "tokenizer.json")) continue;
        ++read_count;
        const vlm::Tokenizer tokenizer = vlm::Tokenizer::from_directory(entry.path());
        std::ifstream in(entry.path() / "prompt.txt");
        const std::string prompt((std::istreambuf_iterator<char>(in)), {});
        const Ids ids = tokenizer.encode(prompt, true);
        EXPECT_GE(ids.size(), 3u) << entry.path();
        EXPECT_TRUE(tokenizer.special_token("eos_token") || tokenizer.special_token("pad_token") ||
                    tokenizer.special_token("unk_token"))
            << entry.path();
    }
    EXPECT_GT(read_count, 0);
}

}  // namespace
