/** @file schedule_test.cpp
 *  Schedules in the words of both languages; what is not daily must not come back as a daily number.
 */
#include "plugins/drug_validator/schedule.hpp"

#include <gtest/gtest.h>

namespace vlm::drug_validator {
namespace {

std::string read(std::string_view text) {
    const Schedule s = parse_schedule(text);
    const auto number = [](double v) {
        std::string t = std::to_string(v);
        t.erase(t.find_last_not_of('0') + 1);
        if (t.back() == '.') t.pop_back();
        return t;
    };
    return (s.per_dose ? number(s.per_dose->value) + " " + s.per_dose->unit : "-") + "|" +
           (s.times_per_day ? number(*s.times_per_day) : "-") + "|" + (s.days ? std::to_string(*s.days) : "-") +
           (s.as_needed ? "|prn" : "");
}

TEST(Schedule, Korean) {
    EXPECT_EQ(read("1회 1정 1일 3회 7일분"), "1 tablet|3|7");
    EXPECT_EQ(read("1회 2캡슐 1일 2회"), "2 capsule|2|-");
    EXPECT_EQ(read("1일 1회 1정 30일"), "1 tablet|1|30");
    EXPECT_EQ(read("1정씩 1일3회 5일분"), "1 tablet|3|5");
    EXPECT_EQ(read("반정씩 하루 두 번 2주"), "0.5 tablet|2|14");
    EXPECT_EQ(read("하루세번 식후 30분"), "-|3|-");
    EXPECT_EQ(read("아침 저녁 식후 1정씩"), "1 tablet|2|-");
    EXPECT_EQ(read("6시간마다 5밀리리터"), "5 ml|4|-");
    EXPECT_EQ(read("2주 1일 3회"), "-|3|14");
    EXPECT_EQ(read("필요시 1포"), "1 packet|-|-|prn");
}

TEST(Schedule, English) {
    EXPECT_EQ(read("1 tab three times daily x 7 days"), "1 tablet|3|7");
    EXPECT_EQ(read("Sig: 0.5 tab once daily x 60 days"), "0.5 tablet|1|60");
    EXPECT_EQ(read("t.i.d. x 5d"), "-|3|5");
    EXPECT_EQ(read("1 cap BID for 2 weeks"), "1 capsule|2|14");
    EXPECT_EQ(read("q8h"), "-|3|-");
    EXPECT_EQ(read("take 5 ml every 6 hours for ten days"), "5 ml|4|10");
    EXPECT_EQ(read("1/2 tablet at bedtime as needed"), "0.5 tablet|1|-|prn");
    EXPECT_EQ(read("½ tab qd prn"), "0.5 tablet|1|-|prn");
    EXPECT_EQ(read("one tablet twice a day"), "1 tablet|2|-");
    EXPECT_EQ(read("2 puffs 4x/day"), "2 puff|4|-");
    EXPECT_EQ(read("1 tab daily"), "1 tablet|1|-");
}

TEST(Schedule, ShortForms) {
    EXPECT_EQ(read("1T x 3 x 7"), "1 tablet|3|7");
    EXPECT_EQ(read("1 * 2 * 14"), "1 |2|14");
    EXPECT_EQ(read("1-0-1"), "1 |2|-");
    EXPECT_EQ(read("1-1-2"), "-|3|-");
    EXPECT_EQ(read("3회/일"), "-|3|-");
}

TEST(Schedule, WhatIsNotDailyStaysUnknown) {
    for (const char* text :
         {"once weekly", "격일", "주 1회", "1주 1회", "every other day", "every 2 days", "twice a week", "매주 월요일"})
        EXPECT_FALSE(parse_schedule(text).times_per_day) << text;
    EXPECT_EQ(read("1정 주 1회 4주분"), "1 tablet|-|28");
}

TEST(Schedule, OtherTextIsEmpty) {
    for (const char* text :
         {"", "2026년 2월 8일", "Riverside Clinic", "12,000원", "0", "-", "99999999999999999999 days", "500일분"})
        EXPECT_TRUE(parse_schedule(text).empty()) << text << " " << read(text);
}

TEST(Schedule, FieldsMayBeBareNumbers) {
    EXPECT_EQ(parse_per_dose("1.5")->value, 1.5);
    EXPECT_EQ(parse_per_dose("2정")->unit, "tablet");
    EXPECT_EQ(parse_times_per_day("3"), 3.0);
    EXPECT_EQ(parse_times_per_day("3회"), 3.0);
    EXPECT_EQ(parse_days("7"), 7);
    EXPECT_EQ(parse_days("x 7 days"), 7);
    EXPECT_FALSE(parse_times_per_day("300"));
    EXPECT_FALSE(parse_days("1.5"));
    EXPECT_FALSE(parse_days("x"));
}

}  // namespace
}  // namespace vlm::drug_validator
