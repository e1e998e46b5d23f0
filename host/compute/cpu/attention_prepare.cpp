/** @file attention_prepare.cpp
 *  Checks an attention call and brings all its variants into one form: a list of pages, and a range of visible keys per
 * row. The four mask rules are ranges (a dense mask is the full range with a byte per key), and keys that are not
 * cached are packed into pages as if they were. Nothing is appended to the cache before everything has been checked.
 */
#include <algorithm>
#include <cstring>
#include <limits>

#include "host/compute/cpu/attention_merged.hpp"

namespace vlm::cpu {

namespace {

/** A view of `[n, heads, dim]` with an innermost stride of any size. */
View head_view(const vlm_tensor* tensor, const char* what) {
    return view_of(tensor, what, VLM_DTYPE_F32, 3);
}

void check_shapes(const vlm_attention& args, AttentionCall& call) {
    call.q = head_view(args.q, "q");
    call.out = head_view(args.out, "out");
    call.rows = call.q.dim(0);
    call.heads = call.q.dim(1);
    if (call.out.dim(0) != call.rows || call.out.dim(1) != call.heads)
        throw invalid_argument(call.q.text() + " and " + call.out.text() + " differ in rows or heads");
    if (call.out.dim(2) > 1 && call.out.strides[2] != 1)
        throw invalid_argument(call.out.text() + " is strided in its last dimension, expected stride 1");
    if (call.heads < 1 || call.q.dim(2) < 1 || call.out.dim(2) < 1)
        throw invalid_argument(call.q.text() + " and " + call.out.text() + " have no heads or no elements");
    call.layout.head_dim = call.q.dim(2);
    call.layout.value_dim = call.out.dim(2);
    if ((args.k == nullptr) != (args.v == nullptr)) throw invalid_argument("of k and v only one is NULL");
    if (args.k == nullptr && args.cache == nullptr) throw invalid_argument("neither k and v nor a cache are given");
    if (args.k != nullptr) {
        call.k = head_view(args.k, "k");
        call.v = head_view(args.v, "v");
        if (call.k.dim(0) != call.v.dim(0) || call.k.dim(1) != call.v.dim(1))
            throw invalid_argument(call.k.text() + " and " + call.v.text() + " differ in rows or heads");
        if (call.k.dim(2) != call.layout.head_dim)
            throw invalid_argument(call.q.text() + " and " + call.k.text() + " differ in head_dim");
        if (call.v.dim(2) != call.layout.value_dim)
            throw invalid_argument(call.v.text() + " and " + call.out.text() + " differ in v_head_dim");
        call.layout.kv_heads = call.k.dim(1);
    }
}

/** Finds the layer of the cache and checks that it fits; NULL without a cache. */
LayerCache* check_cache(const vlm_attention& args, AttentionCall& call) {
    if (args.cache == nullptr) return nullptr;
    vlm_kv_cache& cache = *args.cache;
    if (args.layer < 0 || static_cast<size_t>(args.layer) >= cache.layers.size())
        throw Error(VLM_STATUS_OUT_OF_RANGE,
                    "layer " + std::to_string(args.layer) + ", the cache has " + std::to_string(cache.layers.size()));
    LayerCache& layer = cache.layers[static_cast<size_t>(args.layer)];
    if (args.k == nullptr) call.layout.kv_heads = cache.kv_heads;
    const bool known = layer.length() > 0;
    const int64_t value_dim = known ? layer.layout().value_dim : call.layout.value_dim;
    if (call.layout.kv_heads != cache.kv_heads || call.layout.head_dim != cache.head_dim ||
        call.layout.value_dim != value_dim)
        throw invalid_argument("the cache has " + std::to_string(cache.kv_heads) + " heads of " +
                               std::to_string(cache.head_dim) + " and values of " + std::to_string(value_dim) +
                               ", the call " + std::to_string(call.layout.kv_heads) + " of " +
                               std::to_string(call.layout.head_dim) + " and " + std::to_string(call.layout.value_dim));
    const int64_t added = args.k != nullptr ? call.k.dim(0) : 0;
    if (added > cache.capacity - layer.length())
        throw resource_exhausted("layer " + std::to_string(args.layer) + " of the cache holds " +
                                 std::to_string(layer.length()) + " keys of at most " + std::to_string(cache.capacity) +
                                 ", no room for " + std::to_string(added) +
                                 " more; raise the context length or shorten the prompt");
    return &layer;
}

/** Visible range of each row. `keys` is what rows see, after key_rows. */
void read_mask(const vlm_attention& args, AttentionCall& call) {
    const auto rows = static_cast<size_t>(call.rows);
    const auto keys = static_cast<int32_t>(call.keys);
    call.begin.assign(rows, 0);
    call.end.assign(rows, keys);
    switch (args.mask_rule) {
        case VLM_MASK_FULL:
            return;
        case VLM_MASK_CAUSAL:
            for (size_t i = 0; i < rows; ++i)
                call.end[i] =
                    static_cast<int32_t>(std::max<int64_t>(0, call.keys - call.rows + static_cast<int64_t>(i) + 1));
            return;
        case VLM_MASK_RANGES: {
            const View begin = optional_vector(args.key_begin, "key_begin", VLM_DTYPE_I32, call.rows);
            if (args.key_end == nullptr) throw invalid_argument("key_end is NULL with VLM_MASK_RANGES");
            const View end = optional_vector(args.key_end, "key_end", VLM_DTYPE_I32, call.rows);
            for (size_t i = 0; i < rows; ++i) {
                if (begin.bytes != nullptr) call.begin[i] = std::clamp(begin.data<int32_t>()[i], 0, keys);
                call.end[i] = std::clamp(end.data<int32_t>()[i], call.begin[i], keys);
            }
            return;
        }
        case VLM_MASK_DENSE:
            if (args.mask == nullptr) throw invalid_argument("mask is NULL with VLM_MASK_DENSE");
            call.mask = compact_view(args.mask, "mask", 0);
            if (call.mask.dtype != VLM_DTYPE_U8 && call.mask.dtype != VLM_DTYPE_BOOL)
                throw invalid_argument(call.mask.text() + " has the wrong dtype, expected u8");
            expect_shape(call.mask, {call.rows, call.keys});
            return;
        default:
            throw invalid_argument("mask_rule " + std::to_string(args.mask_rule) + " is unknown");
    }
}

/** The parts that concern virtual keys and by-products; `stored` is the number of keys in the pages. */
void read_extras(const vlm_attention& args, AttentionCall& call, int64_t stored) {
    call.keys = stored;
    if (args.key_rows != nullptr) {
        call.key_rows = compact_view(args.key_rows, "key_rows", VLM_DTYPE_I32, 1);
        call.keys = call.key_rows.elements;
        const int32_t* rows = call.key_rows.data<int32_t>();
        for (int64_t j = 0; j < call.keys; ++j)
            if (rows[j] < 0 || rows[j] >= stored)
                throw Error(VLM_STATUS_OUT_OF_RANGE, "key_rows[" + std::to_string(j) + "] is " +
                                                         std::to_string(rows[j]) + ", there are " +
                                                         std::to_string(stored) + " keys");
        if (call.keys == 0) call.key_rows.bytes = nullptr;
    }
    if (call.keys > std::numeric_limits<int32_t>::max() - kPageKeys)
        throw resource_exhausted(std::to_string(call.keys) + " keys are more than an index can count");
    if ((args.key_cos == nullptr) != (args.key_sin == nullptr))
        throw invalid_argument("of key_cos and key_sin only one is NULL");
    if (args.key_cos != nullptr) {
        call.key_cos = compact_view(args.key_cos, "key_cos", VLM_DTYPE_F32, 2);
        call.key_sin = compact_view(args.key_sin, "key_sin", VLM_DTYPE_F32, 2);
        expect_same_shape(call.key_cos, call.key_sin);
        call.rotary = call.key_cos.dim(1);
        if (call.key_cos.dim(0) != call.keys || 2 * call.rotary > call.layout.head_dim)
            throw invalid_argument(call.key_cos.text() + ", expected [" + std::to_string(call.keys) + ", at most " +
                                   std::to_string(call.layout.head_dim / 2) + "]");
    }
    call.key_bias = optional_vector(args.key_bias, "key_bias", VLM_DTYPE_F32, call.keys);
    call.last_row_scores = optional_vector(args.last_row_scores, "last_row_scores", VLM_DTYPE_F32, call.keys);
    if (args.weights != nullptr) {
        call.weights = compact_view(args.weights, "weights", VLM_DTYPE_F32, 2);
        expect_shape(call.weights, {call.rows, call.keys});
    }
}

/** Packs keys that no cache holds. */
void pack_pages(State& state, AttentionCall& call) {
    const int64_t keys = call.k.dim(0), pages = (keys + kPageKeys - 1) / kPageKeys;
    const int64_t page_bytes = call.stored.page_bytes(), parts = call.stored.head_parts();
    call.packed = std::make_unique<ScratchBuffer>(state.scratch, checked_product(pages, page_bytes));
    auto* memory = call.packed->as<std::byte>();
    for (int64_t p = 0; p < pages; ++p) call.pages.push_back(memory + p * page_bytes);
    const int64_t head_bytes = call.stored.head_bytes();
    state.pool.parallel_for(0, pages * parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) {
            const int64_t p = item / parts, h = item % parts * kHeadsAtOnce;
            const int64_t h_end = std::min(h + kHeadsAtOnce, call.stored.kv_heads);
            const int64_t count = std::min(kPageKeys, keys - p * kPageKeys);
            std::byte* page = memory + p * page_bytes;
            std::memset(page + h * head_bytes, 0, static_cast<size_t>((h_end - h) * head_bytes));
            write_page(call.stored, call.k, call.v, p * kPageKeys, count, 0, h, h_end, page);
        }
    });
}

}  // namespace

