/** @file config.hpp
 *  Settings of the single-stream transformer: `ViltConfig` of transformers with its class defaults, and the head, which
 * only `architectures` tells.
 */
#pragma once
#include <cstdint>

#include "vlm/sdk/config.hpp"

namespace vlm::single_stream {

/** What stands on the pooled state. */
enum class Head {
    classifier,  ///< Linear, norm, GELU, linear: classes of a question or of a statement about one or more images.
    rank,        ///< One score: how well text and image match.
};

/** A checked configuration. */
struct StreamConfig {
    int64_t vocab_size = 30522;
    int64_t type_vocab_size = 2;
    int64_t modality_types = 2;
    int64_t max_positions = 40;
    int64_t hidden_size = 768;
    int64_t intermediate_size = 3072;
    int64_t classes = 2;
    int32_t layers = 12;
    int32_t heads = 12;
    int32_t grid_rows = 12;  ///< Patches of the image that positions were learned on.
    int32_t grid_columns = 12;
    int32_t images = 1;        ///< Images that one answer is about.
    int64_t max_patches = -1;  ///< Most patches of an image; -1: no limit.
    uint32_t activation = 0;
    float norm_eps = 1e-12F;
    bool qkv_bias = true;
    Head head = Head::classifier;
};

/** Reads the whole config.json. Throws INVALID_ARGUMENT for an unknown key, sizes that do not fit, or a head that does
 * not classify or rank. */
StreamConfig read_config(const sdk::Config& config);

}  // namespace vlm::single_stream
