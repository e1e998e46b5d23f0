/** @file edge.hpp
 *  The edge between C++ and the C ABI: one static table per component class.
 *
 *  Nothing but statuses passes here. Every function of a table runs inside `guard`, which turns exceptions into a
 * status and, once, a message: into the run's error sink where there is a run, into `reason` in `create`, else into the
 * host's log.
 */
#pragma once
#include <array>
#include <memory>
#include <new>
#include <vector>

#include "vlm/sdk/components.hpp"

namespace vlm::sdk::detail {

/** Runs `body`; what it throws becomes a status, and `report(status, message)` hears why unless the host knows already.
 */
template <typename Body, typename Report>
vlm_status guard(Body&& body, Report&& report) noexcept {
    const auto tell = [&report](vlm_status status, const char* message) noexcept {
        try {
            report(status, message);
        } catch (...) {  // Reporting is best effort: the status still says what kind of failure it was.
        }
        return status;
    };
    try {
        body();
        return VLM_STATUS_OK;
    } catch (const HostError& error) {
        return error.status();
    } catch (const Error& error) {
        return tell(error.status(), error.what());
    } catch (const std::bad_alloc&) {
        return tell(VLM_STATUS_RESOURCE_EXHAUSTED, "out of memory");
    } catch (const std::exception& error) {
        return tell(VLM_STATUS_INTERNAL, error.what());
    } catch (...) {
        return tell(VLM_STATUS_UNKNOWN, "an exception of unknown type");
    }
}

/** Writes `message` NUL-terminated into a buffer, cut between UTF-8 characters. */
inline void write_reason(char* reason, uint64_t size, std::string_view message) {
    if (reason == nullptr || size == 0) return;
    size_t length = std::min<size_t>(message.size(), size - 1);
    while (length > 0 && length < message.size() && (static_cast<unsigned char>(message[length]) & 0xC0U) == 0x80U)
        --length;
    std::memcpy(reason, message.data(), length);
    reason[length] = '\0';
}

/** What a `vlm_component*` points to: the component and the way to the host's log. */
template <typename Kind>
struct Holder {
    std::unique_ptr<Kind> component;
    Host host;
};

/** The C functions that all kinds share, for the component class `Class` of kind `Kind`. */
template <typename Class, typename Kind>
struct Common {
    static Holder<Kind>& holder(const vlm_component* handle) {
        if (handle == nullptr) throw invalid_argument("component: NULL was passed");
        return *const_cast<Holder<Kind>*>(reinterpret_cast<const Holder<Kind>*>(handle));
    }
    static const Kind& component(const vlm_component* handle) { return *holder(handle).component; }

    static vlm_status create(const vlm_component_config* raw, vlm_component** out) {
        vlm_component_config config{};
        return guard(
            [&] {
                config = read_struct(raw, "component config");
                if (out == nullptr) throw invalid_argument("create: the place for the component is NULL");
                *out = nullptr;
                const ComponentConfig c = ComponentConfig::from(config);
                auto made = std::make_unique<Holder<Kind>>();
                made->host = c.host;
                if constexpr (requires { Class::make(c); })
                    made->component = Class::make(c);
                else
                    made->component = std::make_unique<Class>(c);
                *out = reinterpret_cast<vlm_component*>(made.release());
            },
            [&](vlm_status, const char* message) { write_reason(config.reason, config.reason_size, message); });
    }
    static vlm_status load(vlm_component* handle, const vlm_run_context* run, const vlm_weights* weights) {
        return with_run(run, [&](const Run& r) { holder(handle).component->load(Weights(r, weights)); });
    }
    static void destroy(vlm_component* handle) { delete reinterpret_cast<Holder<Kind>*>(handle); }

