/** @file pipeline.hpp
 *  A pipeline: the parts that a manifest chose, checked against each other, with weights loaded and ready to answer.
 *
 *  Opening goes from cheap to dear, so that a mistake shows before anything is read: manifest → recipe → plugins → type
 * check → memory plan → weights.
 */
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/trace.hpp"
#include "host/compute/device.hpp"
#include "host/pipeline/budget.hpp"
#include "host/pipeline/checkpoint.hpp"
#include "host/pipeline/manifest.hpp"
#include "host/pipeline/memory_plan.hpp"
#include "host/pipeline/recipe.hpp"
#include "host/pipeline/result.hpp"
#include "host/pipeline/stage_devices.hpp"
#include "host/pipeline/stages.hpp"
#include "host/services/services.hpp"

namespace vlm {

/** An image of a request. */
struct NamedImage {
    std::string name;
    Image image;  ///< RGB.
};

/** Streams text while it is generated: answer index, new text. Returning false stops that answer. */
using StreamCallback = std::function<bool(size_t answer, const std::string& text)>;

/** One question. */
struct Request {
    std::string prompt;
    std::vector<NamedImage> images;
    std::vector<std::string> texts;  ///< Several texts for embedding backbones (labels); `prompt` is ignored then.
    bool raw_prompt = false;         ///< Take the prompt as it is: no chat template.
    StreamCallback stream;           ///< Answers of this request only, counted from 0.
};

/** What is known of the first question when a pipeline is opened. */
struct FirstQuestion {
    std::vector<ImageSize> images;
    std::optional<std::string> prompt;  ///< As in Request; nothing: not known yet.
    bool raw_prompt = false;
    std::optional<int64_t> max_new_tokens;  ///< Nothing: the manifest's.
};

/** How to open. */
struct OpenOptions {
    bool load_weights = true;                           ///< False: check and plan only.
    bool encoder_only = false;                          ///< Loads the encoder's weights alone; nothing can be answered.
    Listeners listeners;                                ///< Progress of loading.
    std::vector<std::filesystem::path> plugin_folders;  ///< Searched first.
    std::shared_ptr<Device> device;                     ///< For all stages, instead of the manifest's; empty: those.
    FirstQuestion first;                                ///< Refused before weights are read when it does not fit.
};

namespace isolate {
class SharedArena;
}
class Session;

/** An opened pipeline. Immutable; sessions of different threads may run at once. */
class Pipeline {
  public:
    static std::unique_ptr<Pipeline> open(Manifest manifest, const OpenOptions& options = {});
    ~Pipeline();

    const Manifest& manifest() const { return manifest_; }
    const Recipe& recipe() const { return recipe_; }
    const Checkpoint& checkpoint() const { return *checkpoint_; }
    /** The backbone's: what runs are made for. */
    Device& device() const { return devices_.of(StageKind::backbone); }
    const StageDevices& devices() const { return devices_; }
    const VisionEncoder& encoder() const { return *encoder_; }
    const Connector& connector() const { return *connector_; }
    const Backbone& backbone() const { return *backbone_; }
    const std::vector<std::unique_ptr<TokenReducer>>& reducers() const { return reducers_; }
    const std::vector<std::unique_ptr<PostProcessor>>& post_processors() const { return post_processors_; }

    /** What the manifest's budget chose; empty name: it has none. */
    const BudgetChoice& budget() const { return budget_; }

    /** Tensors that isolated plugins see, and what calls into them have cost; NULL when no plugin is isolated. */
    isolate::SharedArena* shared_memory() const { return arena_.get(); }

    /** Exchanges the token reducers, with the checks of open(). Not while anything runs; when a check fails, nothing
     * has changed. For measurements that share the weights. */
    void replace_reducers(std::vector<StageManifest> reducers);

    /** Bytes of packed weights and kept tensors of a stage: "vision_encoder", "connector" or "backbone". 0 before its
     * weights are loaded. */
    int64_t weight_bytes(const std::string& stage) const;

    /** Memory and context that a question takes. @throws Error as plan_memory(). */
    MemoryPlan plan(const FirstQuestion& question) const;
    /** Refuses the plan of a question before weights are loaded. @throws Error as check_context() and check_memory().
     */
    void check_plan(const MemoryPlan& plan) const;

    /** The prompt as the model sees it: chat template or recipe template applied unless it has image markers or is raw.
     */
    std::string render_prompt(const Request& request) const;

    /** Answers independent requests, batched. `stream` hears the answers of requests that have no callback of their
     * own, counted over all requests. `trace` may be NULL. */
    std::vector<Result> answer(const std::vector<Request>& requests, const GenerationOptions& options,
                               const Listeners& listeners = {}, const StreamCallback& stream = {},
                               Trace* trace = nullptr) const;

  private:
    Pipeline() = default;
    void create_stages(const OpenOptions& options);
    void open_devices(const OpenOptions& options);
    /** Plugins that say where they run must not be put elsewhere. */
    void check_devices() const;
    void check_types() const;
    void check_reducers() const;
    /** Where a reducer works: on the device of the stage whose tokens it reduces. */
    Device& device_of(const TokenReducer& reducer) const;
    /** Makes the memory that isolated plugins share, if there are any. */
    void prepare_isolation(const OpenOptions& options);
    DeviceOptions device_options() const;
    void load(const OpenOptions& options);
    /** NULL where packed weights are not to be kept. */
    std::shared_ptr<PackedCache> open_packed_cache(const WeightStore& store, const NamedDevice& device) const;

    Manifest manifest_;
    Recipe recipe_;
    BudgetChoice budget_;
    std::vector<std::filesystem::path> folders_;  ///< Where plugins are looked for.
    std::unique_ptr<Checkpoint> checkpoint_;
    std::shared_ptr<isolate::SharedArena> arena_;
    StageDevices devices_;
    std::vector<std::unique_ptr<WeightsService>> weights_;  ///< Tensors and tokenizers that components may have kept.
    std::map<std::string, int64_t> stage_bytes_;
    std::string stage_configs_;  ///< What the stages were made from: decides which tensors become which layers.
    std::unique_ptr<VisionEncoder> encoder_;
    std::unique_ptr<Connector> connector_;
    std::unique_ptr<Backbone> backbone_;
    std::vector<std::unique_ptr<TokenReducer>> reducers_;
    std::vector<std::unique_ptr<PostProcessor>> post_processors_;
};

}  // namespace vlm