void prepare_attention(State& state, const vlm_attention& args, AttentionCall& call) {
    if (args.struct_size < sizeof(vlm_attention) || args.struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument("args has struct_size " + std::to_string(args.struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_attention)));
    call.kernels = &kernels();
    call.scale = args.scale;
    call.softcap = args.logit_softcap;
    check_shapes(args, call);
    LayerCache* layer = check_cache(args, call);
    if (call.layout.kv_heads < 1 || call.heads % call.layout.kv_heads != 0)
        throw invalid_argument(call.q.text() + ": " + std::to_string(call.heads) + " heads are no multiple of " +
                               std::to_string(call.layout.kv_heads) + " key heads");
    call.group = call.heads / call.layout.kv_heads;
    const bool bf16 = state.options.mode == Precision::bf16;
    call.stored = call.layout;
    call.stored.type = layer != nullptr ? args.cache->type : bf16 ? KvType::bf16 : KvType::f32;
    call.layout.type = call.stored.pairs() ? KvType::bf16 : KvType::f32;
    // An f32 mode with a narrower cache multiplies what it reads in f32.
    call.bf16_products = bf16 && call.layout.pairs() && call.kernels->gemm_bf16 != nullptr;
    // Rows that are decoded together have to be bit for bit what they are one by one, and few rows would be padding.
    if (call.bf16_products && call.rows > kFewRows && call.rows * call.group >= kTileRows) call.amx = amx_kernels();
    const int64_t added = args.k != nullptr ? call.k.dim(0) : 0;
    read_extras(args, call, added + (layer != nullptr ? layer->length() : 0));
    read_mask(args, call);
    if (layer == nullptr) {
        pack_pages(state, call);
    } else {
        if (layer->length() == 0) layer->set_layout(call.stored);
        if (added > 0) {
            layer->reserve(state, layer->length() + added);
            layer->append(state, call.k, call.v);
        }
        call.pages = layer->pages();
    }
    if (call.rotary > 0 && call.keys > 0 && !folds_keys(call)) make_rotations(state, call);
}

