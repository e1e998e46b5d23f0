/** @file layout.hpp
 *  Builds token layouts (layout.h): blocks in order, positions counted along.
 *
 *  The struct is a tree of pointers; this class owns the leaves, so that a component can hold one per thread and hand
 * out a pointer that lives until its next plan.
 */
#pragma once
#include <vlm/layout.h>

#include <array>
#include <vector>

#include "vlm/sdk/error.hpp"
#include "vlm/sdk/structs.hpp"

namespace vlm::sdk {

/** Left, top, right, bottom in the source image, 0 to 1. */
using Region = std::array<float, 4>;
/** Region of a block that covers the image: left, top, right, bottom in [0, 1]. */
inline constexpr Region kWholeImage = {0.F, 0.F, 1.F, 1.F};

/** A layout under construction or in use. */
class Layout {
  public:
    Layout() = default;
    /** Copies a layout of the other side. Throws INVALID_ARGUMENT when malformed or when the blocks leave gaps. */
    explicit Layout(const vlm_token_layout* source) {
        const auto layout = read_struct(source, "token layout");
        if (layout.block_count > 0 && layout.blocks == nullptr) throw invalid_argument("token layout: blocks is NULL");
        for (uint32_t i = 0; i < layout.block_count; ++i) {
            const auto block = read_struct(layout.blocks[i], "token block");
            if (block.first != tokens_ || block.tokens < 0 || block.rows < 0 || block.columns < 0)
                throw invalid_argument("token layout: block " + std::to_string(i) + " begins at " +
                                       std::to_string(block.first) + ", expected " + std::to_string(tokens_));
            push(block);
        }
        if (layout.tokens != tokens_)
            throw invalid_argument("token layout: says " + std::to_string(layout.tokens) + " tokens, its blocks have " +
                                   std::to_string(tokens_));
    }

    /** Adds a grid of `rows` x `columns` patches in raster order, tile (`tile_row`, `tile_column`). With
     *  VLM_BLOCK_FLAG_ROW_END in `flags` each row has one token more. */
    Layout& grid(int32_t rows, int32_t columns, uint32_t flags = VLM_BLOCK_FLAG_GLOBAL,
                 const Region& region = kWholeImage, int32_t tile_row = 0, int32_t tile_column = 0) {
        auto block = make_struct<vlm_token_block>();
        block.kind = VLM_BLOCK_GRID;
        block.flags = flags;
        block.tokens = static_cast<int64_t>(rows) * (columns + ((flags & VLM_BLOCK_FLAG_ROW_END) != 0 ? 1 : 0));
        block.rows = rows;
        block.columns = columns;
        block.tile_row = tile_row;
        block.tile_column = tile_column;
        std::copy(region.begin(), region.end(), block.region);
        push(block);
        return *this;
    }
    /** Adds `count` learned queries or latents. */
    Layout& latent(int32_t count) { return plain(VLM_BLOCK_LATENT, count); }
    /** Adds one special token (class token, newline, separator). */
    Layout& special() { return plain(VLM_BLOCK_SPECIAL, 1); }
    /** Adds a copy of `block`, moved to the next free position. */
    Layout& append(vlm_token_block block) {
        push(block);
        return *this;
    }

    /** Positions of all blocks. */
    int64_t tokens() const { return tokens_; }
    /** The blocks, in order of their positions. */
    const std::vector<vlm_token_block>& blocks() const { return blocks_; }
    /** Forgets all blocks. */
    void clear() {
        blocks_.clear();
        tokens_ = 0;
    }
    /** The struct; valid until this object changes or moves. */
    const vlm_token_layout* get() {
        pointers_.clear();
        for (const auto& block : blocks_) pointers_.push_back(&block);
        layout_ = make_struct<vlm_token_layout>();
        layout_.tokens = tokens_;
        layout_.block_count = static_cast<uint32_t>(blocks_.size());
        layout_.blocks = pointers_.data();
        return &layout_;
    }

  private:
    Layout& plain(uint32_t kind, int32_t count) {
        auto block = make_struct<vlm_token_block>();
        block.kind = kind;
        block.tokens = count;
        block.rows = 1;
        block.columns = count;
        push(block);
        return *this;
    }
    void push(vlm_token_block block) {
        block.struct_size = sizeof(block);
        block.abi_version = VLM_ABI_VERSION;
        block.first = tokens_;
        tokens_ += block.tokens;
        blocks_.push_back(block);
    }

    std::vector<vlm_token_block> blocks_;
    std::vector<const vlm_token_block*> pointers_;
    vlm_token_layout layout_{};
    int64_t tokens_ = 0;
};

}  // namespace vlm::sdk
