/** @file request.hpp
 *  From the plain structs of a caller to the host's own types. Everything is checked here, before a model is touched.
 */
#pragma once
#include <vlm/host.h>

#include "host/pipeline/pipeline.hpp"

namespace vlm::api {

/** Decodes or copies an image as the pipeline wants it.
 *  @throws Error INVALID_ARGUMENT unless exactly one source is set and it is sound, RESOURCE_EXHAUSTED beyond the
 * manifest's `max_pixels`, and what decoding throws. */
NamedImage read_image(const vlm_image_source* theirs, const Pipeline& pipeline);

/** `options` with what the caller sets replaced. `theirs` may be NULL. */
GenerationOptions read_options(const vlm_generation_options* theirs, GenerationOptions options);

/** A request with its images read and its stream callback wrapped; `generation` is left to the caller. */
Request read_request(const vlm_generate_request& given, const Pipeline& pipeline);

}  // namespace vlm::api
