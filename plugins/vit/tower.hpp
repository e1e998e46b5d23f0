/** @file tower.hpp
 *  The transformer itself: weights of a tower and one pass over a batch of views.
 *
 *  Views of all images stand one behind the other in one matrix, so that the linear layers are large; attention keeps
 * them apart by a range of keys per row. Where token reducers act inside the tower, each view goes alone, because its
 * tokens become fewer.
 */
#pragma once
#include <optional>
#include <vector>

#include "config.hpp"
#include "positions.hpp"
#include "vlm/sdk/hooks.hpp"

namespace vlm::vit {

/** One view on its way through the tower. */
struct ViewInput {
    sdk::Tensor pixels;  ///< `[1, 3, height, width]`, or `[patches, patch_elements]`.
    Grid grid;
    int32_t image = 0;  ///< Index in the call.
    int32_t view = 0;   ///< Index in its image.
    const vlm_token_layout* layout = nullptr;
};

/** What a pass makes. */
struct TowerOutput {
    std::vector<sdk::Scratch> features;  ///< One `[rows, hidden]` per chosen layer, all views behind each other.
    sdk::Scratch pooled;                 ///< `[views, hidden]`, empty unless wanted.
    int64_t rows = 0;                    ///< Rows of a feature tensor.
    sdk::Scratch row_of_position;        ///< `[prefix + patches]` i32 and
    sdk::Scratch sizes;                  ///< `[rows]` f32 when a reducer acted (then there is one view), else empty.
};

/** A loaded tower. Read-only after `load`. */
class Tower {
  public:
    explicit Tower(const VitConfig& config) : config_(config) {}

    /** Reads and packs the weights. Throws NOT_FOUND and INVALID_ARGUMENT with the name of the weight. */
    void load(const sdk::Weights& weights);
    /** Encodes views. With `hooks` that act inside the tower there must be exactly one. */
    TowerOutput run(const sdk::Ops& ops, const sdk::Hooks& hooks, std::span<const ViewInput> views) const;
    /** True when some reducer acts inside the tower. */
    bool reduces(const sdk::Hooks& hooks) const;
    /** Scratch bytes of one pass over `rows` tokens. */
    int64_t workspace_bytes(int64_t rows) const;

  private:
    struct Norm {
        sdk::Kept weight, bias;
    };
    struct Layer {
        Norm norm1, norm2;
        sdk::Linear qkv, out, fc1, fc2;
        sdk::Kept q_norm, k_norm, scale1, scale2;
    };
    struct Head {
        sdk::Linear query, key_value, out, fc1, fc2;
        Norm norm;
        sdk::Kept probe;
    };
    /** Everything about the rows of a batch that layers share. */
    struct Batch {
        std::span<const ViewInput> views;
        int64_t rows = 0;
        uint32_t mask_rule = VLM_MASK_FULL;
        sdk::Scratch begin, end;                ///< Keys that each row sees in full layers,
        sdk::Scratch window_begin, window_end;  ///< and in windowed ones.
        sdk::Scratch cos, sin;
        sdk::Scratch order, back;  ///< Into window order and back.
    };

    Norm load_norm(const sdk::Weights& weights, const std::string& name) const;
    void load_positions(const sdk::Weights& weights);
    Layer load_layer(const sdk::Weights& weights) const;
    sdk::Linear load_qkv(const sdk::Weights& weights) const;
    Head load_head(const sdk::Weights& weights) const;

    Batch make_batch(const sdk::Ops& ops, std::span<const ViewInput> views) const;
    sdk::Scratch embed(const sdk::Ops& ops, const Batch& batch) const;
    sdk::Scratch position_rows(const sdk::Ops& ops, const Grid& grid) const;
    void norm(const sdk::Ops& ops, const Norm& weights, const sdk::Tensor& x, sdk::Tensor y) const;
    /** Attention of layer `index` on `x`; fills `keys` `[rows, head_dim]` when it is not empty. */
    void attend(const sdk::Ops& ops, const Batch& batch, int32_t index, const sdk::TokenState& state, sdk::Tensor keys,
                sdk::Scratch& x) const;
    void feed_forward(const sdk::Ops& ops, const Layer& layer, sdk::Tensor x) const;
    sdk::Scratch pool(const sdk::Ops& ops, const Batch& batch, const sdk::Tensor& last, int64_t rows) const;

    VitConfig config_;
    sdk::Linear patch_;
    sdk::Kept prefix_;     ///< `[prefix, hidden]` class token with its position, registers; activation dtype.
    sdk::Kept positions_;  ///< `[rows, columns, hidden]` f32 for resampling, or `[table, hidden]` for fractions.
    sdk::Kept native_;     ///< `[patches, hidden]` of the native grid in the activation dtype.
    Grid native_grid_;
    Norm pre_norm_, final_norm_;
    std::vector<Layer> layers_;
    std::optional<Head> head_;
};

}  // namespace vlm::vit
