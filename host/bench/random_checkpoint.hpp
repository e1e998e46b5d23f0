/** @file random_checkpoint.hpp
 *  Writes a shape's checkpoint with random bf16 weights, so that loading, page cache and memory are measured on the
 *  same kind of file as a real model's.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>

#include "host/bench/shapes.hpp"

namespace vlm::bench {

/** Bytes of weights written so far, and in all. */
using WriteProgress = std::function<void(uint64_t done, uint64_t total)>;

/** The folder of the checkpoint below `parent`; writes it when it is not there or was written by another version.
 *
 *  Weights are uniform with a deviation of 1 / sqrt(inputs), so activations stay in range through all layers; the same
 *  shape always gets the same numbers. The file appears under its name only when it is complete.
 *  @throws Error RESOURCE_EXHAUSTED before anything is written when the disk lacks space, PERMISSION_DENIED when the
 *  folder cannot be written, CANCELLED when `cancelled` returns true. */
std::filesystem::path ensure_checkpoint(const ModelShape& shape, const std::filesystem::path& parent,
                                        const WriteProgress& progress = {},
                                        const std::function<bool()>& cancelled = {});

/** Writes a shape's checkpoint into `folder` with a hole where the weights are: they read as zeros and take no room on
 *  file systems that know holes. For whoever looks at shapes only.
 *  @throws Error PERMISSION_DENIED or RESOURCE_EXHAUSTED when it cannot be written. */
void write_hollow_checkpoint(const ModelShape& shape, const std::filesystem::path& folder);

}  // namespace vlm::bench
