/** @file attention_virtual.cpp
 *  Keys that exist only as a list of rows and rotations (virtual unmerging, arXiv 2504.17040, with a cache that keeps
 * each merged row once). Keys of a page are rotated side by side, so the table of rotations is turned once per call:
 * a column per key. A page that is made serves every block of query rows. Few rows need no pages where their keys are
 * merged ones (attention_merged.cpp); otherwise each reads a page once and has it made on the way.
 */
#include <algorithm>
#include <cstring>

#include "host/compute/cpu/attention.hpp"

namespace vlm::cpu {

namespace {

/** The table of a page, cos and behind it sin. */
float* page_rotations(const AttentionCall& call, int64_t index) {
    return call.rotations->as<float>() + index * 2 * call.rotary * kPageKeys;
}

int64_t source_row(const AttentionCall& call, int64_t key) {
    return call.key_rows.bytes != nullptr ? call.key_rows.data<int32_t>()[key] : key;
}

const std::byte* source_head(const AttentionCall& call, int64_t head, int64_t row) {
    return call.pages[static_cast<size_t>(row / kPageKeys)] + head * call.stored.head_bytes();
}

/** Whether columns can be moved as they are: same elements on both sides, and rotation keeps pairs together. */
bool moves_columns(const AttentionCall& call) {
    return call.stored.type == call.layout.type && (!call.layout.pairs() || call.rotary % 2 == 0);
}

/** The page of any type: key by key through f32. */
void gather_rows(const AttentionCall& call, int64_t head, int64_t index, int64_t count, std::byte* page, float* row) {
    const float* rotations = call.rotary > 0 ? page_rotations(call, index) : nullptr;
    for (int64_t slot = 0; slot < count; ++slot) {
        const int64_t source = source_row(call, index * kPageKeys + slot), half = call.rotary;
        const std::byte* from = source_head(call, head, source);
        read_key(call.stored, from, source % kPageKeys, row);
        for (int64_t i = 0; i < half; ++i) {
            const float cos = rotations[i * kPageKeys + slot], sin = rotations[(half + i) * kPageKeys + slot];
            const float x = row[i], y = row[i + half];
            row[i] = x * cos - y * sin;
            row[i + half] = y * cos + x * sin;
        }
        store_key(call.layout, row, slot, page);
        read_value(call.stored, from, source % kPageKeys, row);
        store_value(call.layout, row, slot, page);
    }
}

void gather_keys(const AttentionCall& call, int64_t head, int64_t index, int64_t count, std::byte* page) {
    const PageLayout& layout = call.layout;
    for (int64_t first = 0; first < kPageKeys; first += kPanel) {
        KeyPanel panel{};
        for (int64_t c = 0; c < kPanel; ++c) {
            // Columns behind the last key are never looked at.
            const int64_t slot = std::min(first + c, count - 1), row = source_row(call, index * kPageKeys + slot);
            panel.columns[c] =
                source_head(call, head, row) + layout.key_index(row % kPageKeys, 0) * layout.element_bytes();
        }
        panel.dim = layout.head_dim;
        panel.rotary = call.rotary;
        if (call.rotary > 0) {
            panel.cos = page_rotations(call, index) + first;
            panel.sin = panel.cos + call.rotary * kPageKeys;
        }
        panel.ld = kPageKeys;
        panel.panel = page + layout.key_index(first, 0) * layout.element_bytes();
        (layout.pairs() ? call.kernels->gather_keys_bf16 : call.kernels->gather_keys_f32)(panel);
    }
}

void gather_values(const AttentionCall& call, int64_t head, int64_t index, int64_t count, std::byte* page) {
    const PageLayout& layout = call.layout;
    const auto line = [&](int64_t row, int64_t panel) {
        const std::byte* values = source_head(call, head, row) + layout.key_bytes();
        const int64_t slot = layout.pairs() ? row % kPageKeys / 2 * 2 : row % kPageKeys;
        return values + layout.value_index(slot, panel * kPanel) * layout.element_bytes();
    };
    const int64_t step = layout.pairs() ? 2 : 1;
    for (int64_t slot = 0; slot < count; slot += step) {
        const int64_t row = source_row(call, index * kPageKeys + slot);
        for (int64_t panel = 0; panel < layout.value_panels(); ++panel) {
            std::byte* out =
                page + layout.key_bytes() + layout.value_index(slot, panel * kPanel) * layout.element_bytes();
            if (!layout.pairs()) {
                std::memcpy(out, line(row, panel), kPanel * sizeof(float));
                continue;
            }
            // The last key may stand alone; its partner's weight is 0, and it is as finite as the key itself.
            const int64_t next = source_row(call, index * kPageKeys + std::min(slot + 1, count - 1));
            call.kernels->join_pairs(reinterpret_cast<const uint16_t*>(line(row, panel)), row % 2 != 0,
                                     reinterpret_cast<const uint16_t*>(line(next, panel)), next % 2 != 0,
                                     reinterpret_cast<uint16_t*>(out));
        }
    }
}

}  // namespace

void make_rotations(State& state, AttentionCall& call) {
    const int64_t pages = call.page_count(), half = call.rotary;
    call.rotations = std::make_unique<ScratchBuffer>(
        state.scratch, checked_product(checked_product(pages, 2 * kPageKeys), half, sizeof(float)));
    const auto turn = [&](int64_t index) {
        const int64_t count = std::min(kPageKeys, call.keys - index * kPageKeys);
        float* out = page_rotations(call, index);
        for (const View* table : {&call.key_cos, &call.key_sin}) {
            const float* from = table->data<float>() + index * kPageKeys * half;
            for (int64_t i = 0; i < half; ++i, out += kPageKeys) {
                for (int64_t slot = 0; slot < count; ++slot) out[slot] = from[slot * half + i];
                std::fill(out + count, out + kPageKeys, 0.0f);
            }
        }
    };
    state.pool.parallel_for(0, pages, 1, [&](int64_t begin, int64_t end) {
        for (int64_t index = begin; index < end; ++index) turn(index);
    });
}

void gather_page(const AttentionCall& call, int64_t head, int64_t index, std::byte* page, float* row) {
    const PageLayout& layout = call.layout;
    const int64_t count = std::min(kPageKeys, call.keys - index * kPageKeys);
    const bool moved = moves_columns(call);
    // What is not written below meets weights and queries of zero, and has to be finite for that.
    if (!moved || count < kPageKeys || layout.key_depth() != layout.head_dim || layout.value_dim % kPanel != 0)
        std::memset(page, 0, static_cast<size_t>(layout.head_bytes()));
    if (!moved) return gather_rows(call, head, index, count, page, row);
    gather_keys(call, head, index, count, page);
    gather_values(call, head, index, count, page);
}

}  // namespace vlm::cpu
