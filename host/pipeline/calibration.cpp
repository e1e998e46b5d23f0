/** @file calibration.cpp
 *  See calibration.hpp. The maps themselves are made by `merge_map` of the compute service, as the dymu plugin makes
 * them; here is only the choice of the threshold.
 */
#include "host/pipeline/calibration.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>

#include "host/services/device_run.hpp"

namespace vlm {
namespace {

/** What the even tokens of one image offer at one layer: merge_map's input. */
struct Proposals {
    Tensor scores;    ///< `[(tokens + 1) / 2]` f32 cosine to the most similar odd token.
    Tensor partners;  ///< `[(tokens + 1) / 2]` i32 that token.
    int64_t tokens = 0;
    int64_t protected_tokens = 0;
};

/** Keys of a view as f32 unit vectors on the CPU. */
std::vector<float> unit_keys(Run& run, const vlm_tensor& keys, int64_t tokens, int64_t& width) {
    if (keys.view.ndim != 2 || keys.view.shape[0] < tokens || keys.view.shape[1] < 1)
        throw Error(VLM_STATUS_INTERNAL, "the encoder shows keys of another shape than [tokens, head_dim]");
    width = keys.view.shape[1];
    Tensor copy(VLM_DTYPE_F32, {keys.view.shape[0], width});
    run.check(run.compute().copy(&run.compute(), run.context(VLM_ABI_VERSION), &keys, copy.abi()), "copy of keys");
    std::vector<float> unit(copy.span<float>().begin(), copy.span<float>().end());
    for (int64_t t = 0; t < tokens; ++t) {
        float* key = unit.data() + t * width;
        double squares = 0;
        for (int64_t i = 0; i < width; ++i) squares += static_cast<double>(key[i]) * key[i];
        const auto scale = squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 0.F;
        for (int64_t i = 0; i < width; ++i) key[i] *= scale;
    }
    return unit;
}

Proposals propose(Run& run, const vlm_token_view& view) {
    if (view.keys == nullptr) throw Error(VLM_STATUS_INTERNAL, "the encoder shows no keys at its hook");
    int64_t width = 0;
    const auto keys = unit_keys(run, *view.keys, view.tokens, width);
    const int64_t evens = (view.tokens + 1) / 2;
    const int64_t odds = view.tokens / 2;
    Proposals p{Tensor(VLM_DTYPE_F32, {evens}), Tensor(VLM_DTYPE_I32, {evens}), view.tokens, view.protected_tokens};
    for (int64_t e = 0; e < evens; ++e) {
        float best = -std::numeric_limits<float>::infinity();
        for (int64_t o = 0; o < odds; ++o) {
            if (2 * o + 1 < view.protected_tokens) continue;
            float dot = 0;
            for (int64_t i = 0; i < width; ++i)
                dot +=
                    keys[static_cast<size_t>(2 * e * width + i)] * keys[static_cast<size_t>((2 * o + 1) * width + i)];
            if (dot <= best) continue;
            best = dot;
            p.partners.data<int32_t>()[e] = static_cast<int32_t>(o);
        }
        p.scores.data<float>()[e] = best;
    }
    return p;
}

/** Cosine half way between the last proposal that is accepted and the first that is not. */
double threshold_for(std::vector<float>& scores, int64_t accept) {
    if (accept <= 0 || scores.empty()) return 1;
    const auto count = static_cast<size_t>(accept);
    std::sort(scores.begin(), scores.end(), std::greater<>());
    if (count >= scores.size()) return -1;
    return std::min(1.0, (static_cast<double>(scores[count - 1]) + static_cast<double>(scores[count])) / 2);
}

/** Chooses the threshold of a layer from the proposals of all images of a batch, when all have come. */
class Meeting {
  public:
    Meeting(std::vector<int64_t> targets, int32_t layers, int32_t acting)
        : targets_(std::move(targets)),
          here_(targets_.size()),
          expected_(targets_.size()),
          acting_(acting),
          thresholds_(static_cast<size_t>(layers), 1.0) {}

    /** Waits for the others; returns the layer's threshold. */
    double choose(size_t image, int32_t layer, const Proposals& proposals) {
        std::unique_lock lock(mutex_);
        here_[image] = &proposals;
        layer_ = layer;
        const uint64_t round = round_;
        if (++arrived_ == expected_)
            decide();
        else
            all_here_.wait(lock, [&] { return round_ != round; });
        return thresholds_[static_cast<size_t>(layer)];
    }

