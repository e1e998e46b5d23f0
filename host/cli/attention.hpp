/** @file attention.hpp
 *  `--attention out/`: pictures of where the model looked, and their numbers.
 */
#pragma once
#include <filesystem>

#include "host/cli/command.hpp"
#include "host/cli/options.hpp"
#include "host/pipeline/attention.hpp"

namespace vlm::cli {

/** `--attention`, `--attention-layer`, `--attention-per`, `--attention-blocks`. */
po::options_description attention_options();

/** The pictures of one call of the command. */
class AttentionPictures {
  public:
    /** Does nothing without `--attention`. Throws INVALID_ARGUMENT for values that are none. */
    explicit AttentionPictures(const po::variables_map& values);

    bool wanted() const { return !folder_.empty(); }

    /** Opens the pipeline so that its backbone shows its weights; UNIMPLEMENTED names one that cannot. */
    std::unique_ptr<Pipeline> open(const po::variables_map& values, Manifest manifest, OpenOptions options) const;

    /** Writes `NAME-PAGE-NNN.png` for each token, word or field of the result's answers, the blocks of models of early
     * fusion, and `attention-N.json` with all numbers, where N counts the questions from 1. */
    void write(const Pipeline& pipeline, const Request& request, const Result& result, size_t question,
               const Listeners& listeners) const;

  private:
    std::filesystem::path folder_;
    AttentionChoice choice_;
    std::string shown_;  ///< The choice as it was given.
    std::string per_;
    bool blocks_ = false;
};

}  // namespace vlm::cli
