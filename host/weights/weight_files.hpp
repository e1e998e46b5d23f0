/** @file weight_files.hpp
 *  Which files hold the weights of a checkpoint: a single file, the shards that an index names, or numbered shards
 * without an index.
 */
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vlm {

/** The safetensors files of a checkpoint, and what its index promises. */
struct WeightFiles {
    std::vector<std::filesystem::path> files;  ///< in order of first mention
    std::string index_name;                    ///< path of the index; empty when there is none
    /** Per tensor of the index the position of its file in `files`. */
    std::vector<std::pair<std::string, size_t>> weight_map;
};

/** Finds the files. `path` is a *.safetensors file, a *.index.json, or a folder, in which are tried in order:
 * `model.safetensors`, `model.safetensors.index.json`, the only other `*.safetensors.index*.json`, a complete set
 * `*-00001-of-0000N.safetensors`, the only *.safetensors. Names in an index may not leave its folder.
 *  @throws Error NOT_FOUND (no such path, no weights, a shard is missing), INVALID_ARGUMENT (bad index, several
 * candidates, PyTorch or other formats: with what to do). */
WeightFiles find_weight_files(const std::filesystem::path& path);

}  // namespace vlm
