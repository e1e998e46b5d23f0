/** @file weight_policy.hpp
 *  Which layers keep more bits than the rest. Every layer that a plugin packs is called `<stage>/<its name>`, such as
 * `backbone/layers.0.mlp.down_proj`, and the first rule whose pattern fits says how it is stored. Devices decide what
 * happens without a rule.
 */
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vlm {

/** One rule of the manifest's `weights_of` or of `--weights-of`. */
struct WeightRule {
    std::string pattern;  ///< `*` stands for any text, also none; anything else for itself.
    std::string type;     ///< "f32", "f16", "bf16", "int8", "int4" or "fp8".
};

/** Reads `PATTERN=TYPE`. @throws Error INVALID_ARGUMENT when there is no pattern or the type is unknown. */
WeightRule parse_weight_rule(const std::string& text);

/** Whether `name` fits `pattern`. Time is at most the product of their lengths. */
bool matches_pattern(std::string_view name, std::string_view pattern) noexcept;

/** Type of the first rule that fits `name`, or NULL. */
const std::string* find_weight_type(const std::vector<WeightRule>& rules, std::string_view name) noexcept;

/** What a device is told before a stage of the pipeline loads its weights. */
struct LoadingStage {
    std::string name;  ///< "vision_encoder", "connector", "backbone", …
    /** Gives back memory of the source that has been packed; NULL: none can be given back. Bytes that are not the
     * source's are left alone. */
    std::function<void(const void* begin, uint64_t bytes)> release;
    /** Hears of source bytes that have become packed weights or kept tensors (on a GPU: that are on their way there),
     * in the thread that loads; NULL: nobody wants to know. */
    std::function<void(uint64_t bytes)> loaded = {};
};

/** A layer as it was packed. */
struct PackedLayer {
    std::string name;  ///< `<stage>/<name>`
    std::string type;  ///< "int4", …
    int64_t weights;   ///< Number of weights.
    int64_t bytes;     ///< Memory, with biases and padding.
};

}  // namespace vlm
