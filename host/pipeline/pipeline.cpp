/** @file pipeline.cpp
 *  Opening a pipeline; see pipeline.hpp. What it answers is in answer.cpp.
 */
#include "host/pipeline/pipeline.hpp"

#include <algorithm>
#include <cmath>

#include "host/base/error.hpp"
#include "host/isolate/isolated_plugin.hpp"
#include "host/isolate/shared_device.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/pipeline/prompt.hpp"
#include "host/pipeline/template.hpp"
#include "host/plugin/registry.hpp"

namespace vlm {
namespace {

const char* site_name(uint32_t site) {
    switch (site) {
        case VLM_SITE_ENCODER_LAYER:
            return "inside encoder layers";
        case VLM_SITE_ENCODER_OUTPUT:
            return "after the encoder";
        case VLM_SITE_CONNECTOR_OUTPUT:
            return "after the connector";
        case VLM_SITE_BACKBONE_LAYER:
            return "between backbone layers";
        default:
            return "nowhere";
    }
}

/** A stage as recipe and manifest together want it. */
struct ResolvedStage {
    std::string plugin;
    ComponentConfig config;
    std::string source;  ///< Where its settings are from, for messages.
    std::optional<isolate::IsolateOptions> isolate;
    StageRecipe recipe;
};

class StageResolver {
  public:
    StageResolver(const Recipe& recipe, const Checkpoint& checkpoint, std::vector<std::filesystem::path> folders,
                  TrustPolicy trust, isolate::IsolateOptions isolate = {})
        : recipe_(recipe),
          checkpoint_(checkpoint),
          folders_(std::move(folders)),
          trust_(std::move(trust)),
          isolate_(std::move(isolate)) {}

    ResolvedStage stage(const char* name, const StageManifest& manifest) const {
        const auto found = recipe_.stages.find(name);
        const StageRecipe stage = found != recipe_.stages.end() ? found->second : StageRecipe{};
        ResolvedStage resolved;
        resolved.plugin = manifest.plugin.empty() ? stage.plugin : manifest.plugin;
        if (resolved.plugin.empty())
            throw invalid_argument("recipe '" + recipe_.name + "' has no stage '" + name +
                                   "' and the manifest names no plugin for it");
        resolved.config.config = stage_config(stage, checkpoint_.config(), manifest.options);
        resolved.source = (checkpoint_.folder() / "config.json").string() + " through the recipe '" + recipe_.name +
                          "'" + (manifest.options != "{}" ? " and the manifest's options" : "");
        finish(resolved, name, manifest);
        resolved.recipe = stage;
        return resolved;
    }

    /** Reducers and post-processors: configured by the manifest alone. */
    ResolvedStage extra(const StageManifest& manifest) const {
        ResolvedStage resolved;
        resolved.plugin = manifest.plugin;
        resolved.config.config = manifest.options;
        resolved.source = "the manifest's options";
        finish(resolved, "", manifest);
        return resolved;
    }

    template <typename Stage>
    std::unique_ptr<Stage> create(const ResolvedStage& stage) const {
        auto plugin = stage.isolate
                          ? find_plugin(folders_, stage.plugin,
                                        [&](const std::filesystem::path& file) {
                                            return isolate::IsolatedPlugin::open(file, *stage.isolate, trust_);
                                        })
                          : find_plugin(folders_, stage.plugin, trust_);
        try {
            return std::make_unique<Stage>(std::move(plugin), stage.config);
        } catch (const Error& error) {
            const auto original = taken_from(stage.recipe, checkpoint_.config(), error.what());
            throw Error(error.code(), error.what() + ("; its settings come from " + stage.source) +
                                          (original.empty() ? "" : ", where that key is '" + original + "'"));
        }
    }

  private:
    void finish(ResolvedStage& resolved, const char* name, const StageManifest& manifest) const {
        resolved.config.model = checkpoint_.config().dump();
        resolved.config.preprocessor = checkpoint_.preprocessor();
        if (!manifest.isolate) return;
        resolved.isolate = isolate_;
        resolved.isolate->stage = name;
        resolved.isolate->time_limit = std::chrono::milliseconds(std::llround(manifest.time_limit_s * 1000));
        constexpr uint64_t kMega = 1'000'000;
        resolved.isolate->memory_limit = static_cast<uint64_t>(manifest.memory_mb) * kMega;
    }

