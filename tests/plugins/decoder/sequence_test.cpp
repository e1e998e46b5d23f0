/** @file sequence_test.cpp
 *  Positions and rows of requests: M-RoPE grids, merged rows, images in pieces, images as memory.
 */
#include "plugins/decoder/sequence.hpp"

#include <gtest/gtest.h>

#include <vlm/sdk/layout.hpp>
#include <vlm/sdk/tensor.hpp>

namespace vlm::decoder {
namespace {

DecoderConfig mrope_config() {
    DecoderConfig c;
    c.vocab_size = 100;
    c.visual_size = 8;
    c.rope.mrope_section = {2, 1, 1};
    return c;
}

/** A request made of pieces whose memory this object owns. */
class Builder {
  public:
    Builder& text(std::vector<int32_t> ids) {
        ids_.push_back(std::move(ids));
        auto s = sdk::make_struct<vlm_segment>();
        s.kind = VLM_SEGMENT_TEXT;
        s.image = -1;
        s.count = static_cast<int64_t>(ids_.back().size());
        s.ids = ids_.back().data();
        segments_.push_back(s);
        return *this;
    }
    Builder& part(int32_t image, int64_t first, int64_t count) {
        auto s = sdk::make_struct<vlm_segment>();
        s.kind = VLM_SEGMENT_IMAGE;
        s.image = image;
        s.first = first;
        s.count = count;
        segments_.push_back(s);
        return *this;
    }
    Builder& image(sdk::Layout layout, std::vector<int32_t> map = {}, int64_t rows = 0) {
        layouts_.push_back(std::make_unique<sdk::Layout>(std::move(layout)));
        rows = map.empty() ? layouts_.back()->tokens() : rows;
        tokens_.push_back(std::make_unique<sdk::HostTensor<float>>(sdk::Shape{rows, 8}));
        views_.push_back(std::make_unique<sdk::Tensor>(tokens_.back()->view()));
        auto v = sdk::make_struct<vlm_visual_input>();
        v.tokens = views_.back()->get();
        v.layout = layouts_.back()->get();
        if (!map.empty()) {
            map_tensors_.push_back(
                std::make_unique<sdk::HostTensor<int32_t>>(map, sdk::Shape{static_cast<int64_t>(map.size())}));
            map_views_.push_back(std::make_unique<sdk::Tensor>(map_tensors_.back()->view()));
            v.row_of_position = map_views_.back()->get();
        }
        images_.push_back(v);
        ImageMap m;
        m.rows = rows;
        m.row_of_position = std::move(map);
        maps_.push_back(std::move(m));
        return *this;
    }
    Sequence flatten(const DecoderConfig& config, const SequenceStart& start = {}) {
        segment_pointers_.clear();
        image_pointers_.clear();
        for (const auto& s : segments_) segment_pointers_.push_back(&s);
        for (const auto& v : images_) image_pointers_.push_back(&v);
        auto request = sdk::make_struct<vlm_backbone_request>();
        request.segment_count = static_cast<uint32_t>(segments_.size());
        request.image_count = static_cast<uint32_t>(images_.size());
        request.segments = segment_pointers_.data();
        request.images = image_pointers_.data();
        return decoder::flatten(config, request, maps_, start);
    }

