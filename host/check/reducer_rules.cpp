/** @file reducer_rules.cpp
 *  Token reducers on random views. They decide what a model sees, and they need no weights, so everything about them
 * can be tried: maps, memory, repetition, threads and cancelling.
 */
#include <vlm/token_reducer.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "host/base/error.hpp"
#include "host/check/rules.hpp"
#include "host/services/run.hpp"

namespace vlm {
namespace {

constexpr int64_t kGuard = 64;  ///< Elements on each side of `groups`.
constexpr int32_t kCanary = 0x5AFE5AFE;
constexpr int kViews = 12;

/** A place where the reducer acts. */
struct Place {
    uint32_t site;
    int32_t layer;
    int32_t layers;
};

/** Random tokens, and the ABI's view of them. */
class RandomView {
  public:
    RandomView(std::mt19937_64& random, const Place& place) {
        const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
        constexpr int64_t kMostTokens = 200;
        const int64_t n = 1 + below(kMostTokens);
        const auto uniform = [&] { return static_cast<float>(random() >> 40) * 0x1p-24F; };
        const auto fill = [&](Tensor& tensor, std::vector<int64_t> shape) {
            tensor = Tensor(VLM_DTYPE_F32, std::move(shape));
            for (float& x : tensor.span<float>()) x = uniform() - 0.5F;
        };
        fill(hidden_, {n, 32});
        fill(keys_, {n, 16});
        fill(scores_, {n});
        fill(score_sums_, {n});
        fill(sizes_, {n});
        for (float& size : sizes_.span<float>()) size = std::floor(size * 6 + 4);
        images_ = Tensor(VLM_DTYPE_I32, {n});
        origins_ = Tensor(VLM_DTYPE_I32, {n});
        keep_ = Tensor(VLM_DTYPE_U8, {n});
        const bool backbone = place.site == VLM_SITE_BACKBONE_LAYER;
        const int64_t text_before = backbone ? below(n) : 0;
        for (int64_t i = 0; i < n; ++i) {
            images_.data<int32_t>()[i] = backbone && i < text_before ? -1 : 0;
            origins_.data<int32_t>()[i] = static_cast<int32_t>(i);
            keep_.data<uint8_t>()[i] = below(8) == 0 ? 1 : 0;
        }
        view_.struct_size = sizeof(view_);
        view_.abi_version = VLM_ABI_VERSION;
        view_.site = place.site;
        view_.layer = place.layer;
        view_.layers = place.layers;
        view_.image = backbone ? -1 : 0;
        view_.tokens = n;
        view_.protected_tokens = backbone ? 0 : std::min<int64_t>(n, below(3));
        view_.hidden = hidden_.abi();
        view_.keys = keys_.abi();
        view_.scores = scores_.abi();
        view_.score_sums = score_sums_.abi();
        view_.sizes = below(2) == 0 ? nullptr : sizes_.abi();
        view_.images = backbone ? images_.abi() : nullptr;
        view_.origins = view_.sizes == nullptr ? nullptr : origins_.abi();
        view_.keep = below(2) == 0 ? nullptr : keep_.abi();
    }
    RandomView(const RandomView&) = delete;
    RandomView& operator=(const RandomView&) = delete;

    const vlm_token_view& abi() const { return view_; }
    std::string text() const {
        return std::to_string(view_.tokens) + " tokens (" + std::to_string(view_.protected_tokens) +
               " protected) at site " + std::to_string(view_.site) + ", layer " + std::to_string(view_.layer) + " of " +
               std::to_string(view_.layers);
    }
    bool kept(int64_t token) const { return view_.keep != nullptr && keep_.data<uint8_t>()[token] != 0; }
    /** All input bytes, to see whether anyone wrote to them. */
    std::vector<char> bytes() const {
        std::vector<char> all;
        for (const Tensor* t : {&hidden_, &keys_, &scores_, &score_sums_, &sizes_, &images_, &origins_, &keep_}) {
            const auto* begin = t->data<char>();
            all.insert(all.end(), begin, begin + t->elements() * dtype_bytes(t->dtype()));
        }
        return all;
    }

