/** @file document_test.cpp
 *  The parser around nlohmann-json: what is refused, with which line; what is accepted only on request.
 */
#include "host/json/document.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

namespace vlm::json {
namespace {

/** Message of the error that `action` throws; fails the test when it throws none or another code. */
std::string error_of(const std::function<void()>& action, vlm_status code = VLM_STATUS_INVALID_ARGUMENT) {
    try {
        action();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

std::string parse_error(const std::string& text, const ParseOptions& options = {}) {
    return error_of([&] { (void)Document::from_text(text, "f.json", options); });
}

TEST(JsonDocument, KnowsLinesColumnsAndPaths) {
    const Document doc =
        Document::from_text("{\n  \"a\": [1,\n\n   -2.5,{\"b c\" :\n true}],\n \"s\":\"x\\\"y\\n\", \"n\": null}", "f");
    const Value a = doc["a"];
    EXPECT_EQ(a.line(), 2);
    EXPECT_EQ(a.column(), 8);
    EXPECT_EQ(a.at(0).column(), 9);
    EXPECT_EQ(a.at(1).line(), 4);
    EXPECT_EQ(a.at(1).column(), 4);
    EXPECT_EQ(a.at(2)["b c"].line(), 5);
    EXPECT_EQ(a.at(2)["b c"].column(), 2);
    EXPECT_EQ(a.at(2)["b c"].path(), "a[2][\"b c\"]");
    EXPECT_EQ(doc["s"].as_string(), "x\"y\n");
    EXPECT_EQ(doc["n"].line(), 6);
    EXPECT_EQ(doc["n"].column(), 21);
    EXPECT_EQ(doc.root().path(), "");
    EXPECT_EQ(doc.root().line(), 1);
    EXPECT_EQ(doc["n"].where(), "f:6: n: ");
}

TEST(JsonDocument, NumbersAtTheEndOfALineKeepTheirLine) {
    const Document doc = Document::from_text("[1\n,2.5e3\r\n,\n-3\n]", "f");
    EXPECT_EQ(doc.root().at(0).line(), 1);
    EXPECT_EQ(doc.root().at(1).line(), 2);
    EXPECT_EQ(doc.root().at(2).line(), 4);
    EXPECT_EQ(Document::from_text("17", "f").root().as_int(), 17);
}

TEST(JsonDocument, RefusesWhatIsNotJson) {
    for (const char* text :
         {"{",       "[1,]", "{\"a\":1,}", "{'a':1}", "[1 2]",    "nul",         "01",    "1.",   "+1", "\"a",
          "\"\\x\"", "[1]]", "{} {}",      "// c\n1", "\"\x01\"", "\"\\ud800\"", "{1:2}", "[1]x", "}",  "1e999"}) {
        const std::string message = parse_error(text);
        EXPECT_EQ(message.find("f.json:"), 0U) << text << ": " << message;
        EXPECT_NE(message.find("not valid JSON"), std::string::npos) << text << ": " << message;
    }
    EXPECT_NE(parse_error("").find("is empty"), std::string::npos);
    EXPECT_NE(parse_error(" \n ").find("is empty"), std::string::npos);
    EXPECT_EQ(parse_error("{\n\"a\": 1,\n\"b\" 2}").find("f.json:3: "), 0U);
    EXPECT_EQ(parse_error("{\n\"a\": {\"b\":\n [1,\n x]}}").find("f.json:4: a.b: "), 0U);
}

TEST(JsonDocument, RefusesInvalidUtf8AndNulBytes) {
    EXPECT_NE(parse_error("[\n\"\xff\"]").find("f.json:2: "), std::string::npos);
    (void)parse_error("\"\xed\xa0\x80\"");             // an encoded surrogate
    (void)parse_error("\"\xc0\x80\"");                 // an overlong form
    (void)parse_error(std::string("{}\0{}", 5));       // the parser beneath takes NUL for the end
    (void)parse_error(std::string("{\"a\"\0:1}", 8));  // likewise, in the middle
    EXPECT_EQ(Document::from_text("\"\\u0000x\"", "f").root().as_string(), std::string("\0x", 2));
    EXPECT_EQ(Document::from_text("\"\\ud83d\\ude00\"", "f").root().as_string(), "\xf0\x9f\x98\x80");
}

TEST(JsonDocument, ByteOrderMarkIsSkipped) {
    const Document doc = Document::from_text("\xef\xbb\xbf{\"a\": 1}", "f");
    EXPECT_EQ(doc["a"].as_int(), 1);
    EXPECT_EQ(doc["a"].column(), 7);
    (void)parse_error("\xef\xbb\xbf");
}

TEST(JsonDocument, RefusesDuplicateKeysWithBothLines) {
    const std::string message = parse_error("{\"p\": {\n\"z\": 1,\n\"a\": 2,\n\"z\":\n 3,\n\"a\": 4}}");
    EXPECT_EQ(message, "f.json:4: p.z: duplicate key; first given in line 2");
    EXPECT_EQ(parse_error("{\"a\":1,\n\"\\u0061\":2}").find("f.json:2: a: duplicate key"), 0U);
    EXPECT_EQ(parse_error("[0,[{\"a\":1},\n{\"a\":1,\"a\":2}]]"),
              "f.json:2: [1][1].a: duplicate key; first given in line 2");
    EXPECT_EQ(Document::from_text("[{\"a\":1},{\"a\":2}]", "f").root().size(), 2U);
}

TEST(JsonDocument, LimitsDepth) {
    const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_NO_THROW(Document::from_text(nested(64), "f"));
    EXPECT_NE(parse_error(nested(65)).find("deeper than 64"), std::string::npos);
    ParseOptions deep;
    deep.max_depth = 100000;
    const Document doc = Document::from_text(nested(512), "f", deep);
    EXPECT_EQ(doc.root().dump(), nested(512));
    EXPECT_NE(parse_error(nested(513), deep).find("deeper than 512"), std::string::npos);
    EXPECT_NE(parse_error(std::string(1000000, '['), deep).find("deeper"), std::string::npos);
    std::string objects;
    for (int i = 0; i < 70; ++i) objects += "{\"a\":";
    EXPECT_NE(parse_error(objects).find("deeper than 64"), std::string::npos);
}

TEST(JsonDocument, NonfiniteWordsOnlyOnRequest) {
    EXPECT_NE(parse_error("{\"a\":\n NaN}").find("f.json:2: NaN is not JSON"), std::string::npos);
    EXPECT_NE(parse_error("[-Infinity]").find("-Infinity is not JSON"), std::string::npos);
    ParseOptions python;
    python.allow_nonfinite = true;
    const Document doc = Document::from_text("[NaN,Infinity,\n-Infinity ,\"NaN, -Infinity\\\" NaN\", -1]", "f", python);
    EXPECT_TRUE(std::isnan(doc.root().at(0).as_number()));
    EXPECT_EQ(doc.root().at(1).as_number(), std::numeric_limits<double>::infinity());
    EXPECT_EQ(doc.root().at(2).as_number(), -std::numeric_limits<double>::infinity());
    EXPECT_EQ(doc.root().at(2).line(), 2);
    EXPECT_EQ(doc.root().at(3).as_string(), "NaN, -Infinity\" NaN");
    EXPECT_EQ(doc.root().at(4).as_int(), -1);
    EXPECT_THROW(doc.root().at(0).as_number(0, 1), Error);
    EXPECT_THROW(doc.root().at(0).as_int(), Error);
    EXPECT_EQ(doc.root().dump(), "[\"NaN\",\"Infinity\",\"-Infinity\",\"NaN, -Infinity\\\" NaN\",-1]");
    for (const char* text : {"[5Infinity]", "[Infinity5]", "[-NaN]", "[NaNaN]", "[nan]", "[--Infinity]", "{NaN:1}"}) {
        (void)parse_error(text, python);
    }
}

TEST(JsonDocument, ATextOfCommasClaimsLittleMemory) {
    (void)parse_error("[" + std::string(50'000'000, ','));
}

TEST(JsonDocument, ReadsFilesWithinTheLimit) {
    const auto folder = std::filesystem::temp_directory_path() / ("vlm_json_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    const std::string path = (folder / "a.json").string();
    std::ofstream(path) << "{\"a\": [1, 2]}";
    EXPECT_EQ(Document::from_file(path)["a"].size(), 2U);
    EXPECT_EQ(Document::from_file(path).name(), path);
    EXPECT_EQ(Document::from_file(path, {}, "short.json")["a"].where(), "short.json:1: a: ");
    ParseOptions small;
    small.max_bytes = 12;
    error_of([&] { (void)Document::from_file(path, small); }, VLM_STATUS_RESOURCE_EXHAUSTED);
    error_of([&] { (void)Document::from_text("[1,2,3,4,5,6,7]", "f", small); }, VLM_STATUS_RESOURCE_EXHAUSTED);
    error_of([&] { (void)Document::from_file((folder / "none.json").string()); }, VLM_STATUS_NOT_FOUND);
    EXPECT_NE(error_of([&] { (void)Document::from_file(folder.string()); }).find("directory"), std::string::npos);
    const std::string fifo = (folder / "fifo").string();
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_NE(error_of([&] { (void)Document::from_file(fifo); }).find("regular file"), std::string::npos);
    std::filesystem::remove_all(folder);
}

TEST(JsonDocument, EveryPrefixOfATextIsRefusedWithoutACrash) {
    const std::string text = "{\"a\": [1, -2.5e3, true, null, \"\\u00e9\xc3\xa9\"], \"b\": {\"c\": false}}";
    for (size_t length = 0; length < text.size(); ++length) (void)parse_error(text.substr(0, length));
    EXPECT_NO_THROW(Document::from_text(text, "f"));
}

TEST(JsonDocument, EveryChangedByteIsReadOrRefusedWithoutACrash) {
    const std::string text = "{\"a\": [1, -2.5e3, NaN, \"\\u00e9\"], \"b\": {\"c\": \"d\"}}";
    ParseOptions python;
    python.allow_nonfinite = true;
    int refused = 0;
    for (size_t place = 0; place < text.size(); ++place) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string changed = text;
            changed[place] = static_cast<char>(byte);
            try {
                // What was read must survive a round trip.
                const std::string once = Document::from_text(changed, "f", python).root().dump();
                EXPECT_EQ(Document::from_text(once, "f").root().dump(), once);
            } catch (const Error&) {
                ++refused;
            }
        }
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace vlm::json
