/** @file attention_ops.cpp
 *  Checks an attention call, appends to the cache, and brings all variants into the one form that the kernels take.
 * Nothing is appended before everything has been checked. Mask ranges and key rows stay on the GPU unread: the kernels
 * hold ranges inside the keys and report rows that are none (State::fault).
 */
#include <algorithm>
#include <limits>

#include "host/compute/cuda/attention_kernels.hpp"
#include "host/compute/cuda/kv_cache.hpp"
#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

/** Floats that write_weights takes at once. */
constexpr int64_t kWeightFloats = int64_t{1} << 24;

/** A call while it is being checked. */
struct Checked {
    View q, k, v, out;
    std::unique_ptr<Temporary> packed_q, packed_k, packed_v;
    LayerCache* layer = nullptr;
    AttentionCall call{};
    float* last_row_scores = nullptr;
    float* weights = nullptr;
    int64_t added = 0;
};

int64_t stride(const View& view, int32_t d) {
    return view.strides[static_cast<size_t>(d)];
}

/** `[n, heads, dim]` with stride 1 inside a head. */
View heads_of(State& state, const Queue& queue, const vlm_tensor* tensor, const char* what,
              std::unique_ptr<Temporary>& buffer) {
    View view = state.activation(tensor, what, 3);
    if (view.dim(2) > 1 && view.strides[2] != 1) view = with_compact_rows(state, queue, view, buffer);
    return view;
}

void check_shapes(State& state, const Queue& queue, const vlm_attention& args, Checked& c) {
    c.q = heads_of(state, queue, args.q, "q", c.packed_q);
    c.out = state.activation(args.out, "out", 3);
    AttentionCall& call = c.call;
    call.rows = c.q.dim(0);
    call.heads = c.q.dim(1);
    if (c.out.dim(0) != call.rows || c.out.dim(1) != call.heads)
        throw invalid_argument(c.q.text() + " and " + c.out.text() + " differ in rows or heads");
    if (c.out.dim(2) > 1 && c.out.strides[2] != 1)
        throw invalid_argument(c.out.text() + " is strided in its last dimension, expected stride 1");
    if (call.heads < 1 || c.q.dim(2) < 1 || c.out.dim(2) < 1)
        throw invalid_argument(c.q.text() + " and " + c.out.text() + " have no heads or no elements");
    if (c.q.dim(2) > kMaxHeadDim || c.out.dim(2) > kMaxHeadDim)
        throw unimplemented(c.q.text() + " and " + c.out.text() + ": heads of more than " +
                            std::to_string(kMaxHeadDim) + " elements are not offered on the GPU");
    call.source.head_dim = c.q.dim(2);
    call.source.value_dim = c.out.dim(2);
    if ((args.k == nullptr) != (args.v == nullptr)) throw invalid_argument("of k and v only one is NULL");
    if (args.k == nullptr && args.cache == nullptr) throw invalid_argument("neither k and v nor a cache are given");
    if (args.k != nullptr) {
        c.k = heads_of(state, queue, args.k, "k", c.packed_k);
        c.v = heads_of(state, queue, args.v, "v", c.packed_v);
        if (c.k.dim(0) != c.v.dim(0) || c.k.dim(1) != c.v.dim(1))
            throw invalid_argument(c.k.text() + " and " + c.v.text() + " differ in rows or heads");
        if (c.k.dim(2) != call.source.head_dim)
            throw invalid_argument(c.q.text() + " and " + c.k.text() + " differ in head_dim");
        if (c.v.dim(2) != call.source.value_dim)
            throw invalid_argument(c.v.text() + " and " + c.out.text() + " differ in v_head_dim");
        call.source.kv_heads = c.k.dim(1);
        c.added = c.k.dim(0);
        call.source.k = c.k.bytes;
        call.source.v = c.v.bytes;
        call.source.k_row = stride(c.k, 0);
        call.source.k_head = stride(c.k, 1);
        call.source.v_row = stride(c.v, 0);
        call.source.v_head = stride(c.v, 1);
    }
}

