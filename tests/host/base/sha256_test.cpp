/** @file sha256_test.cpp
 *  The examples of FIPS 180-4, whole and in pieces.
 */
#include "host/base/sha256.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace vlm {
namespace {

TEST(Sha256, GivesTheStandardsExamples) {
    EXPECT_EQ(Sha256().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(Sha256().add("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PiecesAndValuesAreTheirBytes) {
    const std::vector<char> rest = {'b', 'c'};
    EXPECT_EQ(Sha256().add("a").add(std::span<const char>(rest)).hex(), Sha256().add("abc").hex());
}

}  // namespace
}  // namespace vlm
