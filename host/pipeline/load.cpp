/** @file load.cpp
 *  Loading the weights of an opened pipeline: stage by stage, each on its device, with packed weights of an earlier
 * start where there are some.
 */
#include "host/pipeline/loading_progress.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/services/device_run.hpp"
#include "host/weights/packed_cache.hpp"

namespace vlm {
namespace {

/** Says that a stage has been loaded, or has failed to. */
struct StageEnd {
    Device& device;
    explicit StageEnd(Device& loading) : device(loading) {}
    ~StageEnd() { device.begin_stage({}); }
    StageEnd(const StageEnd&) = delete;
    StageEnd& operator=(const StageEnd&) = delete;
};

}  // namespace

std::shared_ptr<PackedCache> Pipeline::open_packed_cache(const WeightStore& store, const NamedDevice& device) const {
    // Below this, packing takes less time than looking for a file.
    constexpr uint64_t kWorthwhile = uint64_t{64} << 20;
    const auto folder = packed_cache_folder(manifest_.packed_cache, checkpoint_->folder());
    PackedKey key{.use = device.device->packing(), .origin = {}};
    // Isolated plugins pack in their own processes, which may not write files.
    if (arena_ || folder.empty() || key.use.empty() || store.total_bytes() < kWorthwhile) return nullptr;
    // Plugins decide which tensors become which layers, by configuration and options.
    const auto add_plugin = [&](const Plugin& plugin) {
        std::error_code ignored;
        key.use += "\n" + plugin.id();
        key.origin +=
            plugin.version() + " " + std::to_string(std::filesystem::file_size(plugin.path(), ignored)) + " " +
            std::to_string(std::filesystem::last_write_time(plugin.path(), ignored).time_since_epoch().count()) + "\n";
    };
    key.origin = fingerprint(store) + "\n" + std::to_string(device.device->packing_version()) + "\n";
    if (!devices_.one())
        for (const StageKind kind : devices_.stages_on(device)) key.use += std::string("\nonly ") + stage_name(kind);
    for (const WeightRule& rule : manifest_.weight_rules) key.use += "\n" + rule.pattern + "=" + rule.type;
    add_plugin(encoder_->plugin());
    add_plugin(connector_->plugin());
    add_plugin(backbone_->plugin());
    for (const auto& reducer : reducers_) add_plugin(reducer->plugin());
    for (const auto& post : post_processors_) add_plugin(post->plugin());
    key.use += "\n" + stage_configs_;
    for (const auto& [name, stage] : recipe_.stages)
        for (const auto& prefix : stage.weight_prefixes) key.use += name + " " + prefix + "\n";
    return std::make_shared<PackedCache>(folder, key, store.total_bytes());
}

void Pipeline::load(const OpenOptions& options) {
    const auto store = checkpoint_->weights();
    const std::string folder = checkpoint_->folder().string();
    // Progress is counted in bytes of weights: what a plugin reports inside its own stage has no scale that others
    // share.
    Listeners quiet = options.listeners;
    quiet.progress = {};
    LoadingProgress progress(recipe_, *store, options.encoder_only, options.listeners.progress);
    std::vector<std::unique_ptr<DeviceRun>> runs;
    std::shared_ptr<PackedCache> cache;
    for (const auto& [name, device] : devices_.all()) {
        runs.push_back(std::make_unique<DeviceRun>(*device, &quiet));
        // Loading only the encoder would make a file that ends before the rest.
        if (!options.encoder_only && !cache && (cache = open_packed_cache(*store, {name, device})))
            device->use_packed_cache(cache);
    }
    const auto run_of = [&](const Device& device) -> Run& {
        size_t i = 0;
        while (devices_.all()[i].device.get() != &device) ++i;
        return *runs[i];
    };
    const auto load_stage = [&](auto& stage, Device& device, const char* name) {
        const auto found = recipe_.stages.find(name);
        const std::vector<std::string> prefixes =
            found != recipe_.stages.end() ? found->second.weight_prefixes : std::vector<std::string>{""};
        progress.begin(name);
        const StageEnd end{device};
        device.begin_stage({name, [store](const void* begin, uint64_t bytes) { store->release(begin, bytes); },
                            [&](uint64_t bytes) { progress.add(bytes); }});
        weights_.push_back(std::make_unique<WeightsService>(store, prefixes, folder));
        const int64_t before = device.counters().weight_bytes;
        stage.load(run_of(device), weights_.back()->abi());
        stage_bytes_[name] += device.counters().weight_bytes - before;
        progress.end();
    };
    const auto load_kind = [&](auto& stage, StageKind kind) { load_stage(stage, devices_.of(kind), stage_name(kind)); };
    load_kind(*encoder_, StageKind::vision_encoder);
    if (!options.encoder_only) {
        load_kind(*connector_, StageKind::connector);
        load_kind(*backbone_, StageKind::backbone);
        for (auto& reducer : reducers_) load_stage(*reducer, device_of(*reducer), "");
        for (auto& post : post_processors_) load_stage(*post, device(), "");
    }
    if (cache) cache->finish();
    for (const auto& [name, device] : devices_.all()) device->use_packed_cache(nullptr);
    progress.finish();
}

}  // namespace vlm
