/** @file trial.hpp
 *  A loaded plugin of any kind under random inputs: what the rules about running need to know of a kind, and no more.
 *
 *  A *draw* is a number from which one input is made, always the same one; so a run can be repeated, repeated on
 * another thread, cancelled, or given a service that fails, and compared with what it gave before.
 */
#pragma once
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host/check/guarded.hpp"
#include "host/check/subject.hpp"
#include "host/pipeline/plugin_table.hpp"
#include "host/services/run.hpp"
#include "host/services/services.hpp"

namespace vlm {

/** Under what circumstances to run. */
struct Conditions {
    const std::atomic<bool>* cancelled = nullptr;
    const vlm_compute* compute = nullptr;  ///< NULL: the device's own.
    unsigned char fill = 0;                ///< What outputs hold before the plugin writes them.
    bool wrong_input = false;              ///< Give the plugin a tensor of the wrong shape.
    void* stream = nullptr;                ///< Of the run context.
    /** What a token reducer has not asked for is missing (0), or is there with numbers that depend on this one. */
    uint64_t unasked = 0;
    int settle_ms = 0;  ///< Wait so long after the call before looking at what it made.
};

/** What one run did. */
struct Outcome {
    vlm_status status = VLM_STATUS_OK;
    std::string input;        ///< The input in words.
    std::string error;        ///< What the plugin wrote into the error sink.
    std::vector<char> bytes;  ///< All that it made; compared between runs.
    std::string damage;       ///< Who wrote where it must not; empty: nobody (VLM-P-13).
    std::string misshapen;    ///< Rows, counts or layouts against the plan; empty: as planned (VLM-P-17, VLM-P-18).
    std::string unsound;      ///< What is wrong with a token map; empty: nothing (VLM-P-14).
    std::string progress;     ///< What is wrong with the reported progress; empty: nothing (VLM-P-23).
    double milliseconds = 0;
};

/** One kind of plugin, made and loaded. `run` may be called from several threads at once. */
class Trial {
  public:
    virtual ~Trial() = default;
    virtual Outcome run(uint64_t draw, const Conditions& conditions) = 0;
    /** Whether the kind says what it wants to see (Conditions::unasked). */
    virtual bool asks() const { return false; }
    const vlm_compute& compute() const { return *device_->compute(); }

  protected:
    Trial();
    /** Makes `outcome` from a call: time, error sink, progress and the end of the run. */
    Outcome call(const std::string& input, const Conditions& conditions,
                 const std::function<vlm_status(const vlm_run_context*)>& body) const;
    std::shared_ptr<Device> device_;
};

/** A component of a checkpoint's stage or of plain options, with the weights that belong to it. */
class LoadedComponent {
  public:
    LoadedComponent(const vlm_component_api& api, const std::string& kind, const CheckOptions& options, Device& device);
    ~LoadedComponent();
    LoadedComponent(const LoadedComponent&) = delete;
    LoadedComponent& operator=(const LoadedComponent&) = delete;
    vlm_component* get() const { return handle_; }

  private:
    const vlm_component_api& api_;
    vlm_component* handle_ = nullptr;
    std::unique_ptr<WeightsService> weights_;
};

/** What a component says of itself. Throws RuleBroken when it says nothing. */
template <typename Description, typename Table>
Description describe(const Table& table, const LoadedComponent& component) {
    auto description = abi_struct<Description>();
    must(table.describe(component.get(), &description) == VLM_STATUS_OK, "describe failed");
    return description;
}

/** Adds what `function` wrote into `tensor`, `made` of `planned` rows, to the bytes of `outcome`. More rows than
 * planned are misshapen: false, and nothing is added. */
bool take_rows(Outcome& outcome, const std::string& function, const GuardedTensor& tensor, int64_t made,
               int64_t planned);

/** What a component of `kind` is made from: the section of `options.checkpoint` with `options.options` over it, or
 * `options.options` alone. */
struct StageConfig {
    std::string config, model, preprocessor;
    std::vector<std::string> weight_prefixes;
};
StageConfig stage_config_of(const std::string& kind, const CheckOptions& options);

/** Random numbers of a draw. */
class Draw {
  public:
    Draw(uint64_t seed, uint64_t draw) : random_(seed * 1'000'003 + draw) {}
    /** 0 … n-1. */
    int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
    /** -1 … 1. */
    float real() { return static_cast<float>(random_() >> 40) * 0x1p-23F - 1.F; }
    /** Fills a tensor of f32 or bf16 with numbers of -1 … 1. */
    void fill(GuardedTensor& tensor, uint32_t dtype);

  private:
    std::mt19937_64 random_;
};

/** Throw NotCheckable when the plugin does not offer the kind or cannot be made or loaded. */
std::unique_ptr<Trial> vision_trial(const Subject& subject);
std::unique_ptr<Trial> connector_trial(const Subject& subject);
std::unique_ptr<Trial> backbone_trial(const Subject& subject);
std::unique_ptr<Trial> post_trial(const Subject& subject);
std::unique_ptr<Trial> reducer_trial(const Subject& subject);

}  // namespace vlm
