/** @file services.cpp
 *  See services.hpp.
 */
#include "host/services/services.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "host/services/tables.hpp"

namespace vlm {
namespace {

constexpr uint64_t kLargestTextFile = uint64_t{64} << 20;

}  // namespace

const void* find_service(const std::string& id) {
    if (id == VLM_SERVICE_IMAGE) return &image_service();
    if (id == VLM_SERVICE_TEXT) return &text_service();
    return nullptr;
}

WeightsService::WeightsService(std::shared_ptr<const WeightStore> store, std::vector<std::string> prefixes,
                               std::string folder)
    : store_(std::move(store)), prefixes_(std::move(prefixes)), folder_(std::move(folder)) {
    for (const std::string_view name : store_->names())
        for (const auto& prefix : prefixes_)
            if (name.starts_with(prefix)) {
                names_.emplace_back(name.substr(prefix.size()));
                break;
            }
    abi_.struct_size = sizeof(abi_);
    abi_.abi_version = VLM_ABI_VERSION;
    abi_.host = this;
    abi_.find = [](void* host, const char* name, const vlm_tensor** tensor) -> vlm_status {
        if (host == nullptr || name == nullptr || tensor == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
        *tensor = nullptr;
        const vlm_status status = guarded([&] { *tensor = static_cast<WeightsService*>(host)->find(name); });
        return status != VLM_STATUS_OK ? status : *tensor == nullptr ? VLM_STATUS_NOT_FOUND : VLM_STATUS_OK;
    };
    abi_.count = [](void* host) -> uint64_t { return static_cast<WeightsService*>(host)->names_.size(); };
    abi_.name = [](void* host, uint64_t index) -> const char* {
        const auto& names = static_cast<WeightsService*>(host)->names_;
        return index < names.size() ? names[index].c_str() : nullptr;
    };
    abi_.read_file = [](void* host, const char* path, vlm_string* text) -> vlm_status {
        if (host == nullptr || path == nullptr || text == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
        return guarded([&] {
            auto& self = *static_cast<WeightsService*>(host);
            const std::filesystem::path relative(path);
            for (const auto& part : relative)
                if (relative.is_absolute() || part == "..")
                    throw Error(VLM_STATUS_PERMISSION_DENIED,
                                std::string(path) + ": leaves the folder of the checkpoint");
            if (self.folder_.empty()) throw not_found(std::string(path) + ": there is no checkpoint's folder");
            const auto file = std::filesystem::path(self.folder_) / relative;
            if (!std::filesystem::is_regular_file(file)) throw not_found(file.string() + ": no such file");
            if (std::filesystem::file_size(file) > kLargestTextFile)
                throw resource_exhausted(file.string() +
                                         ": is larger than 64 MiB, too large for a text beside a checkpoint");
            std::ostringstream content;
            content << std::ifstream(file, std::ios::binary).rdbuf();
            self.file_text_ = content.str();
            *text = {self.file_text_.data(), self.file_text_.size()};
        });
    };
}

const vlm_tensor* WeightsService::find(const std::string& name) {
    const auto known = tensors_.find(name);
    if (known != tensors_.end()) return &known->second->tensor;
    const TensorView* view = nullptr;
    for (const auto& prefix : prefixes_)
        if ((view = store_->find(prefix + name)) != nullptr) break;
    if (view == nullptr) return nullptr;
    auto kept = std::make_unique<Kept>();
    kept->shape.assign(view->shape.begin(), view->shape.end());
    kept->name = view->name;
    auto& tensor = kept->tensor;
    tensor = {sizeof(vlm_tensor), VLM_ABI_VERSION, {}, kept->name.c_str(), nullptr};
    const uint32_t dtype = view->dtype;
    tensor.view.data = const_cast<void*>(static_cast<const void*>(view->data));
    tensor.view.device = {VLM_DEVICE_CPU, 0};
    tensor.view.ndim = static_cast<int32_t>(kept->shape.size());
    tensor.view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFFFFu), 1};
    tensor.view.shape = kept->shape.data();
    return &(tensors_[name] = std::move(kept))->tensor;
}

const Tokenizer& WeightsService::tokenizer(const std::string& sub_folder) {
    auto& tokenizer = tokenizers_[sub_folder];
    if (!tokenizer)
        tokenizer = std::make_unique<Tokenizer>(Tokenizer::from_directory(std::filesystem::path(folder_) / sub_folder));
    return *tokenizer;
}

}  // namespace vlm
