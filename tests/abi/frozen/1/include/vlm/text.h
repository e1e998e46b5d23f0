/** @file text.h
 *  The text service `vlm.text/1`: tokenizers of the checkpoint, for the few plugins that read text themselves.
 *
 *  Most plugins never need it: the host turns prompts into ids. InstructBLIP's Q-Former is the exception: it reads the
 *  instruction with a WordPiece tokenizer of its own, which lies in a sub-folder of the checkpoint.
 */
#ifndef VLM_TEXT_H_
#define VLM_TEXT_H_
#include <stdint.h>

#include "status.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Id of the text service. */
#define VLM_SERVICE_TEXT "vlm.text/1"

/** A tokenizer that the host owns; lives as long as the model. */
typedef struct vlm_tokenizer vlm_tokenizer;

/** The text service. */
typedef struct vlm_text_service {
    uint32_t struct_size; /**< sizeof(vlm_text_service) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */

    /** Opens the tokenizer in `folder` of the checkpoint that `weights_host` (the `host` member of vlm_weights) belongs
     * to; "" is the checkpoint's own. NOT_FOUND when there is no tokenizer.json. [load: one thread at a time] */
    vlm_status (*open)(void* weights_host, const char* folder, const vlm_tokenizer** tokenizer);

    /** Encodes UTF-8 text. Writes at most `capacity` ids and always the full number into `*count`; RESOURCE_EXHAUSTED
     * when they did not fit. `add_special_tokens` is 0 or 1. [any] */
    vlm_status (*encode)(const vlm_tokenizer* tokenizer, const char* text, uint64_t text_size,
                         int32_t add_special_tokens, int32_t* ids, uint64_t capacity, uint64_t* count);

    /** Id of one piece or added token, or -1.
     *  [any] */
    int32_t (*id_of)(const vlm_tokenizer* tokenizer, const char* piece);
} vlm_text_service;

#ifdef __cplusplus
}
#endif

#endif /* VLM_TEXT_H_ */
