/** @file value_test.cpp
 *  Getters and the messages that users will read.
 */
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "host/json/document.hpp"

namespace vlm::json {
namespace {

std::string error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

Document doc(const std::string& text) {
    return Document::from_text(text, "m.json");
}

TEST(JsonValue, UnknownKeyNamesTheNearest) {
    const Document d = doc("{\"pipeline\": {\n\"vision\": {\"plugin\": \"vit\",\n\"dtpye\":\n\"f32\"}}}");
    const Value vision = d["pipeline"]["vision"];
    EXPECT_EQ(error_of([&] {
                  vision.check_keys({"dtype", "device", "plugin"});
              }),
              "m.json:3: pipeline.vision.dtpye: unknown key; did you mean \"dtype\"? (known: dtype, device, plugin)");
    EXPECT_EQ(error_of([&] {
                  vision.check_keys({"plugin", "x"});
              }),
              "m.json:3: pipeline.vision.dtpye: unknown key (known: plugin, x)");
    EXPECT_NO_THROW(vision.check_keys({"plugin", "dtpye", "more"}));
}

TEST(JsonValue, MissingKeyNamesTheNearest) {
    EXPECT_EQ(error_of([] { (void)doc("{\n\"a\": {\"hiden_size\": 4}}")["a"]["hidden_size"]; }),
              "m.json:2: a: the key \"hidden_size\" is missing; did you mean \"hiden_size\"? (present: hiden_size)");
    EXPECT_EQ(error_of([] { (void)doc("{}")["a"]; }), "m.json:1: the key \"a\" is missing (present: none)");
    EXPECT_EQ(error_of([] { (void)doc("[]")["a"]; }), "m.json:1: expected an object, found an array");
}

TEST(JsonValue, Integers) {
    const Document d =
        doc("[0, -9223372036854775808, 9223372036854775807, 18446744073709551615, 4096.0, 1e3, 1.5, \"7\", "
            "1e30, 123456789012345678901234567890]");
    const Value v = d.root();
    EXPECT_EQ(v.at(1).as_int(), INT64_MIN);
    EXPECT_EQ(v.at(2).as_int(), INT64_MAX);
    EXPECT_EQ(v.at(3).as_uint64(), UINT64_MAX);
    EXPECT_EQ(v.at(4).as_int(), 4096);
    EXPECT_EQ(v.at(5).as_int(1000, 1000), 1000);
    EXPECT_EQ(error_of([&] { (void)v.at(0).as_int(1, 64); }),
              "m.json:1: [0]: expected an integer from 1 to 64, found 0");
    EXPECT_EQ(error_of([&] { (void)v.at(6).as_int(); }), "m.json:1: [6]: expected an integer, found 1.5");
    EXPECT_EQ(error_of([&] { (void)v.at(7).as_int(1); }),
              "m.json:1: [7]: expected an integer of at least 1, found the string \"7\"");
    EXPECT_THROW((void)v.at(3).as_int(), Error);
    EXPECT_THROW((void)v.at(8).as_int(), Error);
    EXPECT_THROW((void)v.at(9).as_int(), Error);
    EXPECT_THROW((void)v.at(1).as_uint64(), Error);
    EXPECT_EQ(v.at(9).as_number(), 123456789012345678901234567890.0);
    EXPECT_EQ(v.at(3).as_number(), 18446744073709551616.0);
    EXPECT_THROW((void)v.at(10), Error);
}

TEST(JsonValue, OtherTypes) {
    const Document d = doc("{\"t\": true, \"x\": 1e-05, \"s\": \"gelu\", \"n\": null, \"l\": [3, 4], \"e\": {}}");
    EXPECT_TRUE(d["t"].as_bool());
    EXPECT_EQ(d["x"].as_number(0, 1), 1e-5);
    EXPECT_EQ(d["l"].as_ints(), (std::vector<int64_t>{3, 4}));
    EXPECT_EQ(d["l"].as_numbers(), (std::vector<double>{3, 4}));
    EXPECT_EQ(d["e"].size(), 0U);
    EXPECT_EQ(d["s"].as_one_of({"relu", "gelu"}), "gelu");
    EXPECT_EQ(error_of([&] {
                  (void)d["s"].as_one_of({"gelo", "relu"});
              }),
              "m.json:1: s: unknown value \"gelu\"; did you mean \"gelo\"? (known: gelo, relu)");
    EXPECT_EQ(error_of([&] { (void)d["n"].as_bool(); }), "m.json:1: n: expected true or false, found null");
    EXPECT_EQ(error_of([&] { (void)d["l"].as_strings(); }), "m.json:1: l[0]: expected a string, found 3");
    EXPECT_EQ(error_of([&] { (void)d["x"].as_number(1); }),
              "m.json:1: x: expected a number of at least 1, found 1e-05");
    EXPECT_THROW((void)d["s"].size(), Error);
    EXPECT_THROW((void)d["s"].as_array(), Error);
    EXPECT_EQ(d.root().keys(), (std::vector<std::string>{"t", "x", "s", "n", "l", "e"}));
}

TEST(JsonValue, DefaultsForAbsentAndNull) {
    const Document d = doc("{\"i\": 300, \"b\": false, \"s\": \"x\", \"f\": 2, \"n\": null}");
    const Value v = d.root();
    EXPECT_EQ(v.get_or("i", 1), 300);
    EXPECT_EQ(v.get_or("missing", int64_t{5}), 5);
    EXPECT_EQ(v.get_or("n", 7), 7);
    EXPECT_EQ(v.get_or("b", true), false);
    EXPECT_EQ(v.get_or("f", 1.5), 2.0);
    EXPECT_EQ(v.get_or("s", "y"), "x");
    EXPECT_EQ(v.get_or("n", std::string("y")), "y");
    EXPECT_THROW((void)v.get_or("i", uint8_t{0}), Error);
    EXPECT_THROW((void)v.get_or("s", 1), Error);
    EXPECT_THROW((void)v.get_or("i", true), Error);
    EXPECT_TRUE(v.find("n").has_value());
    EXPECT_FALSE(v.find_set("n").has_value());
    EXPECT_FALSE(v.contains("N"));
}

TEST(JsonValue, DumpKeepsOrderAndValues) {
    const std::string text = "{\"z\":[1,-2,2.5,1e-05,18446744073709551615],\"a\":{\"é\\n\\u0001\":null},\"t\":true}";
    EXPECT_EQ(doc(text).root().dump(), text);
    EXPECT_EQ(doc(text)["z"].at(2).dump(), "2.5");
    EXPECT_EQ(doc(" [ ] ").root().dump(), "[]");
}

TEST(JsonValue, FindsEveryKeyOfALargeObject) {
    std::string text = "{";
    for (int i = 0; i < 5000; ++i)
        text += (i > 0 ? "," : "") + ("\"k" + std::to_string(i * 7919 % 5000)) + "\":" + std::to_string(i);
    const Document d = doc(text + "}");
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(d["k" + std::to_string(i * 7919 % 5000)].as_int(), i);
    EXPECT_FALSE(d.root().contains("k5000"));
}

TEST(JsonValue, ViewsOutliveTheDocumentVariable) {
    std::optional<Document> first = doc("{\"a\": \"text\"}");
    const Document second = *first;
    const Value a = (*first)["a"];
    first.reset();
    EXPECT_EQ(a.as_string(), "text");
}

}  // namespace
}  // namespace vlm::json
