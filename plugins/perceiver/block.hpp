/** @file block.hpp
 *  One block of a resampler: latents attend to [features, latents], then pass an MLP.
 */
#pragma once
#include "config.hpp"

namespace vlm::perceiver {

/** A layer norm or RMS norm, applied only when it was loaded. */
class Norm {
  public:
    /** Reads `<name>.weight` and, for a layer norm, `<name>.bias`, of `size` elements; an empty name loads nothing. */
    void load(const sdk::Weights& weights, const std::string& name, int64_t size, const PerceiverConfig& config);
    explicit operator bool() const { return static_cast<bool>(weight_); }
    /** Writes the normed rows of `x` into `y`, which may be `x`; copies when nothing was loaded and they differ. */
    void run(const sdk::Ops& ops, const sdk::Tensor& x, sdk::Tensor y) const;

  private:
    sdk::Kept weight_;
    sdk::Kept bias_;
    bool rms_ = false;
    float eps_ = 0.F;
};

/** One block. Empty until loaded. */
class Block {
  public:
    /** Reads the block's tensors from `weights`, whose prefix is that of the block. */
    void load(const sdk::Weights& weights, const PerceiverConfig& config);

    /** The latents behind the block: `latents` `[n, hidden]`, `context` `[rows, hidden]`. */
    sdk::Scratch run(const sdk::Ops& ops, const PerceiverConfig& config, const sdk::Tensor& latents,
                     const sdk::Tensor& context) const;

  private:
    sdk::Scratch attend(const sdk::Ops& ops, const PerceiverConfig& config, const sdk::Tensor& latents,
                        const sdk::Tensor& context) const;

    Norm context_norm_;
    Norm latents_norm_;
    sdk::Linear q_;
    sdk::Linear kv_;  ///< Keys, then values.
    Norm q_norm_;
    Norm k_norm_;
    sdk::Linear out_;
    Norm mlp_norm_;
    sdk::Linear mlp_up_;  ///< With a gate: gate, then up.
    sdk::Linear mlp_down_;
};

}  // namespace vlm::perceiver