int64_t staging_bytes(const AttentionCall& call) {
    if (call.in_place()) return 0;
    const int64_t page = (call.layout.head_bytes() + 63) / 64 * 64;
    return page + (std::max(call.layout.head_dim, call.layout.value_dim) * 4 + 63) / 64 * 64;
}

namespace {

/** Widens a stored page; its scales stay where they are. */
HeadPage widen_page(const AttentionCall& call, int64_t head, int64_t index, std::byte* staging) {
    const auto source = [&](int64_t page) {
        return call.pages[static_cast<size_t>(page)] + head * call.stored.head_bytes();
    };
    const std::byte* from = source(index);
    const std::byte* ahead = static_cast<size_t>(index) + 1 < call.pages.size() ? source(index + 1) : from;
    const int64_t elements = call.stored.head_elements();
    const float* scales = nullptr;
    if (call.stored.type == KvType::int8) {
        call.kernels->int8_to_bf16(reinterpret_cast<const int8_t*>(from), reinterpret_cast<uint16_t*>(staging),
                                   elements, ahead);
        scales = call.stored.scales(from);
    } else {
        call.kernels->f16_to_f32(reinterpret_cast<const uint16_t*>(from), reinterpret_cast<float*>(staging), elements,
                                 ahead);
    }
    return {staging, staging + call.layout.key_bytes(), scales};
}

}  // namespace

