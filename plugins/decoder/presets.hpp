/** @file presets.hpp
 *  Defaults of the configuration classes.
 *
 *  Checkpoints on the hub were written without the keys that equal the class default, so a reader must know them. They
 *  are taken from transformers 5.23; where 4.x differed (head_dim derived from the sizes) both are served.
 */
#pragma once
#include <string>

#include "config.hpp"

namespace vlm::decoder {

/** The configuration of a class before any key is read. `kv_heads` 0: as many as heads. `head_dim` 0: hidden / heads.
 *  Throws InvalidArgument that lists the known types. */
DecoderConfig preset(const std::string& model_type);

/** Model type of the language model inside `outer` when its section does not say; "" when unknown. */
std::string default_text_type(const std::string& outer);

}  // namespace vlm::decoder