void check_cache(const vlm_attention& args, Checked& c) {
    if (args.cache == nullptr) return;
    Cache& cache = *cache_of(args.cache);
    if (args.layer < 0 || static_cast<size_t>(args.layer) >= cache.layers.size())
        throw Error(VLM_STATUS_OUT_OF_RANGE,
                    "layer " + std::to_string(args.layer) + ", the cache has " + std::to_string(cache.layers.size()));
    LayerCache& layer = cache.layers[static_cast<size_t>(args.layer)];
    KeySource& source = c.call.source;
    if (args.k == nullptr) source.kv_heads = cache.kv_heads;
    const int64_t value_dim = layer.length() > 0 ? layer.value_dim() : source.value_dim;
    if (source.kv_heads != cache.kv_heads || source.head_dim != cache.head_dim || source.value_dim != value_dim)
        throw invalid_argument("the cache has " + std::to_string(cache.kv_heads) + " heads of " +
                               std::to_string(cache.head_dim) + " and values of " + std::to_string(value_dim) +
                               ", the call " + std::to_string(source.kv_heads) + " of " +
                               std::to_string(source.head_dim) + " and " + std::to_string(source.value_dim));
    if (c.added > cache.capacity - layer.length())
        throw resource_exhausted("layer " + std::to_string(args.layer) + " of the cache holds " +
                                 std::to_string(layer.length()) + " keys of at most " + std::to_string(cache.capacity) +
                                 ", no room for " + std::to_string(c.added) +
                                 " more; raise the context length or shorten the prompt");
    c.layer = &layer;
}

void read_extras(State& state, const vlm_attention& args, Checked& c) {
    AttentionCall& call = c.call;
    call.source.stored = c.added + (c.layer != nullptr ? c.layer->length() : 0);
    call.keys = call.source.stored;
    if (args.key_rows != nullptr) {
        const View rows = state.compact(args.key_rows, "key_rows", VLM_DTYPE_I32, 1);
        call.keys = rows.elements;
        call.key_rows = rows.data<const int32_t>();
    }
    if (call.keys > std::numeric_limits<int32_t>::max() - kPageKeys)
        throw resource_exhausted(std::to_string(call.keys) + " keys are more than an index can count");
    if ((args.key_cos == nullptr) != (args.key_sin == nullptr))
        throw invalid_argument("of key_cos and key_sin only one is NULL");
    if (args.key_cos != nullptr) {
        const View cos = state.compact(args.key_cos, "key_cos", VLM_DTYPE_F32, 2);
        const View sin = state.compact(args.key_sin, "key_sin", VLM_DTYPE_F32, 2);
        cpu::expect_same_shape(cos, sin);
        call.rotary = cos.dim(1);
        if (cos.dim(0) != call.keys || 2 * call.rotary > call.source.head_dim)
            throw invalid_argument(cos.text() + ", expected [" + std::to_string(call.keys) + ", at most " +
                                   std::to_string(call.source.head_dim / 2) + "]");
        call.key_cos = cos.data<const float>();
        call.key_sin = sin.data<const float>();
    }
    call.key_bias = state.vector(args.key_bias, "key_bias", VLM_DTYPE_F32, call.keys).data<const float>();
    c.last_row_scores = state.vector(args.last_row_scores, "last_row_scores", VLM_DTYPE_F32, call.keys).data<float>();
    if (c.last_row_scores != nullptr && call.rows == 0)
        throw invalid_argument("last_row_scores is asked for, but there are no rows");
    if (args.weights != nullptr) {
        const View weights = state.compact(args.weights, "weights", VLM_DTYPE_F32, 2);
        cpu::expect_shape(weights, {call.rows, call.keys});
        c.weights = weights.data<float>();
    }
}

void read_mask(State& state, const vlm_attention& args, AttentionCall& call) {
    call.mask_rule = args.mask_rule;
    switch (args.mask_rule) {
        case VLM_MASK_FULL:
        case VLM_MASK_CAUSAL:
            return;
        case VLM_MASK_RANGES:
            if (args.key_end == nullptr) throw invalid_argument("key_end is NULL with VLM_MASK_RANGES");
            call.key_begin = state.vector(args.key_begin, "key_begin", VLM_DTYPE_I32, call.rows).data<const int32_t>();
            call.key_end = state.vector(args.key_end, "key_end", VLM_DTYPE_I32, call.rows).data<const int32_t>();
            return;
        case VLM_MASK_DENSE: {
            if (args.mask == nullptr) throw invalid_argument("mask is NULL with VLM_MASK_DENSE");
            const View mask = state.compact(args.mask, "mask", 0);
            if (mask.dtype != VLM_DTYPE_U8 && mask.dtype != VLM_DTYPE_BOOL)
                throw invalid_argument(mask.text() + " has the wrong dtype, expected u8");
            cpu::expect_shape(mask, {call.rows, call.keys});
            call.mask = mask.data<const uint8_t>();
            return;
        }
        default:
            throw invalid_argument("mask_rule " + std::to_string(args.mask_rule) + " is unknown");
    }
}

