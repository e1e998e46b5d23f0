/** @file text_service.cpp
 *  `vlm.text/1`: the checkpoint's tokenizers behind the C ABI. A `vlm_tokenizer` is a `vlm::Tokenizer` that the weights
 * service keeps.
 */
#include <vlm/text.h>

#include <algorithm>

#include "host/services/services.hpp"
#include "host/services/tables.hpp"

namespace vlm {
namespace {

const Tokenizer& tokenizer_of(const vlm_tokenizer* handle) {
    return *reinterpret_cast<const Tokenizer*>(handle);
}

vlm_status open_tokenizer(void* weights_host, const char* folder, const vlm_tokenizer** tokenizer) {
    if (weights_host == nullptr || folder == nullptr || tokenizer == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
    *tokenizer = nullptr;
    return guarded([&] {
        *tokenizer =
            reinterpret_cast<const vlm_tokenizer*>(&static_cast<WeightsService*>(weights_host)->tokenizer(folder));
    });
}

vlm_status encode_text(const vlm_tokenizer* tokenizer, const char* text, uint64_t text_size, int32_t add_special_tokens,
                       int32_t* ids, uint64_t capacity, uint64_t* count) {
    if (tokenizer == nullptr || (text == nullptr && text_size > 0) || count == nullptr ||
        (ids == nullptr && capacity > 0))
        return VLM_STATUS_INVALID_ARGUMENT;
    *count = 0;
    bool fits = true;
    const vlm_status status = guarded([&] {
        const auto encoded = tokenizer_of(tokenizer).encode(std::string_view(text_size > 0 ? text : "", text_size),
                                                            add_special_tokens != 0);
        *count = encoded.size();
        fits = encoded.size() <= capacity;
        std::copy_n(encoded.begin(), std::min<size_t>(encoded.size(), capacity), ids);
    });
    return status == VLM_STATUS_OK && !fits ? VLM_STATUS_RESOURCE_EXHAUSTED : status;
}

int32_t id_of_piece(const vlm_tokenizer* tokenizer, const char* piece) {
    int32_t id = -1;
    if (tokenizer != nullptr && piece != nullptr)
        guarded([&] { id = tokenizer_of(tokenizer).id_of(piece).value_or(-1); });
    return id;
}

}  // namespace

const vlm_text_service& text_service() {
    static const vlm_text_service table = {sizeof(vlm_text_service), VLM_ABI_VERSION, open_tokenizer, encode_text,
                                           id_of_piece};
    return table;
}

}  // namespace vlm
