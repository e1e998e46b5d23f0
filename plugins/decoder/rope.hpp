/** @file rope.hpp
 *  Inverse frequencies of rotary positions, for all length extensions that checkpoints of decoders use.
 *
 *  They are computed here, in double, and handed to the compute service: a device needs to know only angles. Kinds that
 *  depend on the length of the sequence (dynamic, longrope) are asked again for every run, because keys that lie in the
 *  cache keep the rotation that they got when they were new, as in the reference.
 */
#pragma once
#include <cstdint>
#include <vector>

#include "config.hpp"

namespace vlm::decoder {

/** Elements of a head that are rotated: always even. */
int32_t rotary_dim(const RopeConfig& rope, int32_t head_dim);

/** True when the frequencies change with the length of the sequence. */
bool depends_on_length(const RopeConfig& rope);

/** `rotary_dim / 2` inverse frequencies for a sequence whose largest position is `length - 1`.
 *  Sources: linear scaling (kaiokendev), dynamic NTK, Llama 3.1, YaRN (arXiv 2309.00071), LongRoPE (arXiv 2402.13753),
 * as in transformers' modeling_rope_utils.py. */
std::vector<float> inverse_frequencies(const RopeConfig& rope, int32_t head_dim, int64_t length);

/** Factor on cos and sin: 1 except for yarn and longrope. */
float rope_attention_scaling(const RopeConfig& rope);

/** Axis of each frequency: 0 (time), 1 (row), 2 (column) by the sections of M-RoPE; empty without sections. */
std::vector<int32_t> mrope_axes(const RopeConfig& rope);

}  // namespace vlm::decoder
