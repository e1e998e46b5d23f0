/** @file trial_reducer.cpp
 *  Token reducers on random views of 1 to 200 tokens, at the places where they act. A view holds what the reducer has
 * asked for in `needs` and nothing else, as in a pipeline.
 */
#include <vlm/token_reducer.h>

#include <algorithm>
#include <cstring>

#include "host/base/tensor.hpp"
#include "host/check/trial.hpp"

namespace vlm {
namespace {

constexpr int64_t kMostTokens = 200;
constexpr int64_t kHidden = 32;
constexpr int64_t kHeadDim = 16;
constexpr int32_t kMostLayers = 48;
constexpr size_t kMostPlaces = 24;  ///< Of each site.
constexpr uint32_t kNeeds = VLM_NEED_HIDDEN | VLM_NEED_KEYS | VLM_NEED_SCORES;

/** Where the reducer acts, and what it wants to see there. */
struct Place {
    uint32_t site;
    int32_t layer;
    int32_t layers;
    uint32_t needs;
};

std::string text_of(const Place& place) {
    return "site " + std::to_string(place.site) + ", layer " + std::to_string(place.layer) + " of " +
           std::to_string(place.layers);
}

/** Random tokens, and the ABI's view of them. */
class RandomView {
  public:
    RandomView(Draw draw, const Place& place, const Conditions& conditions, uint32_t dtype) {
        const int64_t n = 1 + draw.below(kMostTokens);
        const bool backbone = place.site == VLM_SITE_BACKBONE_LAYER;
        view_.struct_size = sizeof(view_);
        view_.abi_version = VLM_ABI_VERSION;
        view_.site = place.site;
        view_.layer = place.layer;
        view_.layers = place.layers;
        view_.image = backbone ? -1 : 0;
        view_.tokens = n;
        view_.protected_tokens = backbone ? 0 : std::min<int64_t>(n, draw.below(3));
        const int64_t text_before = backbone ? draw.below(n) : 0;
        const bool sized = draw.below(2) != 0;
        const bool keeps = draw.below(2) != 0;
        const bool on_host = draw.below(2) != 0;

        const int64_t rows = conditions.wrong_input ? n + 1 : n;
        Draw unasked(conditions.unasked, static_cast<uint64_t>(n));
        const auto show = [&](const vlm_tensor* vlm_token_view::*member, const char* name, uint32_t need,
                              uint32_t element, std::vector<int64_t> shape) {
            const bool asked = (place.needs & need) != 0;
            if (!asked && conditions.unasked == 0) return;
            auto& tensor = add(member, name, element, std::move(shape));
            // From numbers of its own, so that the rest of the view does not depend on it.
            (asked ? draw : unasked).fill(tensor, element);
        };
        show(&vlm_token_view::hidden, "hidden", VLM_NEED_HIDDEN, dtype, {rows, kHidden});
        show(&vlm_token_view::keys, "keys", VLM_NEED_KEYS, dtype, {rows, kHeadDim});
        show(&vlm_token_view::scores, "scores", VLM_NEED_SCORES, VLM_DTYPE_F32, {rows});
        show(&vlm_token_view::score_sums, "score_sums", VLM_NEED_SCORES, VLM_DTYPE_F32, {rows});

        const std::vector<int64_t> each{n};
        const auto count = static_cast<size_t>(n);
        if (sized) {
            auto* const sizes = add(&vlm_token_view::sizes, "sizes", VLM_DTYPE_F32, each).data<float>();
            for (size_t i = 0; i < count; ++i) sizes[i] = static_cast<float>(1 + draw.below(6));
            auto* const origins = add(&vlm_token_view::origins, "origins", VLM_DTYPE_I32, each).data<int32_t>();
            for (size_t i = 0; i < count; ++i) origins[i] = static_cast<int32_t>(i);
        }
        if (backbone) {
            auto* const images = add(&vlm_token_view::images, "images", VLM_DTYPE_I32, each).data<int32_t>();
            for (size_t i = 0; i < count; ++i) images[i] = static_cast<int64_t>(i) < text_before ? -1 : 0;
            if (on_host) view_.host_images = images;
        }
        if (keeps) {
            keep_ = add(&vlm_token_view::keep, "keep", VLM_DTYPE_U8, each).data<uint8_t>();
            for (size_t i = 0; i < count; ++i) keep_[i] = draw.below(8) == 0 ? 1 : 0;
            if (on_host) view_.host_keep = keep_;
        }
        for (auto& [name, tensor, before] : shown_) before = tensor->content(tensor->bytes());
        given_ = view_;
    }

    const vlm_token_view& abi() const { return view_; }
    bool kept(size_t token) const { return keep_ != nullptr && keep_[token] != 0; }
    std::string text() const {
        return std::to_string(view_.tokens) + " tokens (" + std::to_string(view_.protected_tokens) + " protected) at " +
               text_of({view_.site, view_.layer, view_.layers, 0});
    }
    /** Name of an input that was written to; empty: none. */
    std::string written() const {
        for (const auto& [name, tensor, before] : shown_)
            if (!tensor->intact() || tensor->content(tensor->bytes()) != before) return name;
        return std::memcmp(&view_, &given_, sizeof(view_)) == 0 ? "" : "view";
    }

  private:
    struct Shown {
        const char* name;
        std::unique_ptr<GuardedTensor> tensor;
        std::vector<char> before;
    };
    GuardedTensor& add(const vlm_tensor* vlm_token_view::*member, const char* name, uint32_t dtype,
                       std::vector<int64_t> shape) {
        shown_.push_back({name, std::make_unique<GuardedTensor>(dtype, std::move(shape), 0), {}});
        view_.*member = shown_.back().tensor->abi();
        return *shown_.back().tensor;
    }

