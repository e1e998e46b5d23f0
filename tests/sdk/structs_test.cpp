/** @file structs_test.cpp
 *  Structs of an older or newer other side.
 */
#include "vlm/sdk/structs.hpp"

#include <gtest/gtest.h>
#include <vlm/vision_encoder.h>

namespace {

using namespace vlm::sdk;

TEST(Structs, MembersBehindTheWritersSizeAreAbsent) {
    auto theirs = make_struct<vlm_vision_description>();
    theirs.hidden_size = 5;
    theirs.max_image_tokens = 7;
    theirs.struct_size = offsetof(vlm_vision_description, max_image_tokens);
    const auto mine = read_struct(&theirs, "description");
    EXPECT_EQ(mine.hidden_size, 5);
    EXPECT_EQ(mine.max_image_tokens, 0);
    EXPECT_EQ(mine.struct_size, sizeof(vlm_vision_description));
}

TEST(Structs, WritingStopsAtTheReadersSize) {
    auto theirs = make_struct<vlm_vision_description>();
    theirs.max_image_tokens = 7;
    theirs.struct_size = offsetof(vlm_vision_description, max_image_tokens);
    auto mine = make_struct<vlm_vision_description>();
    mine.hidden_size = 5;
    mine.max_image_tokens = 99;
    write_struct(&theirs, mine, "description");
    EXPECT_EQ(theirs.hidden_size, 5);
    EXPECT_EQ(theirs.max_image_tokens, 7);
    EXPECT_EQ(theirs.struct_size, offsetof(vlm_vision_description, max_image_tokens));
}

TEST(Structs, ANewerWriterIsReadAsFarAsKnown) {
    struct Newer {
        vlm_vision_description known;
        int64_t appended;
    } theirs{make_struct<vlm_vision_description>(), 1};
    theirs.known.struct_size = sizeof(Newer);
    theirs.known.abi_version = VLM_ABI_VERSION + 1;
    theirs.known.hidden_size = 5;
    EXPECT_EQ(read_struct(&theirs.known, "description").hidden_size, 5);
}

TEST(Structs, RefusesImpossibleHeaders) {
    auto s = make_struct<vlm_vision_description>();
    EXPECT_THROW(read_struct<vlm_vision_description>(nullptr, "s"), Error);
    s.struct_size = 0;
    EXPECT_THROW(read_struct(&s, "s"), Error);
    s.struct_size = VLM_STRUCT_SIZE_MAX + 1;
    EXPECT_THROW(read_struct(&s, "s"), Error);
    s.struct_size = sizeof(s);
    s.abi_version = 0;
    EXPECT_THROW(read_struct(&s, "s"), Error);
}

}  // namespace