  private:
    Tensor hidden_, keys_, scores_, score_sums_, sizes_, images_, origins_, keep_;
    vlm_token_view view_{};
};

/** The map that a reducer filled, with guards around it. */
struct Map {
    vlm_status status = VLM_STATUS_OK;
    int64_t count = 0;
    std::vector<int32_t> groups;
    bool guards_stand = true;
    std::string error;  ///< What the reducer wrote into the error sink.
    double milliseconds = 0;
    bool operator==(const Map& other) const {
        return status == other.status && count == other.count && (count == 0 || groups == other.groups);
    }
};

/** A reducer under test with a device of its own. */
class Bench {
  public:
    explicit Bench(const CheckOptions& options)
        : subject_(options),
          table_(table_of<vlm_token_reducer>(subject_, VLM_KIND_TOKEN_REDUCER)),
          component_(table_.base, options),
          device_(open_device("cpu", {"f32", "f32", 2})),
          random_(options.seed) {
        must(table_.needs != nullptr && table_.reduce != nullptr, "the table lacks needs or reduce");
        Run run(device_->compute(), &quiet_);
        component_.load(run.context(VLM_ABI_VERSION));
        find_places();
    }

    const std::vector<Place>& places() const { return places_; }
    std::mt19937_64& random() { return random_; }

    Map reduce(const RandomView& view, const Listeners& listeners) {
        Run run(device_->compute(), &listeners);
        const int64_t n = view.abi().tokens;
        Tensor guarded(VLM_DTYPE_I32, {n + 2 * kGuard});
        std::fill_n(guarded.data<int32_t>(), n + 2 * kGuard, kCanary);
        vlm_tensor groups = *guarded.abi();
        int64_t shape = n;
        groups.view.shape = &shape;
        groups.view.byte_offset = kGuard * sizeof(int32_t);
        vlm_token_map map{sizeof(vlm_token_map), VLM_ABI_VERSION, &groups, 0};
        const auto begin = std::chrono::steady_clock::now();
        Map result;
        result.status = table_.reduce(component_.get(), run.context(VLM_ABI_VERSION), &view.abi(), &map);
        result.milliseconds =
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
        device_->end_run(run.context(VLM_ABI_VERSION));
        try {
            run.check(result.status, "reduce");
        } catch (const Error& error) {
            result.error = error.what();
        }
        result.count = map.group_count;
        const auto all = guarded.span<int32_t>();
        const auto stands = [](int32_t x) { return x == kCanary; };
        result.guards_stand = std::all_of(all.begin(), all.begin() + kGuard, stands) &&
                              std::all_of(all.end() - kGuard, all.end(), stands);
        result.groups.assign(all.begin() + kGuard, all.end() - kGuard);
        return result;
    }
    Map reduce(const RandomView& view) {
        Map map = reduce(view, quiet_);
        must(map.status == VLM_STATUS_OK,
             std::string("reduce gave ") + status_name(map.status) + " for " + view.text() + ": " + map.error);
        return map;
    }

  private:
    void find_places() {
        Run run(device_->compute(), &quiet_);
        constexpr int32_t kMostLayers = 48;
        // A setting may fit one number of layers only, so all are asked for.
        for (uint32_t site = VLM_SITE_ENCODER_LAYER; site <= VLM_SITE_BACKBONE_LAYER; ++site) {
            const bool output = site == VLM_SITE_ENCODER_OUTPUT || site == VLM_SITE_CONNECTOR_OUTPUT;
            for (int32_t layers = 1; layers <= kMostLayers && places_.size() < kMostPlaces * site; ++layers)
                for (int32_t layer = output ? -1 : 0; layer < (output ? 0 : layers); ++layer) {
                    uint32_t needs = 0;
                    const vlm_status status =
                        table_.needs(component_.get(), run.context(VLM_ABI_VERSION), site, layer, layers, &needs);
                    must(status == VLM_STATUS_OK || status == VLM_STATUS_INVALID_ARGUMENT,
                         std::string("needs gave ") + status_name(status));
                    if (status == VLM_STATUS_OK && needs != 0) places_.push_back({site, layer, layers});
                }
        }
        if (places_.empty()) throw NotCheckable("the reducer acts nowhere with these options");
    }