    const Recipe& recipe_;
    const Checkpoint& checkpoint_;
    std::vector<std::filesystem::path> folders_;
    TrustPolicy trust_;
    isolate::IsolateOptions isolate_;
};

}  // namespace

Pipeline::~Pipeline() = default;

std::unique_ptr<Pipeline> Pipeline::open(Manifest manifest, const OpenOptions& options) {
    std::unique_ptr<Pipeline> pipeline(new Pipeline());
    pipeline->manifest_ = std::move(manifest);
    pipeline->checkpoint_ = std::make_unique<Checkpoint>(pipeline->manifest_.model);
    if (pipeline->manifest_.budget.given()) {
        pipeline->budget_ = choose_by_budget(pipeline->manifest_.budget);
        pipeline->manifest_.token_reducers = pipeline->budget_.reducers;
    }
    pipeline->prepare_isolation(options);
    pipeline->create_stages(options);
    if (pipeline->manifest_.budget.given()) check_budget_fits(pipeline->budget_, *pipeline);
    pipeline->open_devices(options);
    pipeline->check_devices();
    pipeline->check_types();
    if (options.load_weights) {
        const MemoryPlan plan = options.encoder_only ? MemoryPlan{} : pipeline->plan(options.first);
        if (!options.encoder_only) pipeline->check_plan(plan);
        try {
            pipeline->load(options);
        } catch (const Error& error) {
            if (error.code() != VLM_STATUS_RESOURCE_EXHAUSTED || options.encoder_only) throw;
            throw Error(error.code(), std::string(error.what()) + "; the plan was " + plan.text());
        }
    }
    return pipeline;
}

DeviceOptions Pipeline::device_options() const {
    const auto& m = manifest_;
    return {m.dtype, m.weights, static_cast<int>(m.threads), m.kv, m.weight_rules};
}

void Pipeline::prepare_isolation(const OpenOptions& options) {
    const auto& m = manifest_;
    std::vector<const StageManifest*> stages = {&m.vision_encoder, &m.connector, &m.backbone};
    for (const auto* list : {&m.token_reducers, &m.post_processors})
        for (const auto& stage : *list) stages.push_back(&stage);
    if (std::none_of(stages.begin(), stages.end(), [](const StageManifest* stage) { return stage->isolate; })) return;
    if (options.device)
        throw failed_precondition(
            "an isolated plugin computes in a process of its own, which cannot use the device that this command brings "
            "along; take \"isolate\" out of the manifest");
    for (const std::string& device : stage_device_names(m))
        if (device != "cpu")
            throw failed_precondition("\"isolate\" works on the CPU only, and the device is '" + device +
                                      "': memory of a GPU is not shared with other processes; take \"isolate\" away, "
                                      "or compute on the CPU");
    arena_ = isolate::SharedArena::create();
}

void Pipeline::open_devices(const OpenOptions& options) {
    if (options.device) {
        devices_ = StageDevices({canonical_device(manifest_.device), options.device});
        return;
    }
    devices_ = StageDevices(stage_device_names(manifest_), device_options());
    // Isolated plugins are on the CPU, and so is everything beside them.
    if (arena_) devices_ = StageDevices({"cpu", isolate::share_tensors(devices_.all().front().device, arena_)});
}

void Pipeline::check_devices() const {
    const auto check = [&](const Plugin& plugin, StageKind kind) {
        check_runs_on(plugin.id(), plugin.capabilities(), devices_.name_of(kind));
    };
    check(encoder_->plugin(), StageKind::vision_encoder);
    check(connector_->plugin(), StageKind::connector);
    check(backbone_->plugin(), StageKind::backbone);
}

void Pipeline::create_stages(const OpenOptions& options) {
    auto first = options.plugin_folders;
    first.insert(first.end(), manifest_.plugins.begin(), manifest_.plugins.end());
    folders_ = plugin_folders(first);
    const auto& folders = folders_;
    const std::string wanted = manifest_.recipe.empty() ? checkpoint_->model_type() : manifest_.recipe;
    recipe_ = find_recipe(recipe_folders(folders), wanted, (checkpoint_->folder() / "config.json").string());
    check_covered(recipe_, checkpoint_->config());

    const StageResolver resolver(recipe_, *checkpoint_, folders, host_trust().at_least(manifest_.trust),
                                 {arena_, device_options(), {}});
    const auto noted = [&](const char* name, const StageManifest& manifest) {
        auto stage = resolver.stage(name, manifest);
        stage_configs_ += stage.config.config + "\n";
        return stage;
    };
    encoder_ = resolver.create<VisionEncoder>(noted("vision_encoder", manifest_.vision_encoder));
    connector_ = resolver.create<Connector>(noted("connector", manifest_.connector));
    backbone_ = resolver.create<Backbone>(noted("backbone", manifest_.backbone));
    for (const auto& reducer : manifest_.token_reducers)
        reducers_.push_back(resolver.create<TokenReducer>(resolver.extra(reducer)));
    for (const auto& post : manifest_.post_processors)
        post_processors_.push_back(resolver.create<PostProcessor>(resolver.extra(post)));
    if (manifest_.post_processors.empty())
        for (const auto& id : recipe_.post_processors) {
            StageManifest post;
            post.plugin = id;
            post_processors_.push_back(resolver.create<PostProcessor>(resolver.extra(post)));
        }
}

void Pipeline::check_types() const {
    const auto& vision = encoder_->description();
    const auto& connect = connector_->description();
    const auto& text = backbone_->description();
    const auto mismatch = [](const std::string& a, int64_t x, const std::string& b, int64_t y, const char* what) {
        return failed_precondition("the parts do not fit: " + a + " makes " + what + " of width " + std::to_string(x) +
                                   ", " + b + " takes width " + std::to_string(y));
    };
    const int64_t made = connect.reads_pooled != 0 ? vision.pooled_size : vision.hidden_size;
    if (connect.input_size != 0 && connect.input_size != made)
        throw mismatch(encoder_->plugin().id(), made, connector_->plugin().id(), connect.input_size, "features");
    if (text.hidden_size != 0 && text.hidden_size != connect.output_size)
        throw mismatch(connector_->plugin().id(), connect.output_size, backbone_->plugin().id(), text.hidden_size,
                       "visual tokens");
    if (text.output == VLM_OUTPUT_LOGITS && text.delivery != connect.delivery)
        throw failed_precondition(
            "the parts do not fit: " + connector_->plugin().id() + " delivers visual tokens " +
            (connect.delivery == VLM_DELIVERY_INLINE ? "in the sequence" : "for cross-attention") + ", " +
            backbone_->plugin().id() + " expects the other way");
    check_reducers();
}

void Pipeline::check_reducers() const {
    const auto& vision = encoder_->description();
    const auto& connect = connector_->description();
    const auto& text = backbone_->description();
    // A reducer must find its site, and no two may act at one place.
    const Listeners quiet;
    Run run(device().compute(), &quiet, nullptr, device().stream());
    const uint32_t host_sites = 1u << VLM_SITE_ENCODER_OUTPUT | 1u << VLM_SITE_CONNECTOR_OUTPUT;
    for (const auto& reducer : reducers_) {
        bool acts = false;
        for (uint32_t site = VLM_SITE_ENCODER_LAYER; site <= VLM_SITE_BACKBONE_LAYER; ++site) {
            const int32_t layers = site == VLM_SITE_BACKBONE_LAYER ? text.layers : vision.layers;
            if (reducer->needs(run, site, -1, layers) == 0) continue;
            acts = true;
            const uint32_t offered = site == VLM_SITE_BACKBONE_LAYER ? text.sites : vision.sites | host_sites;
            const auto& owner = site == VLM_SITE_BACKBONE_LAYER ? backbone_->plugin() : encoder_->plugin();
            if ((offered >> site & 1u) == 0)
                throw failed_precondition(reducer->plugin().id() + " works " + site_name(site) + ", but " + owner.id() +
                                          " offers no hook there");
            if (site == VLM_SITE_ENCODER_LAYER || site == VLM_SITE_ENCODER_OUTPUT) {
                if (connect.needs_grid != 0)
                    throw failed_precondition(reducer->plugin().id() + " works " + site_name(site) + ", but " +
                                              connector_->plugin().id() +
                                              " needs the whole grid of features; use a reducer that works after the "
                                              "connector, or set it so if it has an option for that");
            }
            if (site != VLM_SITE_BACKBONE_LAYER && text.takes_merged == 0)
                throw failed_precondition(reducer->plugin().id() + " merges visual tokens, but " +
                                          backbone_->plugin().id() + " cannot take merged tokens");
            for (const auto& other : reducers_)
                if (other != reducer && other->needs(run, site, -1, layers) != 0)
                    throw failed_precondition(reducer->plugin().id() + " and " + other->plugin().id() + " both work " +
                                              site_name(site) + "; one place takes one reducer");
        }
        if (!acts)
            throw failed_precondition(reducer->plugin().id() + " acts at no site with these settings; remove it");
        device_of(*reducer);
    }
}

Device& Pipeline::device_of(const TokenReducer& reducer) const {
    const Listeners quiet;
    Run run(device().compute(), &quiet, nullptr, device().stream());
    Device* found = nullptr;
    for (uint32_t site = VLM_SITE_ENCODER_LAYER; site <= VLM_SITE_BACKBONE_LAYER; ++site) {
        const bool text = site == VLM_SITE_BACKBONE_LAYER;
        if (reducer.needs(run, site, -1, text ? backbone_->description().layers : encoder_->description().layers) == 0)
            continue;
        Device& device = devices_.of(text                                ? StageKind::backbone
                                     : site == VLM_SITE_CONNECTOR_OUTPUT ? StageKind::connector
                                                                         : StageKind::vision_encoder);
        if (found != nullptr && found != &device)
            throw failed_precondition(
                reducer.plugin().id() +
                " works in stages that are on different devices; put those on one device, or name "
                "the reducer twice with settings for one of them each");
        found = &device;
    }
    return found != nullptr ? *found : device();
}

void Pipeline::replace_reducers(std::vector<StageManifest> reducers) {
    if (!arena_ && std::any_of(reducers.begin(), reducers.end(), [](const auto& reducer) { return reducer.isolate; }))
        throw failed_precondition(
            "token reducers that are exchanged can be isolated only in a pipeline that has isolated plugins already");
    std::vector<std::unique_ptr<TokenReducer>> made;
    const StageResolver resolver(recipe_, *checkpoint_, folders_, host_trust().at_least(manifest_.trust),
                                 {arena_, device_options(), {}});
    for (const auto& reducer : reducers) made.push_back(resolver.create<TokenReducer>(resolver.extra(reducer)));
    made.swap(reducers_);
    try {
        check_reducers();
        const Listeners quiet;
        for (auto& reducer : reducers_) {
            Device& place = device_of(*reducer);
            Run run(place.compute(), &quiet, nullptr, place.stream());
            weights_.push_back(std::make_unique<WeightsService>(checkpoint_->weights(), std::vector<std::string>{""},
                                                                checkpoint_->folder().string()));
            reducer->load(run, weights_.back()->abi());
        }
    } catch (...) {
        made.swap(reducers_);
        throw;
    }
    manifest_.token_reducers = std::move(reducers);
}

int64_t Pipeline::weight_bytes(const std::string& stage) const {
    const auto found = stage_bytes_.find(stage);
    return found != stage_bytes_.end() ? found->second : 0;
}

MemoryPlan Pipeline::plan(const FirstQuestion& question) const {
    PlannedQuestion planned;
    planned.images = question.images;
    planned.max_new_tokens = question.max_new_tokens.value_or(manifest_.generation.max_new_tokens);
    if (question.prompt) {
        Request request;
        request.prompt = *question.prompt;
        request.raw_prompt = question.raw_prompt;
        request.images.resize(question.images.size());
        planned.prompt = render_prompt(request);
    }
    MemoryPlan plan = plan_memory(*this, planned);
    // A prompt that is not known yet may be short: nothing is to be refused for it.
    if (!question.prompt) plan.prompt_tokens = 0;
    return plan;
}

void Pipeline::check_plan(const MemoryPlan& plan) const {
    if (backbone_->description().output == VLM_OUTPUT_LOGITS) check_context(*this, plan.prompt_tokens);
    check_memory(*this, plan, false);
}

std::string Pipeline::render_prompt(const Request& request) const {
    const std::string& prompt = request.prompt.empty() ? manifest_.prompt : request.prompt;
    const auto& recipe = recipe_.prompt;
    if (request.raw_prompt || !manifest_.use_template || count_markers(prompt, recipe) > 0) return prompt;
    return apply_template(*checkpoint_, recipe, {{"user", prompt, request.images.size()}});
}

}  // namespace vlm
