/** @file connector_case.hpp
 *  A connector of a golden checkpoint: features of a case in, visual tokens and taps out, through the built plugin, the
 *  recipe, and the host's own stage, services and CPU device. No tower and no language model take part, so a difference
 *  is the connector's.
 */
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/compute/device.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/recipe.hpp"
#include "host/pipeline/stages.hpp"
#include "host/plugin/loader.hpp"
#include "host/services/services.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm::test {

namespace fs = std::filesystem;

/** Folder of golden checkpoints. */
inline fs::path golden_folder() {
    const char* set = std::getenv("VLM_GOLDEN_DIR");
    return set != nullptr ? set : VLM_GOLDEN_DIR;
}

/** The connector of a checkpoint as its recipe makes it. */
class ConnectorCase {
  public:
    ConnectorCase(const fs::path& folder, const std::string& plugin, const std::string& recipe_name,
                  const std::string& options = "{}")
        : expected_(WeightStore::open(folder / "expected.safetensors")),
          device_(open_device("cpu", {.dtype = "f32", .weights = "f32", .threads = 2})) {
        const auto recipe = Recipe::from_file(fs::path(VLM_SOURCE_DIR) / "plugins/recipes" / (recipe_name + ".json"));
        const auto& stage = recipe.stages.at("connector");
        const auto model = json::Document::from_file((folder / "config.json").string());
        const std::string config = stage_config(stage, model.root(), options);
        weights_ = std::make_unique<WeightsService>(WeightStore::open(folder), stage.weight_prefixes, folder.string());
        connector_ = std::make_unique<Connector>(Plugin::open(fs::path(VLM_PLUGIN_DIR) / ("libvlm_" + plugin + ".so")),
                                                 ComponentConfig{config, model.root().dump(), "{}"});
        listeners_.tap = [this](const std::string& name, const vlm_tensor& tensor) {
            const auto* data = static_cast<const char*>(tensor.view.data) + tensor.view.byte_offset;
            int64_t count = 1;
            for (int32_t d = 0; d < tensor.view.ndim; ++d) count *= tensor.view.shape[d];
            const auto* first = reinterpret_cast<const float*>(data);
            taps[name].assign(first, first + count);
        };
        Run run(device_->compute(), &listeners_, nullptr);
        connector_->load(run, weights_->abi());
    }

    std::vector<float> expected(const std::string& name) const {
        const auto& tensor = expected_->at(name);
        const auto* first = static_cast<const float*>(tensor.data);
        return {first, first + tensor.elements()};
    }

    /** Connects the `image`-th features `[images, rows, width]` of a case. With `views` above 1 the rows are repeated
     * so often, as the grids of that many tiles. */
    std::vector<float> connect(int number, const std::string& prompt = "", int64_t image = 0, int64_t views = 1) {
        const std::string name = "case" + std::to_string(number) + ".vision.last_hidden";
        const auto& shape = expected_->at(name).shape;
        const int64_t size = shape[1] * shape[2];
        Features features;
        features.rows = Tensor(VLM_DTYPE_F32, {views * shape[1], shape[2]}, device_->allocator());
        const auto values = expected(name);
        std::vector<vlm_token_block> grids;
        for (int64_t view = 0; view < views; ++view) {
            std::copy_n(values.begin() + image * size, size, features.rows.data<float>() + view * size);
            auto block = abi_struct<vlm_token_block>();
            block.kind = views > 1 ? VLM_BLOCK_GRID : VLM_BLOCK_LATENT;
            block.first = view * shape[1];
            block.tokens = shape[1];
            block.rows = 1;
            block.columns = static_cast<int32_t>(shape[1]);
            block.tile_column = static_cast<int32_t>(view);
            grids.push_back(block);
        }
        std::vector<const vlm_token_block*> blocks;
        for (const auto& grid : grids) blocks.push_back(&grid);
        const vlm_token_layout layout = {sizeof(vlm_token_layout),
                                         VLM_ABI_VERSION,
                                         views * shape[1],
                                         static_cast<uint32_t>(blocks.size()),
                                         0,
                                         blocks.data()};
        features.layout = TokenLayout(layout, "test");
        features.width = features.height = 32;
        Run run(device_->compute(), &listeners_, nullptr);
        const auto tokens = connector_->connect(run, features, prompt, device_->allocator());
        this->layout = tokens.layout;
        device_->end_run(run.context(VLM_ABI_VERSION));
        const auto span = tokens.rows.span<float>();
        return {span.begin(), span.end()};
    }

    const Connector& connector() const { return *connector_; }
    std::map<std::string, std::vector<float>> taps;
    TokenLayout layout;  ///< Of the last call.

  private:
    std::shared_ptr<const WeightStore> expected_;
    std::shared_ptr<Device> device_;
    std::unique_ptr<WeightsService> weights_;
    Listeners listeners_;
    std::unique_ptr<Connector> connector_;
};

/** Largest absolute difference; infinite for different sizes. */
inline double distance(const std::vector<float>& a, const std::vector<float>& b) {
    if (a.size() != b.size()) return INFINITY;
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double{a[i]} - b[i]));
    return worst;
}

}  // namespace vlm::test
