/** @file stream.hpp
 *  The backbone `org.vlmhost.single_stream`: one encoder over the text and the patches of an image (ViLT, arXiv
 * 2102.03334; `ViltModel` of transformers), a pooled first row, and a head.
 *
 *  Sequence: text, an image class token, patches in raster order. Where the prompt put the image does not matter: the
 * model knows modalities by type embeddings, not by place. Requests of one call are laid behind one another and see
 * only themselves, so nothing is padded and no pixel mask is needed. The reference visits patches in random order,
 * which attention does not notice.
 *
 *  A checkpoint about several images (NLVR2) runs its text once with each image, with modality type 1, 2, …, and
 * classifies the pooled states side by side.
 */
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "config.hpp"
#include "vlm/sdk/encoder_layer.hpp"
#include "vlm/sdk/plugin.hpp"

namespace vlm::single_stream {

class Stream : public sdk::Backbone {
  public:
    explicit Stream(const sdk::ComponentConfig& c) : config_(read_config(c.config)) {}

    void load(const sdk::Weights& weights) override;
    void describe(vlm_backbone_description& description) const override;
    /** Always UNIMPLEMENTED: an encoder keeps nothing. */
    std::unique_ptr<sdk::BackboneContext> make_context(const sdk::Run& run, int64_t max_tokens) const override;
    sdk::BackbonePlan plan(const vlm_backbone_request& request) const override;
    /** Fills `[1, classes]` per request: scores before softmax or sigmoid. INVALID_ARGUMENT for a wrong number of
     * images, merged tokens, too much text or ids outside the vocabulary. */
    void run(const sdk::Run& run, std::span<vlm_backbone_request> requests) const override;

  private:
    /** One image with its text: a stretch of rows. */
    struct Sequence {
        std::vector<int32_t> ids;
        sdk::Tensor patches;
        int32_t rows = 0, columns = 0;  ///< Of the patch grid.
        int32_t type = 1;               ///< Modality type of the image.
        int64_t first = 0;              ///< First row in the call.
        int64_t length() const { return static_cast<int64_t>(ids.size()) + 1 + int64_t{rows} * columns; }
    };

    std::vector<int32_t> read_ids(const sdk::Ops& ops, const vlm_backbone_request& request) const;
    std::vector<Sequence> collect(const sdk::Ops& ops, std::span<vlm_backbone_request> requests) const;
    void embed(const sdk::Ops& ops, const Sequence& sequence, sdk::Tensor rows) const;
    sdk::EncoderLayerConfig layer_config() const {
        return {config_.hidden_size, config_.intermediate_size, config_.heads, config_.norm_eps, config_.activation};
    }
    sdk::Scratch classify(const sdk::Ops& ops, const sdk::Tensor& pooled) const;

    StreamConfig config_;
    sdk::Kept words_;           ///< `[vocabulary, hidden]`, dtype of the file.
    sdk::Kept text_positions_;  ///< `[positions, hidden]` with token type 0 added.
    sdk::Kept text_norm_, text_norm_bias_;
    sdk::Kept types_;        ///< `[modality types, hidden]`.
    sdk::Kept class_token_;  ///< `[hidden]` with its position added.
    sdk::Kept grid_;         ///< `[grid rows, grid columns, hidden]` positions of patches.
    std::vector<sdk::EncoderLayer> layers_;
    sdk::Kept norm_, norm_bias_;
    sdk::Linear pooler_;
    sdk::Linear hidden_head_, head_;
    sdk::Kept head_norm_, head_norm_bias_;
};

}  // namespace vlm::single_stream
