/** @file parsers_test.cpp
 *  Sound files with a few bytes changed, thousands of times, through every parser that reads what others wrote: each is
 * read or refused with an Error, and nothing else. The changes are the same in every run; VLM_FUZZ_ROUNDS makes them
 * more (10: ten times as many), VLM_FUZZ_SEED makes them others. Worth most under the sanitizers.
 */
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/grammar.hpp"
#include "host/pipeline/manifest.hpp"
#include "host/tokenizer/tokenizer.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

int64_t setting(const char* name, int64_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoll(text, nullptr, 10) : otherwise;
}

std::string content(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

/** Changes texts a little: bytes, ranges that go, come twice or change places, and words that parsers stumble over. */
class Mutator {
  public:
    explicit Mutator(uint64_t stream) : random_(static_cast<uint64_t>(setting("VLM_FUZZ_SEED", 1)) * 1000 + stream) {}

    std::string operator()(std::string text) {
        for (size_t changes = 1 + below(4); changes > 0 && !text.empty(); --changes) change(text);
        return text;
    }

  private:
    size_t below(size_t count) { return static_cast<size_t>(random_() % count); }

    void change(std::string& text) {
        static const std::vector<std::string> words = {"0",
                                                       "-1",
                                                       "1e999",
                                                       "99999999999999999999",
                                                       "2147483648",
                                                       "null",
                                                       "true",
                                                       "NaN",
                                                       "\"\"",
                                                       "[]",
                                                       "{}",
                                                       "[",
                                                       "}",
                                                       ",",
                                                       ":",
                                                       "\\",
                                                       "\\ud800",
                                                       "\xff",
                                                       "\xf0\x9f",
                                                       std::string(1, '\0'),
                                                       std::string(300, '[')};
        const size_t at = below(text.size());
        const size_t length = std::min(text.size() - at, 1 + below(below(4) == 0 ? 4096 : 16));
        switch (below(6)) {
            case 0:
                text[at] = static_cast<char>(below(256));
                break;
            case 1:
                text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
                break;
            case 2:
                text.erase(at, length);
                break;
            case 3:
                text.insert(below(text.size()), text.substr(at, length));
                break;
            case 4: {
                const std::string& word = words[below(words.size())];
                text.replace(at, std::min(length, below(word.size() + 1)), word);
                break;
            }
            default:
                if (below(8) == 0) text.resize(at);
                break;
        }
    }

    std::mt19937_64 random_;
};

/** Reads `rounds` variants of each source. @return how many were read without an error. */
template <class Read>
int64_t fuzz(const std::vector<std::string>& sources, int64_t rounds, Read read) {
    const int64_t total = rounds * setting("VLM_FUZZ_ROUNDS", 1);
    int64_t sound = 0;
    for (size_t s = 0; s < sources.size(); ++s) {
        EXPECT_NO_THROW(read(sources[s])) << "source " << s << " as it is";
        Mutator mutate(s);
        for (int64_t round = 0; round < total; ++round) {
            const std::string variant = mutate(sources[s]);
            try {
                read(variant);
                ++sound;
            } catch (const Error& error) {
                const std::string what = error.what();
                EXPECT_FALSE(what.empty()) << "source " << s << ", round " << round;
                for (const char* raw : {"std::", "basic_string", "nlohmann", "json.exception", "bad_alloc"})
                    EXPECT_EQ(what.find(raw), std::string::npos) << what;
            } catch (const std::exception& error) {
                ADD_FAILURE() << "source " << s << ", round " << round << ": no vlm::Error but " << error.what();
                return sound;
            }
        }
    }
    return sound;
}

TEST(FuzzParsers, Json) {
    const auto touch = [](const auto& self, const json::Value& value) -> size_t {
        size_t count = 1;
        if (value.is_array())
            for (const auto& item : value.as_array()) count += self(self, item);
        return count;
    };
    fuzz({content(VLM_SOURCE_DIR "/docs/results.schema.json"), content(VLM_SOURCE_DIR "/samples/medical/medical.json"),
          R"({"a": [1, -2.5e3, "\u00e9\ud83d\ude00", null, true, {"b": []}], "c": NaN})"},
         3000, [&](const std::string& text) {
             const auto document = json::Document::from_text(text, "fuzz.json", {.allow_nonfinite = true});
             touch(touch, document.root());
         });
}

TEST(FuzzParsers, Manifest) {
    const fs::path folder = VLM_SOURCE_DIR "/samples/medical";
    fuzz(
        {content(folder / "medical.json"),
         R"({"model": "m", "device": "cpu", "dtype": "f32", "threads": 2, "batch": 4, "generation": {"temperature": 0.5,
              "stop": ["x"], "seed": 7, "grammar": "root ::= \"a\"*"}, "image": {"split": "rows", "max_pixels": 1000},
              "pipeline": {"vision_encoder": {"plugin": "p", "options": {"x": {"y": [1, 2]}}}, "token_reducers": []}})"},
        3000, [&](const std::string& text) { Manifest::from_text(text, "fuzz.json", folder); });
}

