/** @file layout.cpp
 *  See layout.hpp.
 */
#include "host/pipeline/layout.hpp"

#include <algorithm>
#include <cstring>

#include "host/base/error.hpp"

namespace vlm {

TokenLayout::TokenLayout(const vlm_token_layout& layout, const std::string& who) : tokens_(layout.tokens) {
    const auto broken = [&](const std::string& what) {
        return Error(VLM_STATUS_INTERNAL, who + ": the plugin made a token layout that " + what + " (VLM-P-18)");
    };
    constexpr uint32_t kMostBlocks = 1u << 20;
    if (layout.block_count > kMostBlocks || (layout.block_count > 0 && layout.blocks == nullptr))
        throw broken("has " + std::to_string(layout.block_count) + " blocks");
    int64_t position = 0;
    for (uint32_t i = 0; i < layout.block_count; ++i) {
        const vlm_token_block* theirs = layout.blocks[i];
        if (theirs == nullptr || theirs->struct_size == 0) throw broken("has an empty block " + std::to_string(i));
        vlm_token_block block{};
        std::memcpy(&block, theirs, std::min<size_t>(theirs->struct_size, sizeof(block)));
        block.struct_size = sizeof(block);
        block.abi_version = VLM_ABI_VERSION;
        if (block.first != position || block.tokens < 0) throw broken("leaves a gap before block " + std::to_string(i));
        const int64_t row_end = (block.flags & VLM_BLOCK_FLAG_ROW_END) != 0 ? 1 : 0;
        if (block.kind == VLM_BLOCK_GRID &&
            static_cast<int64_t>(block.rows) * (block.columns + row_end) != block.tokens)
            throw broken("gives block " + std::to_string(i) + " " + std::to_string(block.tokens) +
                         " tokens for a grid of " + std::to_string(block.rows) + " x " + std::to_string(block.columns));
        position += block.tokens;
        blocks_.push_back(block);
    }
    if (position != tokens_)
        throw broken("covers " + std::to_string(position) + " of " + std::to_string(tokens_) + " tokens");
}

const vlm_token_layout* TokenLayout::abi() const {
    pointers_.clear();
    for (const auto& block : blocks_) pointers_.push_back(&block);
    abi_ = {sizeof(vlm_token_layout), VLM_ABI_VERSION, tokens_, static_cast<uint32_t>(blocks_.size()), 0,
            pointers_.data()};
    return &abi_;
}

}  // namespace vlm
