/** @file edit_distance.cpp
 *  G. Myers, "A fast bit-vector algorithm for approximate string matching based on dynamic programming", JACM 46(3),
 * 1999; H. Hyyro, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", Nordic J. Computing
 * 10, 2003. A column of the matrix is kept as differences of +1/-1 in machine words; horizontal differences carry from
 * block to block.
 */
#include "edit_distance.hpp"

#include <algorithm>

namespace vlm::drug_validator {
namespace {

constexpr std::size_t kWordBits = 64;

/** State of one block of 64 pattern rows in the previous column. */
struct Block {
    std::uint64_t plus = ~std::uint64_t{0};  ///< vertical difference is +1
    std::uint64_t minus = 0;                 ///< vertical difference is -1
    std::uint64_t zero = 0;                  ///< diagonal difference is 0
};

}  // namespace

EditPattern::EditPattern(std::u32string_view pattern)
    : size_(pattern.size()), blocks_((pattern.size() + kWordBits - 1) / kWordBits), alphabet_(pattern) {
    std::sort(alphabet_.begin(), alphabet_.end());
    alphabet_.erase(std::unique(alphabet_.begin(), alphabet_.end()), alphabet_.end());
    masks_.assign((alphabet_.size() + 1) * blocks_, 0);
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const auto symbol = static_cast<std::size_t>(std::lower_bound(alphabet_.begin(), alphabet_.end(), pattern[i]) -
                                                     alphabet_.begin());
        masks_[symbol * blocks_ + i / kWordBits] |= std::uint64_t{1} << (i % kWordBits);
    }
}

const std::uint64_t* EditPattern::row(char32_t c) const {
    const auto it = std::lower_bound(alphabet_.begin(), alphabet_.end(), c);
    const std::size_t symbol =
        it != alphabet_.end() && *it == c ? static_cast<std::size_t>(it - alphabet_.begin()) : alphabet_.size();
    return masks_.data() + symbol * blocks_;
}

std::size_t EditPattern::distance(std::u32string_view text) const {
    if (size_ == 0) return text.size();
    std::vector<Block> column(blocks_);
    const std::uint64_t last_row = std::uint64_t{1} << ((size_ - 1) % kWordBits);
    std::size_t distance = size_;
    const std::uint64_t* previous_masks =
        masks_.data() + alphabet_.size() * blocks_;  // nothing precedes the first character
    for (char32_t c : text) {
        const std::uint64_t* masks = row(c);
        std::uint64_t plus_carry = 1;
        std::uint64_t minus_carry = 0;
        std::uint64_t swap_carry = 0;  // bit 63 of the block above: its row is one above this block's first row
        for (std::size_t b = 0; b < blocks_; ++b) {
            Block& v = column[b];
            const std::uint64_t match = masks[b];
            const std::uint64_t unmatched = ~v.zero & match;
            const std::uint64_t swap = ((unmatched << 1) | swap_carry) & previous_masks[b];
            swap_carry = unmatched >> (kWordBits - 1);
            const std::uint64_t x = match | minus_carry;
            const std::uint64_t zero = (((x & v.plus) + v.plus) ^ v.plus) | x | v.minus | swap;
            std::uint64_t plus = v.minus | ~(zero | v.plus);
            std::uint64_t minus = zero & v.plus;
            if (b + 1 == blocks_) {
                if (plus & last_row) ++distance;
                if (minus & last_row) --distance;
            }
            const std::uint64_t plus_out = plus >> (kWordBits - 1);
            const std::uint64_t minus_out = minus >> (kWordBits - 1);
            plus = (plus << 1) | plus_carry;
            minus = (minus << 1) | minus_carry;
            plus_carry = plus_out;
            minus_carry = minus_out;
            v.plus = minus | ~(zero | plus);
            v.minus = plus & zero;
            v.zero = zero;
        }
        previous_masks = masks;
    }
    return distance;
}

std::size_t edit_distance(std::u32string_view a, std::u32string_view b) {
    return EditPattern(a).distance(b);
}

std::vector<EditPlace> edit_places(std::u32string_view a, std::u32string_view b) {
    const std::size_t width = b.size() + 1;
    std::vector<std::size_t> cost((a.size() + 1) * width);
    const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return cost[i * width + j]; };
    const auto swapped = [&](std::size_t i, std::size_t j) {
        return i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
    };
    for (std::size_t i = 0; i <= a.size(); ++i)
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                at(i, j) = i + j;
                continue;
            }
            const std::size_t differs = a[i - 1] == b[j - 1] ? 0 : 1;
            at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + differs});
            if (swapped(i, j)) at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
        }
    std::vector<EditPlace> out;
    for (std::size_t i = a.size(), j = b.size(); i > 0 || j > 0;) {
        if (i > 0 && j > 0 && a[i - 1] == b[j - 1] && at(i, j) == at(i - 1, j - 1)) {
            --i, --j;
        } else if (swapped(i, j) && at(i, j) == at(i - 2, j - 2) + 1) {
            out.push_back({i - 2, i});
            i -= 2, j -= 2;
        } else if (i > 0 && j > 0 && at(i, j) == at(i - 1, j - 1) + 1) {
            out.push_back({i - 1, i});
            --i, --j;
        } else if (i > 0 && at(i, j) == at(i - 1, j) + 1) {
            out.push_back({i - 1, i});
            --i;
        } else {
            out.push_back({i, i});
            --j;
        }
    }
    return out;
}

double normalized_distance(std::size_t edits, std::size_t length_a, std::size_t length_b) {
    const std::size_t longer = std::max(length_a, length_b);
    return longer == 0 ? 0.0 : static_cast<double>(edits) / static_cast<double>(longer);
}

}  // namespace vlm::drug_validator
