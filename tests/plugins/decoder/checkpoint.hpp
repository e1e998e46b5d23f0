/** @file checkpoint.hpp
 *  A golden checkpoint behind the built plugin: what the tests of this folder share.
 *
 *  The plugin is loaded as a host does it, through its one symbol and the table of `vlm.backbone/1`, on the CPU device
 * in f32.
 */
#pragma once
#include <vlm/backbone.h>
#include <vlm/hooks.h>
#include <vlm/plugin.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/compute/device.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm::test {

/** A captured tensor as floats. */
struct Captured {
    std::vector<int64_t> shape;
    std::vector<float> values;
};

/** One image of a request. */
struct TestImage {
    std::vector<float> tokens;  ///< [rows, width]
    int64_t rows = 0;
    int64_t grid_rows = 0;  ///< 0: a latent block of `positions`.
    int64_t grid_columns = 0;
    int64_t positions = 0;
    std::vector<int32_t> row_of_position;  ///< Empty: identity.
};

/** A piece of a prompt: text ids, or positions of an image. */
struct TestSegment {
    std::vector<int32_t> ids;
    int32_t image = -1;
    int64_t first = 0;
    int64_t count = 0;
};

/** A prompt. */
struct TestPrompt {
    std::vector<TestSegment> segments;
    std::vector<TestImage> images;

    static TestPrompt text(std::vector<int32_t> ids);
};

/** What one request gave back. */
struct TestOutput {
    std::vector<float> logits;  ///< [rows, vocabulary]
    int64_t rows = 0;
    std::vector<int32_t> input_rows;
    std::vector<float> hidden;
    double confidence = -1;
};

/** A request of a batch. */
struct TestRequest {
    vlm_backbone_context* context = nullptr;
    TestPrompt prompt;
    uint32_t logits = VLM_LOGITS_LAST;
    bool hidden = false;
};

/** Prunes between layers as FastV does, and records what it saw. */
struct PruneHook {
    int32_t layer = -1;
    std::function<std::vector<int32_t>(const vlm_token_view&)> decide;  ///< Groups of the rows; empty: leave them.
    std::vector<int32_t> groups;
    vlm_tensor tensor{};
    int64_t shape[1] = {};
    vlm_token_map map{};
};

/** FastV: keeps the `keep` visual rows with the largest scores. */
std::vector<int32_t> keep_best(const vlm_token_view& view, int64_t keep);

/** The decoder of a checkpoint folder. */
class Model {
  public:
    /** `options` are merged over the language model's section of config.json. */
    explicit Model(const std::filesystem::path& folder, const nlohmann::json& options = nlohmann::json::object());
    ~Model();
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    vlm_backbone_context* make_context(int64_t tokens);
    void destroy_context(vlm_backbone_context* context);
    /** Runs a batch; throws std::runtime_error with the plugin's message. */
    std::vector<TestOutput> run(const std::vector<TestRequest>& requests);
    /** `run` for one request. */
    TestOutput run(vlm_backbone_context* context, const TestPrompt& prompt, uint32_t logits = VLM_LOGITS_LAST);
    vlm_status truncate(vlm_backbone_context* context, int64_t tokens);
    vlm_backbone_state state(vlm_backbone_context* context) const;
    /** Feeds the best token back `count` times. `logits` are those of the last prompt row. */
    std::vector<int64_t> greedy(vlm_backbone_context* context, std::vector<float> logits, size_t count);

    const vlm_backbone_description& description() const { return description_; }
    std::map<std::string, Captured> taps;  ///< Filled when `listen`.
    bool listen = false;
    bool cancel = false;
    PruneHook* hook = nullptr;

  private:
    vlm_run_context context();
    std::shared_ptr<Device> device_;
    std::shared_ptr<const WeightStore> store_;
    std::map<std::string, std::unique_ptr<vlm_tensor>> found_;
    const vlm_backbone* api_ = nullptr;
    vlm_component* component_ = nullptr;
    vlm_backbone_description description_{};
    vlm_hooks hooks_{};
    std::string error_;
};

/** Tensors of a golden case. */
class Golden {
  public:
    explicit Golden(const std::filesystem::path& folder);
    bool has(const std::string& name) const { return store_->contains(name); }
    std::vector<float> floats(const std::string& name) const;
    std::vector<int64_t> integers(const std::string& name) const;
    std::vector<int64_t> shape(const std::string& name) const { return store_->at(name).shape; }
    int cases() const;
    const nlohmann::json& config() const { return config_; }

    /** The prompt of a case with its visual tokens, as a host would cut it. */
    TestPrompt prompt(int number) const;

  private:
    std::vector<bool> visual_mask(const std::string& prefix, std::vector<int64_t>& ids) const;
    std::shared_ptr<const WeightStore> store_;
    nlohmann::json config_;
};

/** Folder of golden checkpoints: VLM_GOLDEN_DIR of the environment, else of the build. Empty when there is none. */
std::filesystem::path golden_folder();

/** Appends f32 tensors to a safetensors file. */
void add_tensors(const std::filesystem::path& file, const std::map<std::string, Captured>& tensors);

/** Largest absolute difference; infinity for different sizes. */
double distance(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace vlm::test
