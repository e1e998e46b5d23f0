/** @file memory_plan.hpp
 *  What memory and context a question takes, known from configuration, the headers of the weights and the sizes of the
 * images alone. So a question that cannot end well is refused before weights are read, instead of being ended by the
 * kernel after minutes.
 */
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vlm {

class Pipeline;

/** Width and height of an image in pixels. */
struct ImageSize {
    int width = 0;
    int height = 0;
};

/** A question as far as memory and context depend on it. */
struct PlannedQuestion {
    std::vector<ImageSize> images;      ///< As they are given; pages that are cut into rows are counted by their rows.
    bool images_are_rows = false;       ///< The images are rows that have been cut already.
    std::optional<std::string> prompt;  ///< As the model sees it; nothing: `text_tokens` of text.
    int64_t text_tokens = 64;
    int64_t max_new_tokens = 256;
};

/** Bytes, of one device or of all. */
struct MemoryShare {
    std::string device;            ///< "cpu", "cuda:0"; empty: all together.
    int64_t weight_bytes = 0;      ///< Packed weights.
    int64_t kv_bytes = 0;          ///< KV caches at the planned context length.
    int64_t activation_bytes = 0;  ///< Largest scratch and activations of any stage.
    int64_t image_bytes = 0;       ///< Pixels, features and visual tokens.
    int64_t total() const { return weight_bytes + kv_bytes + activation_bytes + image_bytes; }
};

/** What memory a pipeline will take; `vlmhost --plan` prints it. The numbers are the sums of `devices`. */
struct MemoryPlan : MemoryShare {
    std::vector<MemoryShare> devices;  ///< In the order of StageDevices::all().
    int64_t context_tokens = 0;        ///< Planned context length.
    int64_t prompt_tokens = 0;  ///< Text and visual tokens in front of an answer; 0 while the prompt is not known.
    int64_t visual_tokens = 0;  ///< Visual tokens of one sequence.
    int64_t sequences = 0;      ///< That run together.
    /** "4.2 GB of memory (weights 1.5 GB, KV cache …)", for messages; with several devices also each one's part. */
    std::string text() const;
    /** The same of one device. */
    std::string text(const MemoryShare& share) const;
};

/** Plans a question. Weights that are loaded are counted as the device says, others by their shapes.
 *  @throws Error INVALID_ARGUMENT when the prompt does not have a marker for each image, or the vision encoder cannot
 * take an image of that size. */
MemoryPlan plan_memory(const Pipeline& pipeline, const PlannedQuestion& question);

/** Context length for a question of `needed` tokens: the manifest's, else the model's, else what is needed. */
int64_t context_limit(const Pipeline& pipeline, int64_t needed);

/** @throws Error RESOURCE_EXHAUSTED when `prompt_tokens` are more than the context holds. */
void check_context(const Pipeline& pipeline, int64_t prompt_tokens);

/** Refuses a plan that is beyond the manifest's memory_limit_mb, or without one, whose part for a device is beyond what
 * that device has left, or the machine for the CPU.
 *  @param loaded  The weights are in memory already.
 *  @throws Error RESOURCE_EXHAUSTED with the plan's numbers and what to do. */
void check_memory(const Pipeline& pipeline, const MemoryPlan& plan, bool loaded);

}  // namespace vlm
