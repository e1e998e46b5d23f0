/** @file parity_case.hpp
 *  Running one reference folder and comparing what every stage made.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vlm::cli {

struct ParityOptions {
    std::string device = "cpu";
    std::string dtype = "f32";
    std::string weights = "auto";
    int64_t threads = 0;
    double tolerance = 2e-4;
    std::vector<std::filesystem::path> plugin_folders;
};

/** One compared tensor. */
struct Comparison {
    std::string name;
    bool integer = false;  ///< Compared for equality.
    bool passed = false;
    double max_abs = 0;
    double cosine = 1;
    std::string note;
};

struct CaseResult {
    size_t index = 0;
    std::vector<Comparison> comparisons;    ///< In the order of the stages.
    std::vector<std::string> not_compared;  ///< Expected tensors that no stage showed.
};

/** Runs all cases of a folder. Throws vlm::Error when the folder cannot be read or a stage fails. */
std::vector<CaseResult> run_parity(const std::filesystem::path& folder, const ParityOptions& options);

}  // namespace vlm::cli