HeadPage head_page(const AttentionCall& call, int64_t head, int64_t index, std::byte* staging) {
    const int64_t head_bytes = (call.layout.head_bytes() + 63) / 64 * 64;
    if (call.ready != nullptr) {
        const std::byte* page = call.ready + ((head - call.ready_head) * call.page_count() + index) * head_bytes;
        return {page, page + call.layout.key_bytes(), nullptr};
    }
    if (call.virtual_keys()) {
        gather_page(call, head, index, staging, reinterpret_cast<float*>(staging + head_bytes));
        return {staging, staging + call.layout.key_bytes(), nullptr};
    }
    if (!call.in_place()) return widen_page(call, head, index, staging);
    const std::byte* keys = call.pages[static_cast<size_t>(index)] + head * call.layout.head_bytes();
    return {keys, keys + call.layout.key_bytes(), nullptr};
}

int64_t query_stride(const AttentionCall& call) {
    return call.bf16_products ? call.layout.key_depth() : call.layout.head_dim;
}

void gather_queries(const AttentionCall& call, int64_t head, int64_t first, int64_t count, void* q) {
    const int64_t dim = call.layout.head_dim, stride = query_stride(call);
    const auto query = [&](int64_t i) {
        const int64_t r = (first + i) / call.group, h = head * call.group + (first + i) % call.group;
        return call.q.data<const float>() + r * call.q.strides[0] + h * call.q.strides[1];
    };
    // Rows lie far apart, often some multiple of 4 KB, and would push each other out of the first-level cache if more
    // were asked for than it has ways.
    constexpr int64_t kLine = 16, kRowsAhead = 8;
    const auto fetch = [&](int64_t i) {
        for (int64_t d = 0; d < dim && i < count && call.q.strides[2] == 1; d += kLine)
            __builtin_prefetch(query(i) + d);
    };
    for (int64_t i = 0; i < kRowsAhead; ++i) fetch(i);
    std::vector<float> row(static_cast<size_t>(dim));
    for (int64_t i = 0; i < count; ++i) {
        fetch(i + kRowsAhead);
        const float* source = query(i);
        if (call.q.strides[2] != 1 && dim > 1) {
            for (int64_t d = 0; d < dim; ++d) row[static_cast<size_t>(d)] = source[d * call.q.strides[2]];
            source = row.data();
        }
        if (call.bf16_products) {
            auto* target = static_cast<uint16_t*>(q) + i * stride;
            call.kernels->to_bf16(source, target, dim);
            std::fill(target + dim, target + stride, uint16_t{0});
        } else {
            std::copy_n(source, dim, static_cast<float*>(q) + i * stride);
        }
    }
}

void multiply_keys(const AttentionCall& call, const void* q, int64_t rows, const HeadPage& page, float* tile,
                   int64_t ldc) {
    const PageLayout& layout = call.layout;
    const int64_t ldq = query_stride(call);
    for (int64_t half = 0; half < kPageKeys / kPanel; ++half) {
        const std::byte* panel = page.keys + half * layout.key_depth() * kPanel * layout.element_bytes();
        float* c = tile + half * kPanel;
        if (call.bf16_products) {
            call.kernels->gemm_bf16(static_cast<const uint16_t*>(q), ldq, reinterpret_cast<const uint16_t*>(panel),
                                    layout.key_depth(), c, ldc, rows, false, nullptr);
        } else if (layout.pairs()) {
            call.kernels->gemm_f32_bf16(static_cast<const float*>(q), ldq, reinterpret_cast<const uint16_t*>(panel),
                                        layout.head_dim, c, ldc, rows, false);
        } else {
            call.kernels->gemm_f32(static_cast<const float*>(q), ldq, reinterpret_cast<const float*>(panel),
                                   layout.head_dim, c, ldc, rows, false);
        }
    }
    if (page.scales == nullptr) return;
    for (int64_t r = 0; r < rows; ++r) {
        float* logits = tile + r * ldc;
        call.kernels->multiply(logits, page.scales, logits, kPageKeys);
    }
}

}  // namespace vlm::cpu
