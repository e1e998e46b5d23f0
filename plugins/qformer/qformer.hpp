/** @file qformer.hpp
 *  The connector `org.vlmhost.qformer`: a fixed number of learned queries asks the features of an image (BLIP-2, arXiv
 *  2301.12597), optionally with the prompt's text beside them (InstructBLIP, arXiv 2305.06500), and a linear layer
 * takes the answers to the width of the language model.
 *
 *  [queries, text] → norm → layers (self-attention; every n-th layer: cross-attention of the queries; feed-forward) →
 *  first `queries` rows → `language_projection` → tokens
 */
#pragma once
#include <vlm/text.h>

#include <string_view>
#include <vector>

#include "config.hpp"
#include "layer.hpp"

namespace vlm::qformer {

/** The Q-Former as a connector. */
class QFormer : public sdk::Connector {
  public:
    explicit QFormer(const sdk::ComponentConfig& c);

    void load(const sdk::Weights& weights) override;
    void describe(vlm_connector_description& description) const override;
    sdk::ConnectorPlan plan(const sdk::Layout& layout, int32_t width, int32_t height) const override;
    void connect(const sdk::Run& run, std::span<const vlm_connector_input> inputs,
                 std::span<vlm_connector_output> outputs) const override;

    const QFormerConfig& config() const { return config_; }

  private:
    /** Ids of the prompt in the Q-Former's own vocabulary. Throws INVALID_ARGUMENT when there are more than positions,
     * or an id outside the table. */
    std::vector<int32_t> encode(std::string_view prompt) const;
    /** Queries and the prompt's words, normed: `[queries + ids, hidden]`. */
    sdk::Scratch embed(const sdk::Ops& ops, const std::vector<int32_t>& ids) const;

    sdk::Host host_;
    QFormerConfig config_;

    sdk::Kept query_tokens_;  ///< `[queries, hidden]`.
    sdk::Kept words_;
    sdk::Kept positions_;
    Norm norm_;
    std::vector<Layer> layers_;
    sdk::Linear projection_;
    const vlm_text_service* text_ = nullptr;
    const vlm_tokenizer* tokenizer_ = nullptr;
};

}  // namespace vlm::qformer
