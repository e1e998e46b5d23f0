/** @file generation_config.hpp
 *  What a checkpoint's authors recommend for its answers: generation_config.json, which transformers' `generate`
 * follows unless the caller says otherwise. Taken over only where a bare checkpoint is opened; a manifest says what it
 * wants.
 */
#pragma once
#include <filesystem>

#include "host/pipeline/manifest.hpp"

namespace vlm {

/** Options of `folder`/generation_config.json over the host's defaults; without the file, those.
 *
 *  Read as `transformers.GenerationConfig`: `do_sample` decides whether `temperature` (1 unless given), `top_k` (50),
 *  `top_p` and `min_p` count; `repetition_penalty`, `max_new_tokens` and `stop_strings` always do. Ids that end a text
 *  are read by Checkpoint. Anything else that would change answers (`num_beams`, `no_repeat_ngram_size`, …) is not
 *  carried out and is named in a warning.
 *  @throws Error INVALID_ARGUMENT or DATA_LOSS with file and key for values of the wrong kind or range. */
GenerationOptions read_generation_config(const std::filesystem::path& folder);

}  // namespace vlm
