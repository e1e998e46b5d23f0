/** @file config.hpp
 *  Settings of the text tower: `CLIPTextConfig` or `SiglipTextConfig` of transformers, with the class defaults, which
 * hub files leave out.
 */
#pragma once
#include <cstdint>

#include "vlm/sdk/config.hpp"

namespace vlm::dual_encoder {

/** A checked configuration. */
struct TextConfig {
    int64_t vocab_size = 49408;
    int64_t hidden_size = 512;
    int64_t intermediate_size = 2048;
    int64_t projection_size = 512;
    int64_t max_positions = 77;
    int32_t layers = 12;
    int32_t heads = 8;
    uint32_t activation = 0;
    float norm_eps = 1e-5F;
    int32_t end_token = 49407;
    bool bidirectional =
        false;  ///< SigLIP: every row sees the whole text, padding included, and the last row is pooled.
};

/** Reads the section. Throws INVALID_ARGUMENT for an unknown key or sizes that do not fit. */
TextConfig read_config(const sdk::Config& config);

/** Row whose state stands for the whole text. SigLIP: the last. CLIP: that of the first `end_token`; the first row when
 * there is none. A checkpoint whose `end_token` is 2 predates the fix of that id and means the first row with the
 * largest id
 * (`CLIPTextTransformer.forward`). `ids` must not be empty. */
int32_t pooled_row(const TextConfig& config, const int32_t* ids, int64_t count);

}  // namespace vlm::dual_encoder
