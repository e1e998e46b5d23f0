/** @file result.cpp
 *  Reading results: texts, structs, JSON and tensors.
 */
#include <nlohmann/json.hpp>
#include <string_view>

#include "host/api/handles.hpp"

vlm_result::vlm_result(vlm::Result made) : result(std::move(made)), json(result.to_json()) {
    for (const auto& answer : result.answers) {
        first_token_of.push_back(tokens.size());
        tokens.insert(tokens.end(), answer.tokens.begin(), answer.tokens.end());
    }
}

namespace vlm::api {
namespace {

/** A DLPack tensor together with what it points at. */
struct SharedTensor {
    vlm_managed_tensor abi{};
    Tensor tensor;
    std::vector<int64_t> shape;
};

int32_t finish_code(FinishReason reason) {
    switch (reason) {
        case FinishReason::stop_token:
            return VLM_FINISH_STOP_TOKEN;
        case FinishReason::stop_string:
            return VLM_FINISH_STOP_STRING;
        case FinishReason::length:
            return VLM_FINISH_LENGTH;
        case FinishReason::none:
            break;
    }
    return VLM_FINISH_NONE;
}

vlm_string view_of(const std::string& text) {
    return {text.data(), text.size()};
}

}  // namespace

vlm_managed_tensor* share_tensor(const Tensor& tensor) {
    if (!tensor.on_cpu()) throw unimplemented("tensors on this device are not handed out");
    auto shared = std::make_unique<SharedTensor>();
    shared->tensor = tensor;
    shared->shape = tensor.shape();
    auto& view = shared->abi.view;
    view.data = shared->tensor.data<void>();
    view.device = {VLM_DEVICE_CPU, 0};
    view.ndim = static_cast<int32_t>(shared->shape.size());
    view.dtype = {static_cast<uint8_t>(tensor.dtype() >> 16), static_cast<uint8_t>(tensor.dtype() & 0xFFFFu), 1};
    view.shape = shared->shape.data();
    shared->abi.owner = shared.get();
    shared->abi.deleter = [](vlm_managed_tensor* self) { delete static_cast<SharedTensor*>(self->owner); };
    return &shared.release()->abi;
}

}  // namespace vlm::api

using vlm::api::guard;
using vlm::api::read_struct;
using vlm::api::require;
using vlm::api::view_of;
using vlm::api::write_struct;

