/** @file kv_page.cpp
 *  Rows into pages and back. A row is converted first, in one go, and then moved: as pairs along the head in keys, as
 * pairs of two keys in values, or element by element in the types that are multiplied in f32.
 */
#include <algorithm>
#include <cmath>
#include <cstring>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/kv_cache.hpp"

namespace vlm::cpu {

namespace {

/** How rows of one type are made: elements of type E, `kPairs` of them moved together. */
struct AsF32 {
    using E = float;
    static constexpr bool kPairs = false;
    static float convert(const Kernels&, const float* x, int64_t n, float* out) { return std::copy_n(x, n, out), 1.0f; }
};
struct AsBf16 {
    using E = uint16_t;
    static constexpr bool kPairs = true;
    static float convert(const Kernels& table, const float* x, int64_t n, uint16_t* out) {
        return table.to_bf16(x, out, n), 1.0f;
    }
};
struct AsF16 {
    using E = uint16_t;
    static constexpr bool kPairs = false;
    static float convert(const Kernels& table, const float* x, int64_t n, uint16_t* out) {
        return table.to_f16(x, out, n), 1.0f;
    }
};
struct AsInt8 {
    using E = int8_t;
    static constexpr bool kPairs = true;
    static float convert(const Kernels& table, const float* x, int64_t n, int8_t* out) {
        return table.to_int8(x, out, n);
    }
};

template <class Fn>
void with_form(KvType type, Fn&& fn) {
    switch (type) {
        case KvType::bf16:
            return fn(AsBf16{});
        case KvType::f16:
            return fn(AsF16{});
        case KvType::int8:
            return fn(AsInt8{});
        default:
            return fn(AsF32{});
    }
}

/** A row of `x` as neighbours: in place, or copied to `buffer`. */
const float* row_of(const View& x, int64_t row, int64_t head, float* buffer) {
    const float* source = x.data<const float>() + row * x.strides[0] + head * x.strides[1];
    if (x.strides[2] == 1) return source;
    for (int64_t d = 0; d < x.shape[2]; ++d) buffer[d] = source[d * x.strides[2]];
    return buffer;
}

/** Asks for a row that is read soon: rows lie far apart, and no hardware looks ahead across them. */
void fetch_row(const View& x, int64_t row, int64_t head) {
    constexpr int64_t kLine = 16;
    const float* source = x.data<const float>() + row * x.strides[0] + head * x.strides[1];
    for (int64_t d = 0; d < x.shape[2] && x.strides[2] == 1; d += kLine) __builtin_prefetch(source + d);
}

/** Moves a converted key to its slot; `row` has one element of zero behind it. */
template <class Form>
void place_key(const PageLayout& layout, const typename Form::E* row, int64_t slot, typename Form::E* keys) {
    auto* target = keys + layout.key_index(slot, 0);
    if constexpr (Form::kPairs) {
        for (int64_t d = 0; d < layout.head_dim; d += 2, target += 2 * kPanel)
            std::memcpy(target, row + d, 2 * sizeof(*row));
    } else {
        for (int64_t d = 0; d < layout.head_dim; ++d, target += kPanel) *target = row[d];
    }
}

/** Moves a converted value to its slot, and with it the next one when `next` is not NULL (`slot` is even then). */
template <class Form>
void place_values(const PageLayout& layout, const typename Form::E* row, const typename Form::E* next, int64_t slot,
                  typename Form::E* values) {
    constexpr int64_t step = Form::kPairs ? 2 : 1;
    for (int64_t d = 0; d < layout.value_dim; d += kPanel) {
        auto* line = values + layout.value_index(slot, d);
        const int64_t n = std::min(kPanel, layout.value_dim - d);
        if (next == nullptr) {
            for (int64_t c = 0; c < n; ++c) line[c * step] = row[d + c];
        } else {
            for (int64_t c = 0; c < n; ++c) {
                line[c * step] = row[d + c];
                line[c * step + 1] = next[d + c];
            }
        }
    }
}

/** Rows of one page and a range of heads, in one form. Heads are the inner loop because they are neighbours in the
 * source, which the processor then reads ahead. */
template <class Form>
void write_rows(const PageLayout& layout, const View& k, const View& v, int64_t first, int64_t count, int64_t slot,
                int64_t head, int64_t head_end, std::byte* page) {
    using E = typename Form::E;
    const Kernels& table = kernels();
    const auto width = static_cast<size_t>(std::max(layout.head_dim, layout.value_dim) + 2);
    std::vector<E> converted(2 * width);
    std::vector<float> gathered(width);
    E *row = converted.data(), *next = row + width;
    row[layout.head_dim] = E{};
    const auto elements = [&](int64_t h) { return reinterpret_cast<E*>(page + h * layout.head_bytes()); };
    const auto set_scale = [&](int64_t h, int64_t index, float scale) {
        if (layout.scale_bytes() > 0) layout.scales(page + h * layout.head_bytes())[index] = scale;
    };
    for (int64_t i = 0; i < count; ++i)
        for (int64_t h = head; h < head_end; ++h) {
            if (i + 1 < count) fetch_row(k, first + i + 1, h);
            const float* key = row_of(k, first + i, h, gathered.data());
            set_scale(h, slot + i, Form::convert(table, key, layout.head_dim, row));
            place_key<Form>(layout, row, slot + i, elements(h));
        }
    for (int64_t i = 0, step = 1; i < count; i += step) {
        step = Form::kPairs && (slot + i) % 2 == 0 && i + 1 < count ? 2 : 1;
        for (int64_t h = head; h < head_end; ++h) {
            for (int64_t n = 0; n < step; ++n) {
                if (i + n + step < count) fetch_row(v, first + i + n + step, h);
                const float* value = row_of(v, first + i + n, h, gathered.data());
                set_scale(h, kPageKeys + slot + i + n,
                          Form::convert(table, value, layout.value_dim, n == 0 ? row : next));
            }
            place_values<Form>(layout, row, step == 2 ? next : nullptr, slot + i, elements(h) + layout.key_elements());
        }
    }
}

float element(const PageLayout& layout, const std::byte* elements, int64_t index) {
    switch (layout.type) {
        case KvType::bf16:
            return bf16_to_float(reinterpret_cast<const uint16_t*>(elements)[index]);
        case KvType::f16:
            return f16_to_float(reinterpret_cast<const uint16_t*>(elements)[index]);
        case KvType::int8:
            return static_cast<float>(reinterpret_cast<const int8_t*>(elements)[index]);
        default:
            return reinterpret_cast<const float*>(elements)[index];
    }
}

float scale_of(const PageLayout& layout, const std::byte* head, int64_t index) {
    return layout.scale_bytes() > 0 ? layout.scales(head)[index] : 1.0f;
}

}  // namespace

void write_page(const PageLayout& layout, const View& k, const View& v, int64_t first, int64_t count, int64_t slot,
                int64_t head, int64_t head_end, std::byte* page) {
    with_form(layout.type,
              [&](auto form) { write_rows<decltype(form)>(layout, k, v, first, count, slot, head, head_end, page); });
}

void read_key(const PageLayout& layout, const std::byte* head, int64_t slot, float* key) {
    const float scale = scale_of(layout, head, slot);
    for (int64_t d = 0; d < layout.head_dim; ++d) key[d] = scale * element(layout, head, layout.key_index(slot, d));
}

void read_value(const PageLayout& layout, const std::byte* head, int64_t slot, float* value) {
    const float scale = scale_of(layout, head, kPageKeys + slot);
    const std::byte* values = head + layout.key_bytes();
    for (int64_t d = 0; d < layout.value_dim; ++d)
        value[d] = scale * element(layout, values, layout.value_index(slot, d));
}

void store_key(const PageLayout& layout, const float* key, int64_t slot, std::byte* head) {
    with_form(layout.type, [&](auto form) {
        using Form = decltype(form);
        std::vector<typename Form::E> row(static_cast<size_t>(layout.head_dim + 1));
        const float scale = Form::convert(kernels(), key, layout.head_dim, row.data());
        if (layout.scale_bytes() > 0) layout.scales(head)[slot] = scale;
        place_key<Form>(layout, row.data(), slot, reinterpret_cast<typename Form::E*>(head));
    });
}

void store_value(const PageLayout& layout, const float* value, int64_t slot, std::byte* head) {
    with_form(layout.type, [&](auto form) {
        using Form = decltype(form);
        std::vector<typename Form::E> row(static_cast<size_t>(layout.value_dim));
        const float scale = Form::convert(kernels(), value, layout.value_dim, row.data());
        if (layout.scale_bytes() > 0) layout.scales(head)[kPageKeys + slot] = scale;
        auto* values = reinterpret_cast<typename Form::E*>(head) + layout.key_elements();
        place_values<Form>(layout, row.data(), nullptr, slot, values);
    });
}

}  // namespace vlm::cpu