  private:
    std::vector<std::vector<int32_t>> ids_;
    std::vector<vlm_segment> segments_;
    std::vector<std::unique_ptr<sdk::Layout>> layouts_;
    std::vector<std::unique_ptr<sdk::HostTensor<int32_t>>> map_tensors_;
    std::vector<std::unique_ptr<sdk::Tensor>> map_views_;
    std::vector<std::unique_ptr<sdk::HostTensor<float>>> tokens_;
    std::vector<std::unique_ptr<sdk::Tensor>> views_;
    std::vector<vlm_visual_input> images_;
    std::vector<ImageMap> maps_;
    std::vector<const vlm_segment*> segment_pointers_;
    std::vector<const vlm_visual_input*> image_pointers_;
};

sdk::Layout grid(int32_t rows, int32_t columns) {
    sdk::Layout layout;
    layout.grid(rows, columns);
    return layout;
}

using Ints = std::vector<int32_t>;

TEST(SequenceTest, MropeTextContinuesBehindTheLongerSide) {
    Sequence s = Builder().image(grid(2, 3)).text({1, 2}).part(0, 0, 6).text({3, 4}).flatten(mrope_config());
    EXPECT_EQ(s.positions.place[0], (Ints{0, 1, 2, 2, 2, 2, 2, 2, 5, 6}));
    EXPECT_EQ(s.positions.place[1], (Ints{0, 1, 2, 2, 2, 3, 3, 3, 5, 6}));
    EXPECT_EQ(s.positions.place[2], (Ints{0, 1, 2, 3, 4, 2, 3, 4, 5, 6}));
    EXPECT_EQ(s.records.back().next_place, 7);
    EXPECT_FALSE(s.merged);
    EXPECT_TRUE(s.visual);
}

TEST(SequenceTest, AnImageMayComeInPieces) {
    DecoderConfig config = mrope_config();
    Sequence whole = Builder().image(grid(3, 2)).text({1}).part(0, 0, 6).text({2}).flatten(config);
    Sequence first = Builder().image(grid(3, 2)).text({1}).part(0, 0, 4).flatten(config);
    SequenceStart start;
    start.index = 5;
    start.next_place = first.records.back().next_place;
    start.image_base = first.image_base;
    start.images = first.records.back().images;
    Sequence rest = Builder().image(grid(3, 2)).part(0, 4, 2).text({2}).flatten(config, start);
    for (size_t axis = 0; axis < 3; ++axis) {
        Ints joined = first.positions.place[axis];
        joined.insert(joined.end(), rest.positions.place[axis].begin(), rest.positions.place[axis].end());
        EXPECT_EQ(joined, whole.positions.place[axis]) << axis;
    }
    EXPECT_EQ(rest.positions.image, (Ints{0, 0, -1}));
    EXPECT_EQ(rest.positions.index, (Ints{5, 6, 7}));
}

TEST(SequenceTest, MergedRowsStandInTheirOwnOrder) {
    DecoderConfig config = mrope_config();
    config.rope.mrope_section.clear();
    Sequence s = Builder().image(grid(2, 2), {1, 0, 1, -1}, 2).text({1}).part(0, 0, 4).text({2}).flatten(config);
    EXPECT_EQ(s.positions.row, (Ints{0, 2, 1, 2, 3}));
    EXPECT_EQ(s.positions.index, (Ints{0, 1, 2, 3, 5}));
    EXPECT_EQ(s.positions.place[0], (Ints{0, 1, 2, 3, 5}));
    EXPECT_EQ(s.sizes, (std::vector<float>{1, 1, 2, 1}));
    EXPECT_EQ(s.image_of_row, (Ints{-1, 0, 0, -1}));
    ASSERT_EQ(s.pieces.size(), 3u);
    EXPECT_EQ(s.pieces[1].source, (Ints{0, 1}));
    EXPECT_TRUE(s.merged);
    EXPECT_TRUE(s.reduced);
    EXPECT_EQ(s.tokens(), 6);
}

TEST(SequenceTest, TextBetweenTheRowsOfAnImage) {
    DecoderConfig config = mrope_config();
    config.rope.mrope_section.clear();
    Sequence s = Builder().image(grid(2, 2)).part(0, 0, 2).text({9}).part(0, 2, 2).text({9}).flatten(config);
    EXPECT_FALSE(s.merged);
    EXPECT_EQ(s.positions.image, (Ints{0, 0, -1, 0, 0, -1}));
    EXPECT_EQ(s.pieces[2].source, (Ints{2, 3}));
}

TEST(SequenceTest, ImagesAsMemoryTakeNoPlace) {
    DecoderConfig config;
    config.vocab_size = 100;
    config.visual_size = 8;
    config.cross_interval = 1;
    config.image_token = 50;
    config.end_token = 2;
    Ints expected{-1, 0, 0, 1, 1, -1};
    // Marked by empty image segments, or by the image token alone.
    Sequence marked = Builder()
                          .image(grid(1, 1))
                          .image(grid(1, 1))
                          .text({5})
                          .part(0, 0, 0)
                          .text({50, 6})
                          .part(1, 0, 0)
                          .text({50, 2, 7})
                          .flatten(config);
    Sequence plain = Builder().image(grid(1, 1)).image(grid(1, 1)).text({5, 50, 6, 50, 2, 7}).flatten(config);
    EXPECT_EQ(marked.memory_of_row, expected);
    EXPECT_EQ(plain.memory_of_row, expected);
    EXPECT_EQ(plain.records.back().images, 2);
    EXPECT_THROW(Builder().image(grid(1, 1)).text({50, 50}).flatten(config), sdk::Error) << "two places, one image";
    EXPECT_THROW(Builder().image(grid(1, 1)).text({5}).flatten(config), sdk::Error) << "an image without a place";
}

TEST(SequenceTest, MalformedRequestsAreRefused) {
    DecoderConfig config = mrope_config();
    EXPECT_THROW(Builder().text({100}).flatten(config), sdk::Error);
    EXPECT_THROW(Builder().text({-1}).flatten(config), sdk::Error);
    EXPECT_THROW(Builder().part(0, 0, 1).flatten(config), sdk::Error) << "no such image";
    EXPECT_THROW(Builder().image(grid(2, 2)).part(0, 1, 4).flatten(config), sdk::Error);
    EXPECT_THROW(Builder().image(grid(2, 2)).part(0, -1, 2).flatten(config), sdk::Error);
    EXPECT_THROW(Builder().image(grid(2, 2), {0, 1, 2, 0}, 2).part(0, 0, 4).flatten(config), sdk::Error)
        << "row 2 of 2";
}

}  // namespace
}  // namespace vlm::decoder
