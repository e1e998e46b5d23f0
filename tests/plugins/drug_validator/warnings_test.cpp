/** @file warnings_test.cpp
 *  Every warning has a code of its own and both languages, with nothing left to fill in.
 */
#include "plugins/drug_validator/warnings.hpp"

#include <gtest/gtest.h>

#include <set>

namespace vlm::drug_validator {
namespace {

TEST(Warnings, EveryCodeHasBothLanguages) {
    std::set<std::string> codes;
    for (int i = 0; i <= static_cast<int>(WarningCode::confidence_unknown); ++i) {
        const auto code = static_cast<WarningCode>(i);
        const Warning w = make_warning(code, "암로디핀", "detail");
        EXPECT_TRUE(codes.insert(w.code).second) << w.code;
        EXPECT_EQ(w.code, code_name(code));
        EXPECT_NE(w.en.find("암로디핀"), std::string::npos) << w.code;
        EXPECT_NE(w.ko.find("암로디핀"), std::string::npos) << w.code;
        EXPECT_EQ(w.en.find('{'), std::string::npos);
        EXPECT_EQ(w.ko.find('{'), std::string::npos);
        EXPECT_EQ(w.en.find("detail") == std::string::npos, w.ko.find("detail") == std::string::npos) << w.code;
    }
    EXPECT_EQ(codes.size(), 17u);
}

TEST(Warnings, PrintedTextIsNotExpandedAgain) {
    EXPECT_NE(make_warning(WarningCode::look_alike, "{1}", "x").en.find("\"{1}\" looks"), std::string::npos);
}

}  // namespace
}  // namespace vlm::drug_validator
