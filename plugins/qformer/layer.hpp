/** @file layer.hpp
 *  One layer of the Q-Former: a BERT layer (norms behind the residuals, arXiv 1810.04805) in which the queries, and
 * only they, also attend to the image's features and have a feed-forward part of their own.
 */
#pragma once
#include "config.hpp"

namespace vlm::qformer {

/** Weight and bias of a layer norm. */
struct Norm {
    sdk::Kept weight;
    sdk::Kept bias;
};

/** One layer. Empty until loaded. */
class Layer {
  public:
    /** Reads `weights` under "encoder.layer.<index>.". */
    void load(const sdk::Weights& weights, const QFormerConfig& config, int32_t index);

    /** `x` `[queries + text, hidden]` with the queries first, `features` `[rows, encoder_hidden]`; returns the new `x`.
     */
    sdk::Scratch run(const sdk::Ops& ops, const QFormerConfig& config, const sdk::Tensor& x,
                     const sdk::Tensor& features) const;

  private:
    struct Attention {
        sdk::Linear query;  ///< Self-attention: query, key and value in one.
        sdk::Linear key_value;
        sdk::Linear dense;
        Norm norm;
    };
    struct FeedForward {
        sdk::Linear up;
        sdk::Linear down;
        Norm norm;
    };

    static Attention load_attention(const sdk::Weights& weights, const QFormerConfig& config, bool cross);
    static FeedForward load_feed_forward(const sdk::Weights& weights, const QFormerConfig& config,
                                         const std::string& suffix);
    /** `norm(dense(attention) + x)`. */
    static sdk::Scratch attend(const sdk::Ops& ops, const QFormerConfig& config, const Attention& a,
                               const sdk::Tensor& x, const sdk::Tensor& features);
    /** `norm(down(act(up(x))) + x)` into `y`. */
    static void feed(const sdk::Ops& ops, const QFormerConfig& config, const FeedForward& f, const sdk::Tensor& x,
                     sdk::Tensor y);

    Attention self_;
    Attention cross_;  ///< Without packed weights in layers that do not see the image.
    FeedForward query_;
    FeedForward text_;
};

}  // namespace vlm::qformer
