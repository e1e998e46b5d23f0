/** @file components.hpp
 *  The five kinds as C++ classes to derive from.
 *
 *  A component class derives from one of these, has a constructor that takes a ComponentConfig and implements the pure
 * functions. All structs that reach it are complete local copies; exceptions that leave it become a status and a
 * message at the edge.
 */
#pragma once
#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/text.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "vlm/sdk/config.hpp"
#include "vlm/sdk/layout.hpp"
#include "vlm/sdk/run.hpp"
#include "vlm/sdk/weights.hpp"

namespace vlm::sdk {

/** Text of a vlm_string. */
inline std::string_view text_of(const vlm_string& s) {
    return {s.data != nullptr ? s.data : "", s.size};
}

/** The host as a component knows it. Outlives the component. */
class Host {
  public:
    Host() = default;
    /** What the entry was given. */
    explicit Host(const vlm_host_info* info) : info_(info) {}

    /** Version range for messages; NULL members are read as absent. */
    const vlm_host_info* get() const { return info_; }
    /** One line of the log; `level` is VLM_LOG_*. */
    void log(const char* plugin_id, int32_t level, const std::string& message) const {
        if (info_ != nullptr && info_->log != nullptr) info_->log(info_->host, plugin_id, level, message.c_str());
    }
    /** The table of a service; throws UNIMPLEMENTED when this host has none. Not from constructors of components. */
    template <typename Service>
    const Service* service(const char* id) const {
        const void* table =
            info_ != nullptr && info_->get_service != nullptr ? info_->get_service(info_->host, id) : nullptr;
        if (table == nullptr)
            throw unimplemented(std::string("this host has no service '") + id + "'; use a newer host");
        return static_cast<const Service*>(table);
    }
    /** Image service, NULL when the host has none. */
    const vlm_image_service* image() const { return service<vlm_image_service>(VLM_SERVICE_IMAGE); }
    /** Text service, NULL when the host has none. */
    const vlm_text_service* text() const { return service<vlm_text_service>(VLM_SERVICE_TEXT); }

  private:
    const vlm_host_info* info_ = nullptr;
};

/** What a component is made from. */
struct ComponentConfig {
    Config config;  ///< Its section of config.json with options merged in. Call `config.refuse_unknown()` at the end.
    Config model;   ///< The whole config.json.
    Config preprocessor;  ///< preprocessor_config.json.
    Host host;            ///< The host, for its log and services.