    static constexpr size_t kMostPlaces = 24;
    Subject subject_;
    vlm_token_reducer table_;
    MadeComponent component_;
    std::shared_ptr<Device> device_;
    std::mt19937_64 random_;
    Listeners quiet_;
    std::vector<Place> places_;
};

const Place& any_place(Bench& bench) {
    return bench.places()[bench.random()() % bench.places().size()];
}

void polls_cancel(const CheckOptions& options) {
    Bench bench(options);
    std::atomic<bool> cancelled{true};
    Listeners listeners;
    listeners.cancelled = &cancelled;
    constexpr double kMostMs = 500;  // 50 ms by the rule, and room for a busy machine
    for (int i = 0; i < kViews; ++i) {
        const RandomView view(bench.random(), any_place(bench));
        const Map map = bench.reduce(view, listeners);
        must(map.status == VLM_STATUS_CANCELLED || map.status == VLM_STATUS_OK,
             std::string("a cancelled reduce gave ") + status_name(map.status) + ", expected CANCELLED (or OK)");
        must(map.milliseconds < kMostMs, "a cancelled reduce went on for " + std::to_string(map.milliseconds) + " ms");
    }
}

void writes_inside(const CheckOptions& options) {
    Bench bench(options);
    for (int i = 0; i < kViews; ++i) {
        const RandomView view(bench.random(), any_place(bench));
        const auto before = view.bytes();
        const Map map = bench.reduce(view);
        must(map.guards_stand, "reduce wrote outside of 'groups' for " + view.text());
        must(view.bytes() == before, "reduce wrote into its input for " + view.text());
    }
}

void maps_are_sound(const CheckOptions& options) {
    Bench bench(options);
    for (int i = 0; i < kViews; ++i) {
        const RandomView view(bench.random(), any_place(bench));
        const Map map = bench.reduce(view);
        must(map.count >= 0 && map.count <= view.abi().tokens,
             "reduce made " + std::to_string(map.count) + " groups of " + view.text());
        if (map.count == 0) continue;
        std::vector<int64_t> members(static_cast<size_t>(map.count));
        for (size_t t = 0; t < map.groups.size(); ++t) {
            const int32_t group = map.groups[t];
            must(group >= -1 && group < map.count, "reduce put token " + std::to_string(t) + " into group " +
                                                       std::to_string(group) + " of " + std::to_string(map.count) +
                                                       " for " + view.text());
            if (group >= 0) ++members[static_cast<size_t>(group)];
            must(group >= 0 || !view.kept(static_cast<int64_t>(t)),
                 "reduce dropped token " + std::to_string(t) + ", which 'keep' protects, for " + view.text());
        }
        for (size_t g = 0; g < members.size(); ++g)
            must(members[g] > 0, "reduce left group " + std::to_string(g) + " empty for " + view.text());
        for (int64_t t = 0; t < view.abi().protected_tokens; ++t) {
            const int32_t group = map.groups[static_cast<size_t>(t)];
            must(group >= 0 && members[static_cast<size_t>(group)] == 1,
                 "reduce merged or dropped the protected token " + std::to_string(t) + " for " + view.text());
        }
    }
}

void repeats_itself(const CheckOptions& options) {
    Bench bench(options);
    for (int i = 0; i < kViews; ++i) {
        const RandomView view(bench.random(), any_place(bench));
        must(bench.reduce(view) == bench.reduce(view), "the second reduce of the same view differs for " + view.text());
    }
}

void works_in_two_threads(const CheckOptions& options) {
    Bench bench(options);
    std::vector<std::unique_ptr<RandomView>> views;
    std::vector<Map> alone;
    for (int i = 0; i < kViews; ++i) {
        views.push_back(std::make_unique<RandomView>(bench.random(), any_place(bench)));
        alone.push_back(bench.reduce(*views.back()));
    }
    const Listeners quiet;
    std::atomic<bool> same{true};
    std::array<std::thread, 2> threads;
    for (auto& thread : threads)
        thread = std::thread([&] {
            for (size_t i = 0; i < views.size(); ++i)
                if (!(bench.reduce(*views[i], quiet) == alone[i])) same = false;
        });
    for (auto& thread : threads) thread.join();
    must(same, "two runs at once on two threads give other maps than one");
}

void works_isolated(const CheckOptions& options) {
    Bench here(options);
    const CheckOptions away = isolated(options, VLM_KIND_TOKEN_REDUCER);
    std::unique_ptr<Bench> there;
    try {
        there = std::make_unique<Bench>(away);
    } catch (const NotCheckable& reason) {
        throw RuleBroken(std::string("cannot be made in a process of its own: ") + reason.what());
    }
    for (int i = 0; i < kViews; ++i) {
        const RandomView view(here.random(), any_place(here));
        const Map expected = here.reduce(view);
        must(there->reduce(view) == expected, "in a process of its own it gives another map for " + view.text());
    }
}

}  // namespace

std::vector<Rule> reducer_rules() {
    return {{"VLM-P-10", "polls for cancelling", polls_cancel},
            {"VLM-P-13", "writes only into its outputs, and inside them", writes_inside},
            {"VLM-P-14", "token maps have no empty group and spare protected tokens", maps_are_sound},
            {"VLM-P-15", "same input, same answer", repeats_itself},
            {"VLM-P-16", "a loaded component serves many runs at once", works_in_two_threads},
            {kIsolationRule, kIsolationTitle, works_isolated}};
}

}  // namespace vlm