    /** Runs `body` with the run context; messages go to its error sink. */
    template <typename Body>
    static vlm_status with_run(const vlm_run_context* raw, Body&& body) {
        return guard([&] { body(Run(raw)); },
                     [&](vlm_status status, const char* message) {
                         if (raw != nullptr) Run(raw).error(status, message);
                     });
    }
    /** Runs `body` of a function that has no run context; messages go to the log. */
    template <typename Body>
    static vlm_status without_run(const vlm_component* handle, Body&& body) {
        return guard(std::forward<Body>(body), [&](vlm_status, const char* message) {
            if (handle != nullptr) holder(handle).host.log("", VLM_LOG_ERROR, message);
        });
    }
    static vlm_component_api base(size_t size) {
        return {static_cast<uint32_t>(size), VLM_ABI_VERSION, &create, &load, &destroy};
    }
};

/** Copies of `count` structs behind an array of pointers. */
template <typename Struct>
std::vector<std::remove_const_t<Struct>> read_all(uint32_t count, Struct* const* sources, const char* name) {
    if (count > 0 && sources == nullptr) throw invalid_argument(std::string(name) + ": the array is NULL");
    std::vector<std::remove_const_t<Struct>> copies;
    for (uint32_t i = 0; i < count; ++i) copies.push_back(read_struct(sources[i], name));
    return copies;
}

template <typename Class>
struct VisionTable : Common<Class, VisionEncoder> {
    using Base = Common<Class, VisionEncoder>;
    static vlm_status describe(const vlm_component* handle, vlm_vision_description* out) {
        return Base::without_run(handle, [&] {
            auto description = make_struct<vlm_vision_description>();
            description.max_image_tokens = -1;
            Base::component(handle).describe(description);
            write_struct(out, description, "vision description");
        });
    }
    static vlm_status plan(vlm_component* handle, int32_t width, int32_t height, vlm_vision_plan* out) {
        return Base::without_run(handle, [&] {
            if (width < 1 || height < 1)
                throw invalid_argument("an image of " + std::to_string(width) + " x " + std::to_string(height) +
                                       " pixels is impossible");
            thread_local VisionPlan plan;
            plan = Base::component(handle).plan(width, height);
            auto result = make_struct<vlm_vision_plan>();
            if (plan.pixel_shape.size() > VLM_MAX_DIMS) throw internal("plan: too many dimensions");
            result.pixel_ndim = static_cast<int32_t>(plan.pixel_shape.size());
            std::copy(plan.pixel_shape.begin(), plan.pixel_shape.end(), result.pixel_shape);
            result.feature_rows = plan.feature_rows;
            result.pooled_rows = plan.pooled_rows;
            result.workspace_bytes = plan.workspace_bytes;
            result.layout = plan.layout.get();
            write_struct(out, result, "vision plan");
        });
    }
    static vlm_status preprocess(vlm_component* handle, const vlm_run_context* run, const vlm_image* image,
                                 vlm_tensor* pixels) {
        return Base::with_run(run, [&](const Run& r) {
            const auto picture = read_struct(image, "image");
            if (picture.pixels == nullptr || picture.width < 1 || picture.height < 1)
                throw invalid_argument("image: is empty");
            Base::component(handle).preprocess(r, picture, Tensor(pixels, "pixel tensor"));
        });
    }
    static vlm_status encode(vlm_component* handle, const vlm_run_context* run, uint32_t count,
                             const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
        return Base::with_run(run, [&](const Run& r) {
            std::vector<Tensor> views;
            if (count > 0 && pixels == nullptr) throw invalid_argument("encode: pixels is NULL");
            for (uint32_t i = 0; i < count; ++i) views.emplace_back(pixels[i], "pixel tensor");
            auto results = read_all(count, outputs, "vision output");
            Base::component(handle).encode(r, views, results);
            for (uint32_t i = 0; i < count; ++i) write_struct(outputs[i], results[i], "vision output");
        });
    }
    static const void* table() {
        static const vlm_vision_encoder kTable = {Base::base(sizeof(vlm_vision_encoder)), &describe, &plan, &preprocess,
                                                  &encode};
        return &kTable;
    }
};

template <typename Class>
struct ConnectorTable : Common<Class, Connector> {
    using Base = Common<Class, Connector>;
    static vlm_status describe(const vlm_component* handle, vlm_connector_description* out) {
        return Base::without_run(handle, [&] {
            auto description = make_struct<vlm_connector_description>();
            description.delivery = VLM_DELIVERY_INLINE;
            Base::component(handle).describe(description);
            write_struct(out, description, "connector description");
        });
    }
    static vlm_status plan(vlm_component* handle, const vlm_token_layout* layout, int32_t width, int32_t height,
                           vlm_connector_plan* out) {
        return Base::without_run(handle, [&] {
            thread_local ConnectorPlan plan;
            plan = Base::component(handle).plan(Layout(layout), width, height);
            auto result = make_struct<vlm_connector_plan>();
            result.rows = plan.rows;
            result.workspace_bytes = plan.workspace_bytes;
            result.layout = plan.keep_layout ? nullptr : plan.layout.get();
            write_struct(out, result, "connector plan");
        });
    }
    static vlm_status connect(vlm_component* handle, const vlm_run_context* run, uint32_t count,
                              const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
        return Base::with_run(run, [&](const Run& r) {
            const auto in = read_all(count, inputs, "connector input");
            auto out = read_all(count, outputs, "connector output");
            Base::component(handle).connect(r, in, out);
            for (uint32_t i = 0; i < count; ++i) write_struct(outputs[i], out[i], "connector output");
        });
    }
    static const void* table() {
        static const vlm_connector kTable = {Base::base(sizeof(vlm_connector)), &describe, &plan, &connect};
        return &kTable;
    }
};

template <typename Class>
struct BackboneTable : Common<Class, Backbone> {
    using Base = Common<Class, Backbone>;
    static BackboneContext& unwrap(const vlm_backbone_context* context) {
        if (context == nullptr) throw invalid_argument("backbone context: NULL was passed");
        return *const_cast<BackboneContext*>(reinterpret_cast<const BackboneContext*>(context));
    }
    static vlm_status describe(const vlm_component* handle, vlm_backbone_description* out) {
        return Base::without_run(handle, [&] {
            auto description = make_struct<vlm_backbone_description>();
            Base::component(handle).describe(description);
            write_struct(out, description, "backbone description");
        });
    }
    static vlm_status context_create(vlm_component* handle, const vlm_run_context* run, int64_t max_tokens,
                                     vlm_backbone_context** context) {
        return Base::with_run(run, [&](const Run& r) {
            if (context == nullptr) throw invalid_argument("context_create: the place for the context is NULL");
            *context =
                reinterpret_cast<vlm_backbone_context*>(Base::component(handle).make_context(r, max_tokens).release());
        });
    }
    static void context_destroy(vlm_component*, vlm_backbone_context* context) {
        delete reinterpret_cast<BackboneContext*>(context);
    }
    static vlm_status context_truncate(vlm_component* handle, vlm_backbone_context* context, int64_t tokens) {
        return Base::without_run(handle, [&] { Base::component(handle).truncate(unwrap(context), tokens); });
    }
    static vlm_status context_state(const vlm_component* handle, const vlm_backbone_context* context,
                                    vlm_backbone_state* out) {
        return Base::without_run(handle, [&] {
            auto state = make_struct<vlm_backbone_state>();
            Base::component(handle).state(unwrap(context), state);
            write_struct(out, state, "backbone state");
        });
    }
    static vlm_status plan(vlm_component* handle, const vlm_backbone_request* request, int64_t* rows, int64_t* bytes) {
        return Base::without_run(handle, [&] {
            const BackbonePlan plan = Base::component(handle).plan(read_struct(request, "backbone request"));
            if (rows != nullptr) *rows = plan.output_rows;
            if (bytes != nullptr) *bytes = plan.workspace_bytes;
        });
    }
    static vlm_status run(vlm_component* handle, const vlm_run_context* run, uint32_t count,
                          vlm_backbone_request* const* requests) {
        return Base::with_run(run, [&](const Run& r) {
            auto all = read_all(count, requests, "backbone request");
            Base::component(handle).run(r, all);
            for (uint32_t i = 0; i < count; ++i) write_struct(requests[i], all[i], "backbone request");
        });
    }
    static const void* table() {
        static const vlm_backbone kTable = {Base::base(sizeof(vlm_backbone)),
                                            &describe,
                                            &context_create,
                                            &context_destroy,
                                            &context_truncate,
                                            &context_state,
                                            &plan,
                                            &run};
        return &kTable;
    }
};

template <typename Class>
struct ReducerTable : Common<Class, TokenReducer> {
    using Base = Common<Class, TokenReducer>;
    static vlm_status needs(vlm_component* handle, const vlm_run_context* run, uint32_t site, int32_t layer,
                            int32_t layers, uint32_t* out) {
        return Base::with_run(run, [&](const Run& r) {
            if (out == nullptr) throw invalid_argument("needs: the place for the answer is NULL");
            *out = Base::component(handle).needs(r, site, layer, layers);
        });
    }
    static vlm_status reduce(vlm_component* handle, const vlm_run_context* run, const vlm_token_view* view,
                             vlm_token_map* map) {
        return Base::with_run(run, [&](const Run& r) {
            auto result = read_struct(map, "token map");
            result.group_count = Base::component(handle).reduce(r, read_struct(view, "token view"),
                                                                Tensor(result.groups, "token map: groups"));
            write_struct(map, result, "token map");
        });
    }
    static const void* table() {
        static const vlm_token_reducer kTable = {Base::base(sizeof(vlm_token_reducer)), &needs, &reduce};
        return &kTable;
    }
};

template <typename Class>
struct PostTable : Common<Class, PostProcessor> {
    using Base = Common<Class, PostProcessor>;
    static vlm_status process(vlm_component* handle, const vlm_run_context* run, const vlm_post_input* input,
                              vlm_emit_json_fn emit, void* sink) {
        return Base::with_run(run, [&](const Run& r) {
            if (emit == nullptr) throw invalid_argument("process: emit is NULL");
            const std::string json =
                Base::component(handle).process(r, read_struct(input, "post-processor input")).dump();
            check_host(emit(sink, json.data(), json.size()), "emit");
        });
    }
    static const void* table() {
        static const vlm_post_processor kTable = {Base::base(sizeof(vlm_post_processor)), &process};
        return &kTable;
    }
};

/** The table of `Class`, whichever kind it derives from. */
template <typename Class>
const void* table_of() {
    if constexpr (std::is_base_of_v<VisionEncoder, Class>)
        return VisionTable<Class>::table();
    else if constexpr (std::is_base_of_v<Connector, Class>)
        return ConnectorTable<Class>::table();
    else if constexpr (std::is_base_of_v<Backbone, Class>)
        return BackboneTable<Class>::table();
    else if constexpr (std::is_base_of_v<TokenReducer, Class>)
        return ReducerTable<Class>::table();
    else {
        static_assert(std::is_base_of_v<PostProcessor, Class>, "a component derives from one of the five kinds");
        return PostTable<Class>::table();
    }
}

}  // namespace vlm::sdk::detail