void check(State& state, const Queue& queue, const vlm_attention& args, Checked& c) {
    if (args.struct_size < sizeof(vlm_attention) || args.struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument("args has struct_size " + std::to_string(args.struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_attention)));
    check_shapes(state, queue, args, c);
    check_cache(args, c);
    AttentionCall& call = c.call;
    if (call.source.kv_heads < 1 || call.heads % call.source.kv_heads != 0)
        throw invalid_argument(c.q.text() + ": " + std::to_string(call.heads) + " heads are no multiple of " +
                               std::to_string(call.source.kv_heads) + " key heads");
    call.group = call.heads / call.source.kv_heads;
    call.scale = args.scale;
    call.softcap = args.logit_softcap;
    read_extras(state, args, c);
    read_mask(state, args, call);
    call.q = c.q.bytes;
    call.q_row = stride(c.q, 0);
    call.q_head = stride(c.q, 1);
    call.out = c.out.bytes;
    call.out_row = stride(c.out, 0);
    call.out_head = stride(c.out, 1);
    call.fault = state.fault();
}

/** Whether memory and a distance between rows in bf16 allow reading 16 bytes at once. */
bool in_pieces(const void* memory, int64_t distance) {
    return reinterpret_cast<uintptr_t>(memory) % 16 == 0 && distance % 8 == 0;
}

/** What the kernels for bf16 do not know. */
bool plain(const State& state, const AttentionCall& call) {
    return state.options.activation_dtype == VLM_DTYPE_BF16 && call.mask_rule != VLM_MASK_DENSE &&
           call.key_rows == nullptr && call.key_cos == nullptr && call.source.head_dim % 8 == 0 &&
           call.source.value_dim % 8 == 0;
}

/** See DecodeBatch. Packed copies live only as long as this call. */
bool waits(const State& state, const Checked& c) {
    const KeySource& s = c.call.source;
    const bool packed = c.packed_q != nullptr || c.packed_k != nullptr || c.packed_v != nullptr;
    return state.decodes_work && plain(state, c.call) && c.call.rows == 1 && c.layer != nullptr && c.added <= 1 &&
           !packed && c.last_row_scores == nullptr && c.weights == nullptr &&
           (c.added == 0 || (in_pieces(s.k, s.k_head) && in_pieces(s.v, s.v_head)));
}

/** See launch_attention_tiles; with fewer rows a tile would be mostly empty. */
bool takes_tiles(const State& state, const AttentionCall& call) {
    constexpr int64_t kFewestRows = 16, kMostKeys = int64_t{1} << 24;
    const KeySource& s = call.source;
    return state.tiles_work && plain(state, call) && call.rows >= kFewestRows && call.keys < kMostKeys &&
           s.head_dim <= kMaxTileDim && s.value_dim <= kMaxTileDim &&
           (s.pages != nullptr || (in_pieces(s.k, s.k_row) && in_pieces(s.k, s.k_head) && in_pieces(s.v, s.v_row) &&
                                   in_pieces(s.v, s.v_head)));
}

/** Many rows over virtual keys: writing those once is less than turning each for every row. False when the call is no
 * such call. */
bool realised_tiles(State& state, const Queue& queue, const AttentionCall& call) {
    if (call.key_rows == nullptr && call.key_cos == nullptr) return false;
    if (!takes_tiles(state, with_plain_keys(call, nullptr, nullptr))) return false;
    const int64_t heads = checked_product(call.keys, call.source.kv_heads, 2);
    const Temporary keys(state, queue, checked_product(heads, call.source.head_dim));
    const Temporary values(state, queue, checked_product(heads, call.source.value_dim));
    launch_attention_tiles(queue, launch_realise(queue, call, keys.as<void>(), values.as<void>()));
    return true;
}

