/** @file masks.cpp
 *  Visibility is defined once, pair by pair; ranges are found from it when a shortcut does not apply.
 */
#include "masks.hpp"

#include <vlm/attention.h>

#include <algorithm>

namespace vlm::decoder {
namespace {

/** The definition: may the position at key `row` look at `key`? */
class Visibility {
  public:
    Visibility(MaskKind kind, int64_t window, bool first_run, const KeyInfo& keys)
        : kind_(kind), window_(window), first_run_(first_run), keys_(keys) {}

    bool operator()(size_t row, size_t key) const {
        bool text_row = keys_.image[row] < 0;
        bool past = key <= row && (window_ <= 0 || keys_.index[key] > keys_.index[row] - window_);
        switch (kind_) {
            case MaskKind::causal:
                return past;
            case MaskKind::full:
                return true;
            case MaskKind::prefix_lm:
                return past || first_run_;
            case MaskKind::block_causal:
                return past || (!text_row && keys_.image[key] == keys_.image[row]);
            case MaskKind::prefix:
                return keys_.image[key] >= 0 || (text_row && past);
        }
        return past;
    }

  private:
    MaskKind kind_;
    int64_t window_;
    bool first_run_;
    KeyInfo keys_;
};

/** Causal with a window: the first key of each row is found by its index, since pruned keys leave gaps. */
Mask window_mask(int64_t window, const KeyInfo& keys, size_t past) {
    Mask mask;
    mask.rule = VLM_MASK_RANGES;
    for (size_t row = past; row < keys.index.size(); ++row) {
        int64_t oldest = keys.index[row] - window + 1;
        auto first = std::partition_point(keys.index.begin(), keys.index.end(), [&](int32_t i) { return i < oldest; });
        mask.begin.push_back(static_cast<int32_t>(first - keys.index.begin()));
        mask.end.push_back(static_cast<int32_t>(row + 1));
    }
    return mask;
}

/** True when nothing but the causal rule matters for these rows. */
bool is_causal(MaskKind kind, bool first_run, const KeyInfo& keys, size_t past) {
    if (kind == MaskKind::causal) return true;
    if (kind == MaskKind::full) return false;
    if (kind == MaskKind::prefix_lm) return !first_run;
    return std::all_of(keys.image.begin() + static_cast<ptrdiff_t>(past), keys.image.end(),
                       [](int32_t image) { return image < 0; });
}

/** Adds the range that `row` sees; false when it is no range. */
bool add_range(const Visibility& visible, size_t row, size_t keys, Mask& mask) {
    size_t begin = 0;
    while (begin < keys && !visible(row, begin)) ++begin;
    size_t end = begin;
    while (end < keys && visible(row, end)) ++end;
    for (size_t key = end; key < keys; ++key) {
        if (visible(row, key)) return false;
    }
    mask.begin.push_back(static_cast<int32_t>(begin));
    mask.end.push_back(static_cast<int32_t>(end));
    return true;
}

}  // namespace

Mask make_mask(MaskKind kind, int64_t window, bool first_run, const KeyInfo& keys, int64_t rows) {
    Mask mask;
    size_t count = keys.index.size();
    size_t past = count - static_cast<size_t>(rows);
    if (kind == MaskKind::full) {
        mask.rule = VLM_MASK_FULL;
        return mask;
    }
    if (is_causal(kind, first_run, keys, past)) {
        bool all_inside = window <= 0 || count == 0 || keys.index[count - 1] - keys.index[0] < window;
        if (!all_inside) return window_mask(window, keys, past);
        mask.rule = VLM_MASK_CAUSAL;
        return mask;
    }
    Visibility visible(kind, window, first_run, keys);
    mask.rule = VLM_MASK_RANGES;
    bool ranges = true;
    for (size_t row = past; row < count && ranges; ++row) ranges = add_range(visible, row, count, mask);
    if (ranges) return mask;
    mask = Mask{};
    mask.rule = VLM_MASK_DENSE;
    mask.visible.reserve((count - past) * count);
    for (size_t row = past; row < count; ++row) {
        for (size_t key = 0; key < count; ++key) mask.visible.push_back(visible(row, key) ? 1 : 0);
    }
    return mask;
}

Mask make_memory_mask(std::span<const int32_t> image_of_row, std::span<const int64_t> image_ends) {
    Mask mask;
    mask.rule = VLM_MASK_RANGES;
    for (int32_t image : image_of_row) {
        auto i = static_cast<size_t>(image);
        bool sees = image >= 0 && i < image_ends.size();
        int64_t end = sees ? image_ends[i] : 0;
        int64_t begin = sees && i > 0 ? image_ends[i - 1] : 0;
        mask.begin.push_back(static_cast<int32_t>(begin));
        mask.end.push_back(static_cast<int32_t>(end));
    }
    return mask;
}

}  // namespace vlm::decoder