    std::vector<Shown> shown_;
    uint8_t* keep_ = nullptr;
    vlm_token_view view_{}, given_{};
};

/** What is wrong with a map; empty: nothing (VLM-P-14). */
std::string fault_of(const RandomView& view, const int32_t* groups, int64_t count) {
    const auto tokens = static_cast<size_t>(view.abi().tokens);
    std::vector<int64_t> members(static_cast<size_t>(count));
    for (size_t t = 0; t < tokens; ++t) {
        const int32_t group = groups[t];
        if (group < -1 || group >= count)
            return "reduce put token " + std::to_string(t) + " into group " + std::to_string(group) + " of " +
                   std::to_string(count);
        if (group >= 0) ++members[static_cast<size_t>(group)];
        if (group < 0 && view.kept(t)) return "reduce dropped token " + std::to_string(t) + ", which 'keep' protects,";
    }
    for (size_t g = 0; g < members.size(); ++g)
        if (members[g] == 0) return "reduce left group " + std::to_string(g) + " empty";
    for (size_t t = 0; t < static_cast<size_t>(view.abi().protected_tokens); ++t)
        if (groups[t] < 0 || members[static_cast<size_t>(groups[t])] != 1)
            return "reduce merged or dropped the protected token " + std::to_string(t);
    return {};
}

class ReducerTrial : public Trial {
  public:
    explicit ReducerTrial(const Subject& subject)
        : options_(subject.options()),
          table_(table_of<vlm_token_reducer>(subject, VLM_KIND_TOKEN_REDUCER)),
          component_(table_.base, VLM_KIND_TOKEN_REDUCER, options_, *device_) {
        must(table_.needs != nullptr && table_.reduce != nullptr,
             "the table of vlm.token_reducer/1 lacks needs or reduce");
        find_places();
    }

    bool asks() const override { return true; }

    Outcome run(uint64_t number, const Conditions& conditions) override {
        Draw draw(options_.seed, number);
        const Place& place = places_[static_cast<size_t>(draw.below(static_cast<int64_t>(places_.size())))];
        const RandomView view(draw, place, conditions, compute().activation_dtype);
        const int64_t tokens = view.abi().tokens;
        GuardedTensor groups(VLM_DTYPE_I32, {tokens}, conditions.fill);
        const vlm_token_map given{sizeof(vlm_token_map), VLM_ABI_VERSION, groups.abi(), 0};
        vlm_token_map map = given;
        Outcome outcome = call(view.text(), conditions, [&](const vlm_run_context* context) {
            return table_.reduce(component_.get(), context, &view.abi(), &map);
        });
        if (!groups.intact()) outcome.damage = "reduce wrote outside of 'groups'";
        if (const std::string name = view.written(); !name.empty())
            outcome.damage = "reduce wrote into its input '" + name + "'";
        const int64_t count = map.group_count;
        map.group_count = given.group_count;
        if (std::memcmp(&map, &given, sizeof(map)) != 0)
            outcome.damage = "reduce changed a member of the map other than 'group_count'";
        if (outcome.status != VLM_STATUS_OK) return outcome;
        if ((place.needs & ~kNeeds) != 0)
            outcome.misshapen = "needs asks for " + std::to_string(place.needs) + " at " + text_of(place) +
                                ", which has flags that there are not";
        const auto* bytes = reinterpret_cast<const char*>(&count);
        outcome.bytes.assign(bytes, bytes + sizeof(count));
        if (count < 0 || count > tokens) {
            outcome.unsound = outcome.misshapen = "reduce made " + std::to_string(count) + " groups of the tokens";
        } else if (count > 0) {
            outcome.unsound = fault_of(view, groups.data<int32_t>(), count);
            const auto content = groups.content(groups.bytes());
            outcome.bytes.insert(outcome.bytes.end(), content.begin(), content.end());
        }
        return outcome;
    }

  private:
    /** A setting may fit one number of layers only, so all are asked for. */
    void find_places() {
        const Listeners quiet;
        Run run(device_->compute(), &quiet);
        for (uint32_t site = VLM_SITE_ENCODER_LAYER; site <= VLM_SITE_BACKBONE_LAYER; ++site) {
            const bool output = site == VLM_SITE_ENCODER_OUTPUT || site == VLM_SITE_CONNECTOR_OUTPUT;
            for (int32_t layers = 1; layers <= kMostLayers && places_.size() < kMostPlaces * site; ++layers)
                for (int32_t layer = output ? -1 : 0; layer < (output ? 0 : layers); ++layer) {
                    uint32_t needs = 0;
                    const vlm_status status =
                        table_.needs(component_.get(), run.context(VLM_ABI_VERSION), site, layer, layers, &needs);
                    must(status == VLM_STATUS_OK || status == VLM_STATUS_INVALID_ARGUMENT,
                         std::string("needs gave ") + status_name(status));
                    if (status == VLM_STATUS_OK && needs != 0) places_.push_back({site, layer, layers, needs});
                }
        }
        if (places_.empty()) throw NotCheckable("the reducer acts nowhere with these options");
    }

    CheckOptions options_;
    vlm_token_reducer table_;
    LoadedComponent component_;
    std::vector<Place> places_;
};

}  // namespace

std::unique_ptr<Trial> reducer_trial(const Subject& subject) {
    return std::make_unique<ReducerTrial>(subject);
}

}  // namespace vlm
