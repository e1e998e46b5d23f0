/** @file projector.hpp
 *  The connector `org.vlmhost.mlp_projector`: one to a few linear layers between tower and language model, with what
 * families add around them.
 *
 *  input → [norm] → [merge neighbours] → [norm] → layers with an activation between → [join tiles, newlines,
 * separators] → tokens
 *
 *  Everything is chosen by configuration, which a recipe writes:
 *  - `layers`: names of the linear layers, first to last ("linear_1", "linear_2").
 *  - `act`: activation between them, as `hidden_act` in config.json.
 *  - `merge`: factor of the pixel shuffle or patch merger, 1: none; `merge_order`: "raster" or "consecutive".
 *  - `norm`: name of a norm; `norm_kind` "layer" or "rms"; `norm_eps`; `norm_place` "before_merge" or "after_merge".
 *  - `anyres`: join tiles behind the base view and take the padding off (LLaVA-NeXT).
 *  - `row_end`: tensor that ends every row of a (joined) grid; `image_end`: tensor that ends every image.
 *  - `pooled`: take the pooled feature instead of the rows (CLIP).
 *  - `input_size`, `output_size`: widths, for the type check.
 */
#pragma once
#include <string>
#include <vector>

#include "grid.hpp"
#include "vlm/sdk/plugin.hpp"

namespace vlm::projector {

class Projector : public sdk::Connector {
  public:
    explicit Projector(const sdk::ComponentConfig& c);

    void load(const sdk::Weights& weights) override;
    void describe(vlm_connector_description& description) const override;
    sdk::ConnectorPlan plan(const sdk::Layout& layout, int32_t width, int32_t height) const override;
    void connect(const sdk::Run& run, std::span<const vlm_connector_input> inputs,
                 std::span<vlm_connector_output> outputs) const override;

  private:
    /** Where each output row comes from: a projected row, or one of the two special embeddings. */
    struct Packing {
        static constexpr int32_t kRowEnd = -2;
        static constexpr int32_t kImageEnd = -3;
        std::vector<int32_t> source;
        sdk::Layout layout;
    };

    bool packs() const { return anyres_ || !row_end_name_.empty() || !image_end_name_.empty(); }
    Packing packing(const sdk::Layout& layout, int32_t width, int32_t height) const;
    sdk::Scratch project(const sdk::Ops& ops, const sdk::Tensor& input, const sdk::Layout& layout) const;
    void norm(const sdk::Ops& ops, const sdk::Tensor& x, sdk::Tensor y) const;

    std::vector<std::string> layer_names_;
    uint32_t activation_;
    int32_t merge_;
    MergeOrder merge_order_;
    std::string norm_name_;
    bool norm_rms_;
    bool norm_before_merge_;
    float norm_eps_;
    bool anyres_;
    bool pooled_;
    std::string row_end_name_;
    std::string image_end_name_;
    int64_t input_size_;
    int64_t output_size_;

    std::vector<sdk::Linear> layers_;
    sdk::Kept norm_weight_;
    sdk::Kept norm_bias_;
    sdk::Kept specials_;  ///< `[2, output_size]` f32: row end, image end.
};

}  // namespace vlm::projector
