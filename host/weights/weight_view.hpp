/** @file weight_view.hpp
 *  One plugin's names for a part of a checkpoint. The same tower is called `vision_tower.vision_model.encoder…` on the
 * Hub, `model.vision_tower.encoder…` by a newer library and something else by a vendor; the recipe of the family lists
 * the spellings and the plugin asks for `encoder…` only.
 */
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/weights/safetensors.hpp"

namespace vlm {

/** A store seen through prefix rules. Copyable; may be used from several threads. */
class WeightView {
  public:
    /** A tensor whose name begins with `file_prefix` is seen with `plugin_prefix` in its place. Either may be empty. */
    struct Rule {
        std::string file_prefix;
        std::string plugin_prefix;
    };

    /** Without rules, names are those of the file. When two rules give the same name, the earlier one counts. */
    explicit WeightView(std::shared_ptr<const WeightStore> store, std::vector<Rule> rules = {});

    /** The tensor that the plugin calls so, noted as used; NULL when there is none. Its `name` is that of the file. */
    const TensorView* find(std::string_view name) const;
    /** As find, but @throws Error NOT_FOUND that lists the spellings that were tried and the nearest names of this
     * view. */
    const TensorView& at(std::string_view name) const;
    bool contains(std::string_view name) const { return !resolve(name).empty(); }

    /** The name in the file for a name of the plugin; empty when there is none. Notes no use. */
    std::string resolve(std::string_view name) const;

    /** Names as the plugin sees them, in ascending order, each once. */
    std::vector<std::string> names() const;
    /** Names in the file of the tensors that this view shows and that nobody has found yet, in ascending order. */
    std::vector<std::string> unused() const;

    const WeightStore& store() const noexcept { return *store_; }

  private:
    std::vector<std::string> spellings(std::string_view name) const;

    std::shared_ptr<const WeightStore> store_;
    std::vector<Rule> rules_;
};

}  // namespace vlm
