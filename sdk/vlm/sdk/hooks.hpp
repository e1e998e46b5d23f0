/** @file hooks.hpp
 *  The owner's side of a hook site: asks the reducers and carries tokens, sizes and positions through their map.
 *
 *  An encoder keeps one TokenState per image. At a site it calls `reduce` with what the reducers need to see;
 * afterwards the state says how many tokens there are, how many positions each stands for and where each original
 * position lives on.
 *
 *  Sizes and positions of one image are a few hundred numbers. On the CPU they are plain memory and the map is applied
 * here; on a device `carry_map` of the compute service does it, so that nothing is read back between layers.
 */
#pragma once
#include <vlm/hooks.h>

#include <cmath>

#include "vlm/sdk/ops.hpp"

namespace vlm::sdk {

/** The hook service of a call; does nothing when the pipeline has no reducers. */
class Hooks {
  public:
    /** The hooks of a run; empty when no reducer is there. */
    explicit Hooks(const Run& run) : run_(run) {
        if (run.hooks() != nullptr) table_ = read_struct(run.hooks(), "hook service");
    }
    /** Whether there is a reducer at all. */
    explicit operator bool() const { return table_.reduce != nullptr; }
    /** VLM_NEED_* at (`site`, `layer`), 0: nobody acts there. */
    uint32_t needs(uint32_t site, int32_t layer, int32_t layers) const {
        return table_.needs == nullptr ? 0 : table_.needs(table_.host, site, layer, layers);
    }
    /** Asks the reducers; NULL when nothing changes. Valid until the next call. */
    const vlm_token_map* reduce(const vlm_token_view& view) const {
        const vlm_token_map* map = nullptr;
        if (table_.reduce != nullptr) check_host(table_.reduce(table_.host, run_.get(), &view, &map), "reduce");
        return map;
    }

  private:
    const Run& run_;
    vlm_hooks table_{};
};

/** What the owner shows at a site. Empty tensors where the reducers need nothing. */
struct SiteView {
    uint32_t site = VLM_SITE_ENCODER_LAYER;  ///< VLM_SITE_*.
    int32_t layer = -1;                      ///< Layer that just ended, -1 outside of layers.
    int32_t layers = 0;                      ///< Layers of the component.
    int32_t image = 0;                       ///< Index of the image, -1 for a whole sequence.
    int64_t protected_tokens = 0;            ///< First rows that must stay (class tokens).
    Tensor hidden{};                         ///< `[tokens, hidden_size]`.
    Tensor keys{};                           ///< `[tokens, key_dim]` keys, mean over heads; where a reducer needs them.
    Tensor scores{};                         ///< `[tokens]` f32 attention of the last row, mean over heads.
    Tensor score_sums{};                     ///< `[tokens]` f32 the same, summed over the positions of a row.
    const vlm_token_layout* layout = nullptr;  ///< What the tokens stand for.
};

/** The tokens of one image (or sequence) from the first site to the last. */
class TokenState {
  public:
    /** `tokens` positions, each its own token. */
    explicit TokenState(int64_t tokens) : positions_(tokens), tokens_(tokens) {}

    /** Number of tokens now, and of original positions. */
    int64_t tokens() const { return tokens_; }
    /** Positions, before any merging. */
    int64_t positions() const { return positions_; }
    /** True after the first map. */
    bool reduced() const { return static_cast<bool>(sizes_); }
    /** `[tokens]` f32 positions per token; empty while nothing was reduced. */
    const Tensor& sizes() const { return sizes_; }
    /** `[tokens]` f32 natural logarithm of the sizes: the additive key bias of proportional attention; empty likewise.
     */
    const Tensor& log_sizes() const { return log_sizes_; }
    /** `[tokens]` i32 first original position of each token; empty likewise. */
    const Tensor& origins() const { return origins_; }
    /** `[positions]` i32 token of each original position, -1: dropped; empty likewise. */
    const Tensor& row_of_position() const { return row_of_position_; }