TEST(FuzzParsers, Grammar) {
    const std::string text =
        "root ::= item (\",\" ws item)*\nitem ::= \"name\" ws [a-z]+ | number\nnumber ::= [0-9]+ "
        "(\".\" [0-9]+)?\nws ::= [ \\t\\n]*  # space\n";
    fuzz({text}, 5000, [](const std::string& variant) { Grammar::parse(variant, "fuzz.gbnf"); });
}

TEST(FuzzParsers, TokenizersEncodeAndDecodeOrRefuse) {
    std::vector<std::string> sources;
    for (const char* name : {"llama", "t5", "bert", "added_zoo", "byte_normalizer", "replace_decoder", "ctc"})
        sources.push_back(content(fs::path(VLM_TEST_DATA) / "tokenizers" / name / "tokenizer.json"));
    const int64_t sound = fuzz(sources, 1000, [](const std::string& text) {
        const Tokenizer tokenizer = Tokenizer::from_json(text, "fuzz.json");
        const auto ids = tokenizer.encode("Take 2 capsules <image> 암로디핀정\n caf\xc3\xa9 👍🏽", true);
        tokenizer.decode(ids, false);
        tokenizer.decode(std::vector<int32_t>{0, 1, 2, 7, tokenizer.max_id(), -1}, true);
    });
    EXPECT_GT(sound, 0) << "no variant was read: the changes are too rough to reach what lies behind the parser";
}

TEST(FuzzParsers, Safetensors) {
    const fs::path file = fs::temp_directory_path() / ("vlm_fuzz_" + std::to_string(getpid()) + ".safetensors");
    const std::string header =
        R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
        R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"U8","shape":[],"data_offsets":[32,33]}})";
    std::string sound(8, '\0');
    for (size_t i = 0; i < 8; ++i) sound[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
    sound += header + std::string(33, '\1');
    fuzz({sound}, 1000, [&](const std::string& text) {
        std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
        const auto store = WeightStore::open(file);
        for (const char* name : {"a", "b", "c"})
            if (const TensorView* view = store->find(name); view != nullptr && view->nbytes > 0) {
                const auto* bytes = static_cast<const volatile uint8_t*>(view->data);
                (void)bytes[view->nbytes - 1];
            }
    });
    fs::remove(file);
}

TEST(FuzzParsers, Images) {
    std::vector<std::string> sources;
    for (const char* name : {"exif6.jpg", "arithmetic_progressive.jpg", "cmyk.jpg", "gray16_adam7.png",
                             "gray4_trns.png", "alpha.webp", "alpha_lossless.webp", "animated_offset.webp"})
        sources.push_back(content(fs::path(VLM_TEST_DATA) / "images" / name));
    DecodeLimits limits;
    limits.max_pixels = 1 << 20;
    const int64_t sound = fuzz(sources, 1000, [&](const std::string& text) {
        const Image image =
            decode_memory({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, limits, ColorMode::kKeep);
        EXPECT_EQ(image.pixels.size(), static_cast<size_t>(image.width) * static_cast<size_t>(image.height) *
                                           static_cast<size_t>(image.channels));
    });
    EXPECT_GT(sound, 0);
}

}  // namespace
}  // namespace vlm
