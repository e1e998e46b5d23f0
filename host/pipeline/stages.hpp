/** @file stages.hpp
 *  The five kinds of plugin as the pipeline uses them: C++ types in and out, every answer of a plugin checked.
 */
#pragma once
#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/base/tensor.hpp"
#include "host/compute/top_logits.hpp"
#include "host/image/image.hpp"
#include "host/pipeline/component.hpp"
#include "host/pipeline/layout.hpp"

namespace vlm {

class Device;

/** Rows and how original positions map to them, after a reduction. Empty tensors: nothing was reduced. */
struct RowMap {
    Tensor row_of_position;          ///< `[positions]` i32, -1: dropped.
    Tensor sizes;                    ///< `[rows]` f32 positions per row.
    std::vector<int32_t> host_rows;  ///< `row_of_position` on the CPU; empty: not known there.
};

/** Features of one image between encoder and connector. */
struct Features {
    Tensor rows;    ///< `[rows, hidden_size]`
    Tensor pooled;  ///< `[tiles, pooled_size]`, or empty.
    TokenLayout layout;
    RowMap map;
    int width = 0;
    int height = 0;
};

/** Visual tokens of one image as the backbone takes them. */
struct VisualTokens {
    Tensor rows;  ///< `[rows, hidden_size]`
    TokenLayout layout;
    RowMap map;
    Tensor keep;       ///< `[layout.tokens]` u8, 1: print, must not be dropped; empty: nothing is protected.
    Tensor host_keep;  ///< The same on the CPU.
    double confidence = -1;
};

/** `vlm.vision_encoder/1`. */
class VisionEncoder : public Component<vlm_vision_encoder> {
  public:
    struct Plan {
        std::vector<int64_t> pixel_shape;
        int64_t feature_rows = 0;
        int64_t pooled_rows = 0;
        int64_t workspace_bytes = 0;
        TokenLayout layout;
    };

    VisionEncoder(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config);
    const vlm_vision_description& description() const { return description_; }
    Plan plan(int width, int height) const;
    /** `pixel_values` of one image, f32 on the CPU. */
    Tensor preprocess(Run& run, const Image& image, const std::string& source, const Plan& plan) const;
    /** Encodes images; `pixels[i]` and `plans[i]` belong together. */
    std::vector<Features> encode(Run& run, std::span<const Tensor> pixels, std::span<const Plan> plans,
                                 const Allocator& device) const;

  private:
    vlm_vision_description description_{};
};

/** `vlm.connector/1`. */
class Connector : public Component<vlm_connector> {
  public:
    struct Plan {
        int64_t rows = 0;
        int64_t workspace_bytes = 0;
        TokenLayout layout;
    };

    Connector(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config);
    const vlm_connector_description& description() const { return description_; }
    Plan plan(const TokenLayout& layout, int width, int height) const;
    VisualTokens connect(Run& run, const Features& features, const std::string& prompt, const Allocator& device) const;

  private:
    vlm_connector_description description_{};
};

/** One piece of a sequence: text ids, or positions of an image. */
struct Segment {
    std::vector<int32_t> ids;  ///< Text; empty for an image.
    int image = -1;            ///< Index into the images of the request.
    int64_t first = 0;         ///< First position of the image.
    int64_t count = 0;         ///< Number of positions (or of ids).
};

/** `vlm.backbone/1`. */
class Backbone : public Component<vlm_backbone> {
  public:
    /** A conversation's state inside the plugin. */
    class Context {
      public:
        Context(const Backbone& backbone, vlm_backbone_context* handle) : backbone_(&backbone), handle_(handle) {}
        ~Context() { backbone_->api_.context_destroy(backbone_->handle_, handle_); }
        Context(const Context&) = delete;
        Context& operator=(const Context&) = delete;
        vlm_backbone_context* handle() const { return handle_; }

      private:
        const Backbone* backbone_;
        vlm_backbone_context* handle_;
    };

    /** New tokens of one context. */
    struct Request {
        Context* context = nullptr;
        std::span<const Segment> segments;
        std::span<const VisualTokens* const> images;
        uint32_t logits = VLM_LOGITS_LAST;
    };
    /** What one request made. */
    struct Output {
        Tensor rows;           ///< `[rows, output_size]` f32; empty with VLM_LOGITS_NONE.
        Tensor row_of_output;  ///< `[rows]` i32 input row of each output row (CPU).
        double confidence = -1;
        std::optional<TopLogits> top;  ///< Of the last row, instead of `rows`; see run_for_choice.
    };

    Backbone(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config);
    /** What it is. Cache bytes are exact once it is loaded; before, no device has told it how it stores keys. */
    const vlm_backbone_description& description() const { return description_; }
    /** Loads, and asks again for the description. */
    void load(Run& run, const vlm_weights& weights);
    std::unique_ptr<Context> create_context(Run& run, int64_t max_tokens) const;
    vlm_backbone_state state(const Context& context) const;
    void truncate(Context& context, int64_t tokens) const;
    /** Runs all requests in one call. `device` allocates outputs; they are brought to the CPU. */
    std::vector<Output> run(Run& run, std::span<const Request> requests, const Allocator& device) const;
    /** The same for requests of which the `largest` logits of the last row are all that is wanted (at most
     * kMostTopLogits; 0: everything is). Where `device`, the backbone's, finds them itself, outputs have `top` and no
     * rows; else they have their rows. */
    std::vector<Output> run_for_choice(Run& run, std::span<const Request> requests, Device& device,
                                       int64_t largest) const;
    /** The same for a step of decoding: some tokens of text for each of several contexts. The device may do it at once.
     */
    std::vector<Output> step(Run& run, std::span<const Request> requests, Device& device, int64_t largest) const;

  private:
    void describe();
    /** Brings what is wanted of outputs to the CPU. */
    void choose(Run& run, std::vector<Output>& outputs, Device& device, int64_t largest) const;
    /** Outputs have their rows where the device has them. */
    std::vector<Output> run_on_device(Run& run, std::span<const Request> requests, const Allocator& device) const;

    vlm_backbone_description description_{};
};

/** `vlm.token_reducer/1`. */
class TokenReducer : public Component<vlm_token_reducer> {
  public:
    TokenReducer(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config);
    uint32_t needs(Run& run, uint32_t site, int32_t layer, int32_t layers) const;
    /** Fills `map`; false when the tokens stay as they are. */
    bool reduce(Run& run, const vlm_token_view& view, vlm_token_map& map) const;
};

/** `vlm.post_processor/1`. */
class PostProcessor : public Component<vlm_post_processor> {
  public:
    PostProcessor(std::shared_ptr<const Plugin> plugin, const ComponentConfig& config);
    /** JSON object with the members to merge into the result. */
    std::string process(Run& run, const vlm_post_input& input) const;
};

}  // namespace vlm
