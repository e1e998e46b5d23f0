/** @file context.hpp
 *  One conversation: the cache, and what is known about each key in it.
 *
 *  Layers fall into *spans* that hold the same keys. There is one span until a reducer drops tokens in front of layer
 * K; from then on the layers from K on hold fewer. All vectors are on the host, because shapes and masks are made
 * there.
 */
#pragma once
#include <array>
#include <vector>
#include <vlm/sdk/components.hpp>

#include "masks.hpp"
#include "sequence.hpp"

namespace vlm::decoder {

/** Keys of a span of layers. */
struct KeyList {
    int32_t first_layer = 0;
    std::vector<int32_t> index;  ///< Index of each key in the unreduced sequence.
    std::vector<int32_t> image;  ///< Image number of each key, -1: text.
    // Compact form only:
    std::vector<int32_t> row;  ///< Cached row of each key.
    std::vector<float> cos;    ///< [keys, frequencies] rotation of each key inside the kernel; or its places.
    std::vector<float> sin;
    std::array<std::vector<int32_t>, 3> place;
    int64_t cached_rows = 0;  ///< Rows that each layer of the span holds in the cache.

    int64_t size() const { return static_cast<int64_t>(index.size()); }
    KeyInfo info() const { return {index, image}; }
};

/** New keys of one run for a span. */
struct NewKeys {
    int32_t first_layer = 0;
    std::vector<int32_t> index;
    std::vector<int32_t> image;
    std::vector<int32_t> row;  ///< Compact form: row among the new rows.
    std::vector<float> cos;
    std::vector<float> sin;
    std::array<std::vector<int32_t>, 3> place;
    int64_t rows = 0;  ///< New rows in the cache.
};

/** A conversation. Changes only by `commit` and `truncate`, so a failed run leaves it as it was. */
class Context : public sdk::BackboneContext {
  public:
    /** `compute` makes the caches; it outlives the context. Throws sdk::HostError. */
    Context(const DecoderConfig& config, const vlm_compute& compute, int64_t max_tokens);
    ~Context() override;

    int64_t tokens() const { return static_cast<int64_t>(records_.size()); }
    int64_t max_tokens() const { return max_tokens_; }
    bool compact() const { return compact_; }
    /** Where the next request begins. */
    SequenceStart start() const;
    /** The span that `layer` belongs to. */
    const KeyList& keys(int32_t layer) const;
    vlm_kv_cache* cache() const { return cache_; }
    vlm_kv_cache* memory_cache() const { return memory_cache_; }
    /** Cross-attention: behind the last key of each image. */
    const std::vector<int64_t>& memory_ends() const { return memory_ends_; }
    vlm_backbone_state state() const;

    /** From now on keys are cached un-rotated; keys that lie in the cache count as rotated by the angle 0. Rotations
     * are kept as they are, or with `axes` > 0 as places on so many axes, from which they are made in every run. */
    void make_compact(int32_t frequencies, size_t axes);
    /** Takes over what a finished run added. `spans` are ordered by layer; `pruned` counts visual positions that
     *  reducers dropped between layers, `reduced` says that they dropped or merged some. */
    void commit(const Sequence& sequence, const std::vector<NewKeys>& spans, const std::vector<int64_t>& memory_rows,
                int64_t pruned, bool reduced);
    /** Removes what a failed run has put into the caches. */
    void roll_back();
    /** Forgets all tokens from `tokens` on. Throws FAILED_PRECONDITION when reduced tokens would have to be cut. */
    void truncate(int64_t tokens);

  private:
    void cut_caches();
    const vlm_compute& compute_;
    int32_t layers_;
    int32_t memory_layers_;
    int64_t max_tokens_;
    int32_t place_offset_;
    vlm_kv_cache* cache_ = nullptr;
    vlm_kv_cache* memory_cache_ = nullptr;
    std::vector<KeyList> spans_;
    std::vector<TokenRecord> records_;
    std::vector<int64_t> memory_ends_;
    int64_t reduced_end_ = 0;  ///< Tokens in front of here were merged or dropped and cannot be cut.
    int64_t pruned_ = 0;
    int32_t image_base_ = 0;
    int32_t frequencies_ = 0;
    size_t axes_ = 0;
    bool compact_ = false;
};

}  // namespace vlm::decoder