    /** Asks the reducers at a site and, when they answer with a map, replaces every tensor of `carried` (`[tokens, …]`)
     * by its size-weighted mean over groups. Returns true when the tokens changed. */
    bool reduce(const Ops& ops, const Hooks& hooks, const SiteView& site, std::initializer_list<Scratch*> carried) {
        auto view = make_struct<vlm_token_view>();
        view.site = site.site;
        view.layer = site.layer;
        view.layers = site.layers;
        view.image = site.image;
        view.tokens = tokens_;
        view.protected_tokens = site.protected_tokens;
        view.hidden = site.hidden.get();
        view.keys = site.keys.get();
        view.scores = site.scores.get();
        view.score_sums = site.score_sums.get();
        view.sizes = static_cast<const Tensor&>(sizes_).get();
        view.origins = static_cast<const Tensor&>(origins_).get();
        view.layout = site.layout;
        const vlm_token_map* answer = hooks.reduce(view);
        if (answer == nullptr) return false;
        const auto map = read_struct(answer, "token map");
        const Tensor groups(map.groups, "token map: groups");
        if (map.group_count < 1 || map.group_count > tokens_ || groups.elements() < tokens_)
            throw internal("token map: " + std::to_string(map.group_count) + " groups for " + std::to_string(tokens_) +
                           " tokens");
        const Tensor used = groups.rows(0, tokens_);
        for (Scratch* x : carried) {
            Shape shape(x->shape().begin(), x->shape().end());
            shape.at(0) = map.group_count;
            Scratch merged = ops.create(shape, x->dtype());
            ops.scatter_mean(*x, used, sizes_, merged);
            *x = std::move(merged);
        }
        carry(ops, used, map.group_count);
        return true;
    }

  private:
    void carry(const Ops& ops, const Tensor& groups, int64_t count) {
        const bool first = !sizes_;
        if (first) row_of_position_ = ops.create({positions_}, VLM_DTYPE_I32);
        Scratch sizes = ops.create({count}, VLM_DTYPE_F32), logs = ops.create({count}, VLM_DTYPE_F32);
        Scratch origins = ops.create({count}, VLM_DTYPE_I32);
        if (ops.on_cpu())
            carry_on_cpu(groups.span<int32_t>(), first, sizes.span<float>(), logs.span<float>(),
                         origins.span<int32_t>());
        else
            ops.carry_map(groups, first ? Tensor() : sizes_, first ? Tensor() : origins_, row_of_position_, sizes, logs,
                          origins);
        sizes_ = std::move(sizes);
        log_sizes_ = std::move(logs);
        origins_ = std::move(origins);
        tokens_ = count;
    }
    void carry_on_cpu(std::span<const int32_t> groups, bool first, std::span<float> sizes, std::span<float> logs,
                      std::span<int32_t> origins) {
        std::fill(sizes.begin(), sizes.end(), 0.F);
        std::fill(origins.begin(), origins.end(), -1);
        for (size_t i = 0; i < groups.size(); ++i) {
            if (groups[i] < 0) continue;
            const auto g = static_cast<size_t>(groups[i]);
            if (g >= sizes.size()) throw internal("token map: group beyond the number of groups");
            const int32_t origin = first ? static_cast<int32_t>(i) : origins_.span<int32_t>()[i];
            sizes[g] += first ? 1.F : sizes_.span<float>()[i];
            origins[g] = origins[g] < 0 ? origin : std::min(origins[g], origin);
        }
        for (size_t g = 0; g < sizes.size(); ++g) logs[g] = std::log(sizes[g]);
        const auto rows = row_of_position_.span<int32_t>();
        for (size_t p = 0; p < rows.size(); ++p) {
            const int32_t row = first ? static_cast<int32_t>(p) : rows[p];
            rows[p] = row < 0 ? -1 : groups[static_cast<size_t>(row)];
        }
    }

    int64_t positions_;
    int64_t tokens_;
    Scratch sizes_;
    Scratch log_sizes_;
    Scratch origins_;
    Scratch row_of_position_;
};

}  // namespace vlm::sdk