    /** An image is through, or failed: the others go on without it. */
    void leave() {
        const std::scoped_lock lock(mutex_);
        --expected_;
        if (expected_ > 0 && arrived_ == expected_) decide();
    }

    const std::vector<double>& thresholds() const { return thresholds_; }

  private:
    void decide() {
        std::vector<float> scores;
        int64_t surplus = 0;
        for (size_t i = 0; i < here_.size(); ++i) {
            if (here_[i] == nullptr) continue;
            const Proposals& p = *here_[i];
            surplus += std::max<int64_t>(0, p.tokens - p.protected_tokens - targets_[i]);
            const auto all = p.scores.span<float>();
            const auto first = std::min(all.size(), static_cast<size_t>((p.protected_tokens + 1) / 2));
            scores.insert(scores.end(), all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
            here_[i] = nullptr;
        }
        const int64_t left = std::max(1, acting_ - layer_);
        thresholds_[static_cast<size_t>(layer_)] = threshold_for(scores, (surplus + left - 1) / left);
        arrived_ = 0;
        ++round_;
        all_here_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable all_here_;
    std::vector<int64_t> targets_;
    std::vector<const Proposals*> here_;
    size_t expected_;
    size_t arrived_ = 0;
    int32_t layer_ = 0;
    int32_t acting_;
    uint64_t round_ = 0;
    std::vector<double> thresholds_;
};

/** Chooses a threshold; nothing to accept from 1 on. */
using Choice = std::function<double(int32_t layer, const Proposals& proposals)>;

/** The hook of one image's way through the tower. */
class Walk {
  public:
    Walk(const Pipeline& pipeline, const std::atomic<bool>* cancelled, Choice choice)
        : pipeline_(pipeline), choice_(std::move(choice)) {
        listeners_.cancelled = cancelled;
        hooks_ = abi_struct<vlm_hooks>();
        hooks_.host = this;
        hooks_.needs = [](void*, uint32_t site, int32_t, int32_t) -> uint32_t {
            return site == VLM_SITE_ENCODER_LAYER ? VLM_NEED_KEYS : 0;
        };
        hooks_.reduce = [](void* host, const vlm_run_context*, const vlm_token_view* view,
                           const vlm_token_map** map) -> vlm_status {
            auto& self = *static_cast<Walk*>(host);
            try {
                *map = self.reduce(*view);
                return VLM_STATUS_OK;
            } catch (const Error& error) {
                self.failure_ = std::current_exception();
                return error.code();
            } catch (...) {
                self.failure_ = std::current_exception();
                return VLM_STATUS_INTERNAL;
            }
        };
    }
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;

    void run(const NamedImage& image) {
        DeviceRun run(device(), &listeners_, &hooks_);
        run_ = &run;
        const auto& encoder = pipeline_.encoder();
        const std::vector<VisionEncoder::Plan> plans = {encoder.plan(image.image.width, image.image.height)};
        const std::vector<Tensor> pixels = {encoder.preprocess(run, image.image, image.name, plans.front())};
        try {
            encoder.encode(run, pixels, plans, device().allocator());
        } catch (...) {
            // What happened at the hook says more than what the encoder made of it.
            if (failure_) std::rethrow_exception(failure_);
            throw;
        }
    }

    int32_t layers_seen() const { return next_layer_; }
    int64_t tokens() const { return tokens_; }

  private:
    Device& device() const { return pipeline_.devices().of(StageKind::vision_encoder); }

    const vlm_token_map* reduce(const vlm_token_view& view) {
        if (view.layer != next_layer_)
            throw failed_precondition(pipeline_.encoder().plugin().id() +
                                      " looks at an image in several views or towers; thresholds can be calibrated for "
                                      "encoders that see an image at once");
        ++next_layer_;
        tokens_ = view.tokens - view.protected_tokens;
        const Proposals proposals = propose(*run_, view);
        const double threshold = choice_(view.layer, proposals);
        const int64_t most = tokens_ / 2;
        if (threshold >= 1 || most == 0) return nullptr;
        groups_ = Tensor(VLM_DTYPE_I32, {view.tokens}, device().allocator());
        map_ = abi_struct<vlm_token_map>();
        map_.groups = groups_.abi();
        const auto& compute = run_->compute();
        Tensor scores = on_device(proposals.scores), partners = on_device(proposals.partners);
        run_->check(compute.merge_map(&compute, run_->context(VLM_ABI_VERSION), scores.abi(), partners.abi(),
                                      static_cast<float>(threshold), most, view.protected_tokens, map_.groups,
                                      &map_.group_count),
                    "merge_map");
        if (map_.group_count == view.tokens) return nullptr;
        tokens_ = map_.group_count - view.protected_tokens;
        return &map_;
    }

    Tensor on_device(const Tensor& tensor) {
        Tensor copy(tensor.dtype(), tensor.shape(), device().allocator());
        if (copy.on_cpu()) return tensor;
        const auto& compute = run_->compute();
        run_->check(compute.copy(&compute, run_->context(VLM_ABI_VERSION), tensor.abi(), copy.abi()),
                    "copy of proposals");
        return copy;
    }

    const Pipeline& pipeline_;
    Choice choice_;
    Listeners listeners_;
    vlm_hooks hooks_{};
    Run* run_ = nullptr;
    std::exception_ptr failure_;
    int32_t next_layer_ = 0;
    int64_t tokens_ = 0;
    Tensor groups_;
    vlm_token_map map_{};
};

}  // namespace

MergeTarget MergeTarget::parse(const std::string& text) {
    // Tokens that the paper's three variants of LLaVA-1.5 keep of 576.
    constexpr double kAll = 576;
    if (text == "high") return {0, 394 / kAll};
    if (text == "mid") return {0, 195 / kAll};
    if (text == "low") return {0, 89 / kAll};
    MergeTarget target;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), target.tokens);
    if (error != std::errc() || end != text.data() + text.size() || target.tokens < 1)
        throw invalid_argument("--target is '" + text + "'; expected high, mid, low or a number of tokens from 1 on");
    return target;
}

int64_t MergeTarget::of(int64_t all) const {
    const int64_t wanted = tokens > 0 ? tokens : std::llround(share * static_cast<double>(all));
    return std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, all));
}

