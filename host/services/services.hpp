/** @file services.hpp
 *  The service tables that the host gives to plugins by id.
 */
#pragma once
#include <vlm/weights.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/tokenizer/tokenizer.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {

/** The table of a service ("vlm.image/1", "vlm.text/1"), or NULL. */
const void* find_service(const std::string& id);

/** One plugin's view of a checkpoint behind `vlm_weights`. Lives as long as the model. */
class WeightsService {
  public:
    /** `prefixes` are tried in order in front of every name. Without a `folder` there are no files to read. */
    WeightsService(std::shared_ptr<const WeightStore> store, std::vector<std::string> prefixes, std::string folder);
    WeightsService(const WeightsService&) = delete;
    WeightsService& operator=(const WeightsService&) = delete;

    const vlm_weights& abi() const { return abi_; }
    const std::string& folder() const { return folder_; }
    const std::vector<std::string>& prefixes() const { return prefixes_; }

    /** The tokenizer in a sub-folder of the checkpoint; kept. */
    const Tokenizer& tokenizer(const std::string& sub_folder);

  private:
    struct Kept {
        std::vector<int64_t> shape;
        std::string name;
        vlm_tensor tensor{};
    };
    const vlm_tensor* find(const std::string& name);

    std::shared_ptr<const WeightStore> store_;
    std::vector<std::string> prefixes_;
    std::string folder_;
    std::string file_text_;
    std::vector<std::string> names_;
    std::map<std::string, std::unique_ptr<Kept>> tensors_;
    std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers_;
    vlm_weights abi_{};
};

}  // namespace vlm
