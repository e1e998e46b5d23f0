/** @file loading_progress.cpp
 *  See loading_progress.hpp.
 */
#include "host/pipeline/loading_progress.hpp"

#include <algorithm>

namespace vlm {

std::string stage_of(const Recipe& recipe, std::string_view tensor) {
    std::string best = "backbone";
    size_t longest = 0;
    bool several = false;
    for (const auto& [name, stage] : recipe.stages) {
        size_t fits = 0;
        for (const auto& prefix : stage.weight_prefixes)
            if (tensor.starts_with(prefix)) fits = std::max(fits, prefix.size());
        if (fits == 0 || fits < longest) continue;
        several = fits == longest;
        longest = fits;
        best = name;
    }
    return several ? "backbone" : best;
}

LoadingProgress::LoadingProgress(const Recipe& recipe, const WeightStore& store, bool encoder_only, Report report)
    : report_(std::move(report)) {
    if (!report_) return;
    for (const TensorView& tensor : store.tensors()) stages_[stage_of(recipe, tensor.name)] += tensor.nbytes;
    for (const auto& [stage, bytes] : stages_)
        if (!encoder_only || stage == "vision_encoder") total_ += bytes;
    total_ = std::max<uint64_t>(total_, 1);
    report_(0, total_);
}

void LoadingProgress::begin(const std::string& stage) {
    const auto found = stages_.find(stage);
    stage_ = found != stages_.end() ? found->second : 0;
    loaded_ = 0;
}

void LoadingProgress::add(uint64_t bytes) {
    loaded_ = std::min(stage_, loaded_ + std::min(bytes, stage_));
    tell(before_ + loaded_);
}

void LoadingProgress::end() {
    before_ = std::min(total_, before_ + stage_);
    stage_ = loaded_ = 0;
    tell(before_);
}

void LoadingProgress::finish() {
    tell(total_);
}

void LoadingProgress::tell(uint64_t done) {
    if (!report_ || done <= told_) return;
    told_ = done;
    report_(done, total_);
}

}  // namespace vlm
