/** @file layout.hpp
 *  The host's own copy of a token layout. A plugin's layout lives until its next `plan`, so it is copied (and checked)
 * at once.
 */
#pragma once
#include <vlm/layout.h>

#include <string>
#include <vector>

namespace vlm {

/** Layout of the visual tokens of one image; see vlm/layout.h. */
class TokenLayout {
  public:
    TokenLayout() = default;
    /** Copies and checks: blocks must cover `0 … tokens-1` without gaps and grids must have `rows * columns` tokens.
     * Throws INTERNAL naming `who` otherwise. */
    TokenLayout(const vlm_token_layout& layout, const std::string& who);

    int64_t tokens() const { return tokens_; }
    const std::vector<vlm_token_block>& blocks() const { return blocks_; }

    /** The ABI's view; valid while this object lives and is not changed. */
    const vlm_token_layout* abi() const;

  private:
    int64_t tokens_ = 0;
    std::vector<vlm_token_block> blocks_;
    mutable std::vector<const vlm_token_block*> pointers_;
    mutable vlm_token_layout abi_{};
};

}  // namespace vlm