MergeCalibration::MergeCalibration(const Pipeline& pipeline, const MergeTarget& target,
                                   const std::atomic<bool>* cancelled)
    : pipeline_(pipeline), target_(target), cancelled_(cancelled) {
    const auto& encoder = pipeline.encoder();
    if ((encoder.description().sites >> VLM_SITE_ENCODER_LAYER & 1u) == 0)
        throw failed_precondition(encoder.plugin().id() +
                                  " offers no hook inside its layers, so nothing can be merged there");
}

int64_t MergeCalibration::wanted(const NamedImage& image) const {
    return target_.of(pipeline_.encoder().plan(image.image.width, image.image.height).feature_rows);
}

int32_t MergeCalibration::layers() const {
    return pipeline_.encoder().description().layers;
}

std::vector<double> MergeCalibration::batch(std::span<const NamedImage> images) const {
    if (images.empty()) throw invalid_argument("calibration: a batch has no images");
    // How many layers run at all depends on which one's output the connector takes; one walk tells.
    Walk first(pipeline_, cancelled_, [](int32_t, const Proposals&) { return 1.0; });
    first.run(images.front());
    std::vector<int64_t> targets;
    for (const auto& image : images) targets.push_back(wanted(image));
    Meeting meeting(targets, layers(), first.layers_seen());
    std::vector<std::exception_ptr> failures(images.size());
    {
        std::vector<std::jthread> threads;
        const auto walk = [&](size_t i) {
            try {
                Walk(pipeline_, cancelled_, [&, i](int32_t layer, const Proposals& proposals) {
                    return meeting.choose(i, layer, proposals);
                }).run(images[i]);
            } catch (...) {
                failures[i] = std::current_exception();
            }
            meeting.leave();
        };
        for (size_t i = 0; i < images.size(); ++i) {
            try {
                threads.emplace_back(walk, i);
            } catch (const std::system_error& error) {  // no more threads: those that run must not wait for this one
                failures[i] = std::make_exception_ptr(
                    resource_exhausted(std::string("no thread for another image of the batch: ") + error.what()));
                meeting.leave();
            }
        }
    }
    for (const auto& failure : failures)
        if (failure) std::rethrow_exception(failure);
    return meeting.thresholds();
}

std::vector<int64_t> MergeCalibration::tokens_with(std::span<const NamedImage> images,
                                                   const std::vector<double>& thresholds) const {
    std::vector<int64_t> tokens;
    for (const auto& image : images) {
        Walk walk(pipeline_, cancelled_,
                  [&](int32_t layer, const Proposals&) { return thresholds.at(static_cast<size_t>(layer)); });
        walk.run(image);
        tokens.push_back(walk.tokens());
    }
    return tokens;
}

}  // namespace vlm
