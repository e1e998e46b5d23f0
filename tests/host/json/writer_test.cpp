/** @file writer_test.cpp
 *  What is written must be JSON whatever goes in, and numbers must read back equal.
 */
#include "host/json/writer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "host/json/document.hpp"

namespace vlm::json {
namespace {

TEST(JsonWriter, OneLineAndIndented) {
    const auto write = [](int indent) {
        Writer w(indent);
        w.begin_object().member("b", 1).key("a").begin_array().value("x").value(true).value(nullptr).value(0.25);
        w.begin_object().end_object().begin_array().end_array().end_array().member("c", std::string("é")).end_object();
        return w.take();
    };
    EXPECT_EQ(write(0), "{\"b\":1,\"a\":[\"x\",true,null,0.25,{},[]],\"c\":\"é\"}");
    EXPECT_EQ(write(2),
              "{\n  \"b\": 1,\n  \"a\": [\n    \"x\",\n    true,\n    null,\n    0.25,\n    {},\n    []\n  ],\n"
              "  \"c\": \"é\"\n}");
}

TEST(JsonWriter, EscapesAndRepairsText) {
    EXPECT_EQ(quote("a\"\\\n\t\r\x01\x1f\x7f"), "\"a\\\"\\\\\\n\\t\\r\\u0001\\u001f\x7f\"");
    EXPECT_EQ(quote(std::string_view("\0", 1)), "\"\\u0000\"");
    EXPECT_EQ(quote("\xff\xc3(\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    EXPECT_EQ(quote("\xf0\x9f\x98\x80\xf4\x90\x80\x80").substr(0, 5), "\"\xf0\x9f\x98\x80");
    EXPECT_EQ(quote("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    for (int first = 0; first < 256; ++first) {
        for (int second = 0; second < 256; ++second) {
            const char bytes[] = {'x', static_cast<char>(first), static_cast<char>(second), '\xbf', 'y'};
            const std::string text = quote(std::string_view(bytes, sizeof bytes));
            EXPECT_NO_THROW(Document::from_text(text, "f")) << text;
        }
    }
}

TEST(JsonWriter, ShortQuoteCutsBetweenCharacters) {
    EXPECT_EQ(quote_short("abc", 3), "\"abc\"");
    EXPECT_EQ(quote_short("abcd", 3), "\"abc\"…");
    EXPECT_EQ(quote_short("aéé", 2), "\"a\"…");
}

TEST(JsonWriter, NumbersReadBackEqual) {
    for (const double x : {0.0, -0.0, 0.1, 1.0 / 3, 1e300, 5e-324, 1.7976931348623157e308, -123456.789, 1e21, 1e-7}) {
        const std::string text = number_text(x);
        EXPECT_EQ(Document::from_text(text, "f").root().as_number(), x) << text;
    }
    EXPECT_EQ(number_text(0.1), "0.1");
    EXPECT_EQ(number_text(0.1F), "0.1");
    EXPECT_EQ(number_text(std::nan("")), "null");
    EXPECT_EQ(number_text(-std::numeric_limits<float>::infinity()), "null");
    uint64_t state = 1;
    for (int i = 0; i < 20000; ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        double x = 0;
        std::memcpy(&x, &state, sizeof x);
        if (!std::isfinite(x)) continue;
        EXPECT_EQ(std::strtod(number_text(x).c_str(), nullptr), x);
    }
}

TEST(JsonWriter, MisuseIsAnError) {
    EXPECT_THROW(Writer().begin_object().value(1), Error);
    EXPECT_THROW(Writer().key("a"), Error);
    EXPECT_THROW(Writer().begin_array().key("a"), Error);
    EXPECT_THROW(Writer().begin_array().end_object(), Error);
    EXPECT_THROW(Writer().begin_object().key("a").end_object(), Error);
    EXPECT_THROW(Writer().begin_object().key("a").key("b"), Error);
    EXPECT_THROW(Writer().value(1).value(2), Error);
    EXPECT_THROW(Writer().end_array(), Error);
    EXPECT_THROW(Writer().begin_array().take(), Error);
    EXPECT_THROW(Writer().take(), Error);
}

TEST(JsonWriter, CanBeUsedAgainAfterTake) {
    Writer w;
    EXPECT_EQ(w.value(int64_t{-1}).take(), "-1");
    EXPECT_EQ(w.value(uint64_t{18446744073709551615ULL}).take(), "18446744073709551615");
}

}  // namespace
}  // namespace vlm::json
