/** @file config.hpp
 *  What a Q-Former is, read once and checked, so that the code behind it only computes.
 */
#pragma once
#include <cstdint>
#include <string>

#include "vlm/sdk/plugin.hpp"

namespace vlm::qformer {

/** One Q-Former with the projection behind it. */
struct QFormerConfig {
    int64_t queries = 32;  ///< Learned queries, the rows of the output.
    int64_t hidden = 768;
    int64_t intermediate = 3072;
    int64_t encoder_hidden = 1408;  ///< Width of the features.
    int64_t output = 0;             ///< Width of the language model.
    int32_t layers = 12;
    int32_t heads = 12;
    int32_t cross_frequency = 2;  ///< Layers 0, n, 2n, … attend to the features.
    float norm_eps = 1e-12F;
    uint32_t activation = 0;
    int64_t vocab = 30522;         ///< Rows of the word table; with `reads_prompt` only.
    int64_t max_positions = 512;   ///< Longest prompt in tokens; with `reads_prompt` only.
    bool reads_prompt = false;     ///< The prompt's text runs beside the queries (InstructBLIP).
    std::string tokenizer_folder;  ///< Folder of the prompt's tokenizer, in the checkpoint.

    int64_t head_dim() const { return hidden / heads; }
};

/** Reads `qformer_config` with the options of the recipe. What the file leaves out is the default of the configuration
 * classes `Blip2QFormerConfig` and `InstructBlipQFormerConfig` of transformers. Throws INVALID_ARGUMENT for an unknown
 * key, a size out of range, or a width that the heads do not divide. */
QFormerConfig read_config(const sdk::Config& config);

}  // namespace vlm::qformer