int64_t page_bytes(const State& state, const KeySource& source) {
    return checked_product(source.kv_heads * kPageKeys, source.head_dim + source.value_dim,
                           cpu::element_bytes(state.options.activation_dtype));
}

/** Makes room for the key and value of a call that waits; the launch will store them. */
void wait_in_line(State& state, const Queue& queue, Checked& c) {
    KeySource& source = c.call.source;
    if (c.added > 0) {
        state.pending_of(queue).settle(state, c.layer->table());
        c.layer->reserve(state, queue, c.layer->length() + 1, page_bytes(state, source));
        c.layer->grow(1, source.value_dim);
    }
    c.call.fresh = c.added;
    source.pages = c.layer->table();
    state.pending_of(queue).add(state, queue, c.call);
}

/** Writes the new keys into the pages and makes the pages what the kernels read. */
void append(State& state, const Queue& queue, Checked& c) {
    if (c.layer == nullptr) return;
    KeySource& source = c.call.source;
    const uint32_t dtype = state.options.activation_dtype;
    if (c.added > 0) {
        c.layer->reserve(state, queue, c.layer->length() + c.added, page_bytes(state, source));
        launch_append(queue, dtype, source, c.added, c.layer->table(), c.layer->length());
        c.layer->grow(c.added, source.value_dim);
    }
    source.pages = c.layer->table();
}

void write_weights(State& state, const Queue& queue, const Checked& c) {
    const AttentionCall& call = c.call;
    if (call.keys == 0 || call.rows == 0) return;
    const uint32_t dtype = state.options.activation_dtype;
    const int64_t row = checked_product(call.heads, call.keys);
    if (c.last_row_scores != nullptr) {
        const Temporary scratch(state, queue, row * 4);
        launch_attention_weights(queue, dtype, call, call.rows - 1, 1, scratch.as<float>(), c.last_row_scores);
    }
    if (c.weights == nullptr) return;
    const int64_t step = std::clamp<int64_t>(kWeightFloats / row, 1, call.rows);
    const Temporary scratch(state, queue, checked_product(step, row, 4));
    for (int64_t first = 0; first < call.rows; first += step)
        launch_attention_weights(queue, dtype, call, first, std::min(step, call.rows - first), scratch.as<float>(),
                                 c.weights + first * call.keys);
}

/** Products of rows and the keys that they see, where the mask is a rule; ranges on the GPU count as all keys. */
uint64_t pairs_of(const AttentionCall& call) {
    uint64_t pairs = 0;
    if (call.mask_rule != VLM_MASK_CAUSAL) return static_cast<uint64_t>(call.rows) * static_cast<uint64_t>(call.keys);
    for (int64_t row = 0; row < call.rows; ++row)
        pairs += static_cast<uint64_t>(std::max<int64_t>(0, call.keys - call.rows + row + 1));
    return pairs;
}

}  // namespace

vlm_status attention(const vlm_compute* self, const vlm_run_context* run, const vlm_attention* args) {
    return guarded<true>(self, run, "attention", [&](State& state, const Queue& queue) {
        if (args == nullptr) throw invalid_argument("args is NULL");
        Checked c;
        check(state, queue, *args, c);
        state.flops += 2 * pairs_of(c.call) * static_cast<uint64_t>(c.call.heads) *
                       static_cast<uint64_t>(c.call.source.head_dim + c.call.source.value_dim);
        if (waits(state, c)) {
            wait_in_line(state, queue, c);
            return;
        }
        state.pending_of(queue).flush(state);
        append(state, queue, c);
        if (takes_tiles(state, c.call)) {
            launch_attention_tiles(queue, c.call);
        } else if (c.call.rows > 0 && !realised_tiles(state, queue, c.call)) {
            const AttentionPlan plan = plan_attention(c.call);
            const Temporary partials(state, queue, checked_product(plan.partial_floats, 4));
            launch_attention(queue, state.options.activation_dtype, c.call, plan, partials.as<float>());
        }
        write_weights(state, queue, c);
    });
}

}  // namespace vlm::cuda