extern "C" {

vlm_string vlm_result_text(const vlm_result* result) {
    return result != nullptr ? view_of(result->result.text) : vlm_string{nullptr, 0};
}

vlm_string vlm_result_json(const vlm_result* result) {
    return result != nullptr ? view_of(result->json) : vlm_string{nullptr, 0};
}

vlm_status vlm_result_find(const vlm_result* result, const char* path, vlm_string* value) {
    return guard(nullptr, [&] {
        require(value != nullptr, "value is NULL");
        *value = {nullptr, 0};
        require(result != nullptr && path != nullptr, "result or path is NULL");
        const std::scoped_lock lock(result->found_mutex);
        auto known = result->found.find(path);
        if (known == result->found.end()) {
            const nlohmann::json* found = nullptr;
            const auto json = nlohmann::json::parse(result->json);
            try {
                const nlohmann::json::json_pointer pointer{std::string(path)};
                if (json.contains(pointer)) found = &json.at(pointer);
            } catch (const nlohmann::json::exception& error) {
                throw vlm::invalid_argument(std::string(path) + ": " + error.what());
            }
            if (found == nullptr) throw vlm::not_found(std::string(path) + ": no such value in the result");
            std::string text = found->is_string() ? found->get<std::string>() : found->is_null() ? "" : found->dump();
            known = result->found.emplace(path, std::move(text)).first;
        }
        *value = view_of(known->second);
    });
}

uint64_t vlm_result_token_count(const vlm_result* result) {
    return result != nullptr ? result->tokens.size() : 0;
}

vlm_status vlm_result_token_at(const vlm_result* result, uint64_t index, vlm_result_token* token) {
    return guard(nullptr, [&] {
        require(result != nullptr && token != nullptr, "result or token is NULL");
        if (index >= result->tokens.size()) throw vlm::Error(VLM_STATUS_OUT_OF_RANGE, "no such token");
        auto mine = read_struct(token, "vlm_result_token");
        const auto& source = result->tokens[index];
        mine.id = source.id;
        mine.log_probability = source.log_probability;
        mine.piece = view_of(source.piece);
        write_struct(mine, token);
    });
}

uint64_t vlm_result_answer_count(const vlm_result* result) {
    return result != nullptr ? result->result.answers.size() : 0;
}

vlm_status vlm_result_answer_at(const vlm_result* result, uint64_t index, vlm_result_answer* answer) {
    return guard(nullptr, [&] {
        require(result != nullptr && answer != nullptr, "result or answer is NULL");
        if (index >= result->result.answers.size()) throw vlm::Error(VLM_STATUS_OUT_OF_RANGE, "no such answer");
        auto mine = read_struct(answer, "vlm_result_answer");
        const auto& source = result->result.answers[index];
        mine.text = view_of(source.display_text);
        mine.image = source.image;
        mine.finish_reason = vlm::api::finish_code(source.finish);
        std::copy(source.region.begin(), source.region.end(), mine.region);
        mine.token_begin = result->first_token_of[index];
        mine.token_count = source.tokens.size();
        mine.confidence = source.confidence;
        write_struct(mine, answer);
    });
}

vlm_status vlm_result_get_usage(const vlm_result* result, vlm_result_usage* usage) {
    return guard(nullptr, [&] {
        require(result != nullptr && usage != nullptr, "result or usage is NULL");
        auto mine = read_struct(usage, "vlm_result_usage");
        const auto& counts = result->result.tokens;
        mine.visual_tokens = counts.visual;
        mine.merged_tokens = counts.merged;
        mine.pruned_tokens = counts.pruned;
        mine.text_tokens = counts.text;
        mine.generated_tokens = counts.generated;
        mine.reused_tokens = counts.reused;
        mine.kv_bytes = counts.kv_bytes;
        write_struct(mine, usage);
    });
}

vlm_status vlm_result_tensor(const vlm_result* result, const char* name, uint64_t index, vlm_managed_tensor** tensor,
                             vlm_error** error) {
    return guard(error, [&] {
        require(tensor != nullptr, "tensor is NULL");
        *tensor = nullptr;
        require(result != nullptr && name != nullptr, "result or name is NULL");
        const std::string_view wanted = name;
        const auto& answers = result->result.answers;
        vlm::Tensor found;
        if (wanted == "image_embeddings" && index == 0)
            found = result->result.image_embeddings;
        else if (wanted == "output" && index < answers.size())
            found = answers[index].output;
        else if (wanted != "image_embeddings" && wanted != "output")
            throw vlm::not_found("a result has the tensors \"image_embeddings\" and \"output\", not \"" +
                                 std::string(wanted) + "\"");
        if (!found)
            throw vlm::not_found("this result has no tensor \"" + std::string(wanted) + "\" of index " +
                                 std::to_string(index) + "; models that generate text have none");
        *tensor = vlm::api::share_tensor(found);
    });
}

vlm_managed_tensor* vlm_managed_tensor_share(const vlm_managed_tensor* tensor) {
    vlm_managed_tensor* shared = nullptr;
    guard(nullptr, [&] {
        require(tensor != nullptr, "tensor is NULL");
        shared = vlm::api::share_tensor(static_cast<const vlm::api::SharedTensor*>(tensor->owner)->tensor);
    });
    return shared;
}

void vlm_managed_tensor_destroy(vlm_managed_tensor* tensor) {
    if (tensor != nullptr && tensor->deleter != nullptr) tensor->deleter(tensor);
}

void vlm_result_destroy(vlm_result* result) {
    delete result;
}

}  // extern "C"
