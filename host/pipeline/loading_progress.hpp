/** @file loading_progress.hpp
 *  How far loading is, in bytes of the checkpoint: a layer of the language model takes a hundred times as long as the
 * connector, so parts of a pipeline are no measure of time.
 */
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "host/pipeline/recipe.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {

/** The stage that a tensor of a checkpoint belongs to, by the longest of the recipe's prefixes that its name begins
 * with; "backbone" for names that none fits or that fit several stages equally. */
std::string stage_of(const Recipe& recipe, std::string_view tensor);

/** Counts what stages load and tells how much of all there is. What a stage leaves unread counts as loaded at its end,
 * what it reads twice counts once. One thread at a time. */
class LoadingProgress {
  public:
    using Report = std::function<void(uint64_t done, uint64_t total)>;

    /** Reports 0. @param report  May be empty. */
    LoadingProgress(const Recipe& recipe, const WeightStore& store, bool encoder_only, Report report);

    void begin(const std::string& stage);
    void add(uint64_t bytes);
    void end();
    /** Reports all. */
    void finish();

  private:
    void tell(uint64_t done);

    Report report_;
    std::map<std::string, uint64_t> stages_;  ///< Bytes of each.
    uint64_t total_ = 0;
    uint64_t before_ = 0;  ///< Of the stages that are loaded.
    uint64_t stage_ = 0;   ///< Of the one that loads.
    uint64_t loaded_ = 0;  ///< Of that, so far.
    uint64_t told_ = 0;
};

}  // namespace vlm