    /** From the struct of the ABI; throws INVALID_ARGUMENT for a configuration that is no JSON object. */
    static ComponentConfig from(const vlm_component_config& raw) {
        const auto or_empty = [](const vlm_string& s) { return s.size == 0 ? std::string_view("{}") : text_of(s); };
        return {Config::parse(or_empty(raw.config), "config"), Config::parse(or_empty(raw.model), "config.json"),
                Config::parse(or_empty(raw.preprocessor), "preprocessor_config.json"), Host(raw.host)};
    }
};

/** Common to all kinds. */
class Component {
  public:
    Component() = default;
    Component(const Component&) = delete;
    Component& operator=(const Component&) = delete;
    virtual ~Component() = default;
    /** Reads and packs weights, once, before anything runs. */
    virtual void load(const Weights& /*weights*/) {}
};

/** What one image becomes. */
struct VisionPlan {
    Shape pixel_shape;            ///< Of `preprocess`: f32 pixels.
    int64_t feature_rows = 0;     ///< Rows of features, class tokens and the like included.
    int64_t pooled_rows = 0;      ///< Rows of pooled output, 0: none.
    int64_t workspace_bytes = 0;  ///< Most scratch memory of `encode`.
    Layout layout;                ///< What the feature rows stand for.
};

/** `vlm.vision_encoder/1`: pixels to features. */
class VisionEncoder : public Component {
  public:
    /** Interface id. */
    static constexpr const char* kKind = VLM_KIND_VISION_ENCODER;
    /** Says what the encoder is; called once. */
    virtual void describe(vlm_vision_description& description) const = 0;
    /** Plans one image from its size. Called from any thread. */
    virtual VisionPlan plan(int32_t width, int32_t height) const = 0;
    /** Fills `pixels` (CPU, f32, planned shape). Called from any thread. */
    virtual void preprocess(const Run& run, const vlm_image& image, const Tensor& pixels) const = 0;
    /** Encodes images; fills `outputs[i].features`, `.rows` and what else is asked for. */
    virtual void encode(const Run& run, std::span<const Tensor> pixels, std::span<vlm_vision_output> outputs) const = 0;
};

/** What one image's features become. `keep_layout`: the output positions are the input's. */
struct ConnectorPlan {
    int64_t rows = 0;             ///< Rows of visual tokens.
    int64_t workspace_bytes = 0;  ///< Most scratch memory of `connect`.
    bool keep_layout = false;     ///< Output rows stand for what the input rows stood for.
    Layout layout;                ///< Of the output, unless keep_layout.
};

/** `vlm.connector/1`: features to visual tokens. */
class Connector : public Component {
  public:
    /** Interface id. */
    static constexpr const char* kKind = VLM_KIND_CONNECTOR;
    /** Says what the connector is; called once. */
    virtual void describe(vlm_connector_description& description) const = 0;
    /** Plans the tokens of one image of `width` x `height` pixels. Called from any thread. */
    virtual ConnectorPlan plan(const Layout& layout, int32_t width, int32_t height) const = 0;
    /** Features of several images to visual tokens, in one call. */
    virtual void connect(const Run& run, std::span<const vlm_connector_input> inputs,
                         std::span<vlm_connector_output> outputs) const = 0;
};

/** One conversation of a backbone. */
class BackboneContext {
  public:
    BackboneContext() = default;
    BackboneContext(const BackboneContext&) = delete;
    BackboneContext& operator=(const BackboneContext&) = delete;
    virtual ~BackboneContext() = default;
};

/** Size of a backbone call. */
struct BackbonePlan {
    int64_t output_rows = 0;      ///< Rows of logits or embeddings.
    int64_t workspace_bytes = 0;  ///< Most scratch memory of `run`.
};

/** `vlm.backbone/1`: tokens to logits or embeddings. Segments and images of requests are read with `read_struct`. */
class Backbone : public Component {
  public:
    /** Interface id. */
    static constexpr const char* kKind = VLM_KIND_BACKBONE;
    /** Says what the backbone is; called once. */
    virtual void describe(vlm_backbone_description& description) const = 0;
    /** A context for at most `max_tokens` tokens, or NULL for an encoder-only backbone. */
    virtual std::unique_ptr<BackboneContext> make_context(const Run& run, int64_t max_tokens) const = 0;
    /** Forgets what came after `tokens`; only for backbones with contexts. */
    virtual void truncate(BackboneContext& /*context*/, int64_t /*tokens*/) const {
        throw unimplemented("this backbone cannot forget tokens");
    }
    /** What a context holds; only for backbones with contexts. */
    virtual void state(const BackboneContext& /*context*/, vlm_backbone_state& /*state*/) const {
        throw unimplemented("this backbone keeps no context");
    }
    /** How much a request will give; reads no tensor. */
    virtual BackbonePlan plan(const vlm_backbone_request& request) const = 0;
    /** Runs new tokens of several contexts in one call. Nothing has changed when it throws. */
    virtual void run(const Run& run, std::span<vlm_backbone_request> requests) const = 0;
};

/** `vlm.token_reducer/1`: fewer tokens, by a map. */
class TokenReducer : public Component {
  public:
    /** Interface id. */
    static constexpr const char* kKind = VLM_KIND_TOKEN_REDUCER;
    /** VLM_NEED_* flags at (`site`, `layer`), or 0: it does not act there. */
    virtual uint32_t needs(const Run& run, uint32_t site, int32_t layer, int32_t layers) const = 0;
    /** Fills `groups` (`[tokens]` i32, on the device of the run); returns the number of groups, 0: nothing changes. */
    virtual int64_t reduce(const Run& run, const vlm_token_view& view, Tensor groups) const = 0;
};

/** `vlm.post_processor/1`: what was generated to what was asked for. Answers and tokens are read with `read_struct`. */
class PostProcessor : public Component {
  public:
    /** Interface id. */
    static constexpr const char* kKind = VLM_KIND_POST_PROCESSOR;
    /** JSON object whose members are merged into the result. */
    virtual nlohmann::json process(const Run& run, const vlm_post_input& input) const = 0;
};

}  // namespace vlm::sdk
