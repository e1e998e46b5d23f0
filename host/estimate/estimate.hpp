/** @file estimate.hpp
 *  Predicts what a pipeline will cost on pictures of a given size, before anything is computed.
 */
#pragma once
#include <string>
#include <vector>

#include "host/estimate/dry_device.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm::estimate {

/** A machine: what bounds its time. */
struct Machine {
    std::string name;
    double flops_per_s = 0;
    double bytes_per_s = 0;
    std::string source;  ///< Where the numbers are from.
};

/** Named machines, numbers of their makers (dense bf16, no sparsity). */
const std::vector<Machine>& known_machines();
/** One of them; INVALID_ARGUMENT lists the names. */
const Machine& machine_of(const std::string& name);

/** Roofline (Williams, Waterman, Patterson 2009): no less than the arithmetic takes, and no less than the bytes. */
double seconds(const Work& work, const Machine& machine);

/** Work of one question, stage by stage. On a device that computes only `flops()` is filled. */
struct Stages {
    Work encode, connect, prefill, decode;  ///< `decode`: one token behind the prompt.
    int64_t visual_tokens = 0;
    int64_t text_tokens = 0;
    int64_t feature_rows = 0;
    int64_t kv_bytes = 0;              ///< Behind the prompt.
    int64_t visual_scratch_bytes = 0;  ///< Most scratch memory at once, of the stages before the backbone.
    int64_t scratch_bytes = 0;         ///< And of all stages.
    bool fits = true;  ///< False: the prompt is longer than the backbone takes; `prefill` and `decode` are 0.
};

/** Runs one question (a grey picture of `width` x `height`, `text_tokens` of text with the markers of the prompt) and
 * notes what each stage asked of the device. A prompt beyond the backbone's positions is not read: see `fits`. */
Stages run_stages(const Pipeline& pipeline, int width, int height, int64_t text_tokens);

/** What reading text alone costs. */
struct TextWork {
    Work prefill;
    Work decode;                ///< One token behind it.
    int64_t scratch_bytes = 0;  ///< Most scratch memory at once; 0 on devices that compute.
};

/** Work of reading `tokens` of text alone. Empty for backbones that do not generate. */
TextWork text_work(const Pipeline& pipeline, int64_t tokens);

/** Peak memory of a question: weights, keys and values, scratch, and the picture as 8-bit and as f32 pixels. */
double peak_bytes(double weights, double kv, double scratch, int width, int height);

/** Opens a pipeline on a DryDevice. `device` receives it. */
std::unique_ptr<Pipeline> open_dry(Manifest manifest, OpenOptions options, std::shared_ptr<DryDevice>& device);

/** Scratch memory of attention over `tokens` rows, one head of 64, causal: computed and measured on this machine. */
struct AttentionMemory {
    int64_t tokens = 0;
    double standard_computed = 0;  ///< `tokens^2 * 4`: the logits of one head.
    double standard_measured = 0;
    double blocked_computed = 0;  ///< A tile per thread, and the keys and values in pages.
    double blocked_measured = 0;
};
AttentionMemory attention_memory(int64_t tokens, int threads);

}  // namespace vlm::estimate
