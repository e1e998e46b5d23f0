/** @file options.hpp
 *  What several commands share: parsing with help, opening a pipeline from `--manifest` or `--model`, Ctrl-C.
 */
#pragma once
#include <atomic>
#include <boost/program_options.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "host/cli/command.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm::cli {

namespace po = boost::program_options;

/** Parses; prints `intro` and the options for `--help` and returns nothing then. Throws INVALID_ARGUMENT for unknown
 * options. */
std::optional<po::variables_map> parse(const Arguments& arguments, const po::options_description& options,
                                       const po::positional_options_description& positional, const std::string& intro);

/** `--manifest`, `--model`, `--device`, `--dtype`, `--weights`, `--threads`, `--plugin-path`. */
po::options_description pipeline_options();

/** `--trust` and `--trust-key`; part of pipeline_options. */
po::options_description trust_options();

/** Makes the trust policy of this process as strict as those options say. */
void apply_trust(const po::variables_map& options);

/** The manifest that the options mean: of --manifest, with the checkpoint of --model when both are given. Throws
 * INVALID_ARGUMENT when neither is. */
Manifest manifest_from(const po::variables_map& options);

/** Sets what the options say in a manifest that came from elsewhere. */
void apply_options(const po::variables_map& options, Manifest& manifest);

/** Opens the pipeline as the options and `open` say, with a progress bar on a terminal. */
std::unique_ptr<Pipeline> open_pipeline(const po::variables_map& options, Manifest manifest, OpenOptions open = {});

/** Files of `--image` or `--images`: folders become their pictures, sorted by name. `folders` becomes true when there
 * was a folder. Throws NOT_FOUND for a folder without pictures. */
std::vector<std::filesystem::path> image_files(const std::vector<std::string>& given, bool& folders);

/** Set by the first Ctrl-C; the second one ends the process at once. */
const std::atomic<bool>& interrupted();

/** A number of bytes for people: "12.3 MB". */
std::string bytes_text(int64_t bytes);

}  // namespace vlm::cli
