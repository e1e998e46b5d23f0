/** @file token_reducer.h
 *  `vlm.token_reducer/1`: fewer tokens, by a map.
 *
 *  A reducer never touches the tensors of an encoder or backbone. It looks at a view and answers with a map (hooks.h);
 * the owner of the tokens applies it. So any reducer works with any encoder that offers the site.
 */
#ifndef VLM_TOKEN_REDUCER_H_
#define VLM_TOKEN_REDUCER_H_
#include "component.h"
#include "hooks.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Interface id. */
#define VLM_KIND_TOKEN_REDUCER "vlm.token_reducer/1"

/** The table. */
typedef struct vlm_token_reducer {
    vlm_component_api base; /**< Common slots; `base.struct_size` is the size of this whole table. */

    /** What the reducer needs to see at a site: VLM_NEED_* flags, or 0: it does not act there. `layers` is the number
     * of layers of the owner; -1 as `layer` asks about the site as a whole. An impossible setting (K beyond the layers,
     * thresholds for another layer count) is INVALID_ARGUMENT with a message, at the check of the pipeline. [any] */
    vlm_status (*needs)(vlm_component* component, const vlm_run_context* run, uint32_t site, int32_t layer,
                        int32_t layers, uint32_t* needs);

    /** Decides. Fills `map->groups` and `map->group_count`, or sets `group_count` to 0: leave the tokens as they are.
     *  [run: one thread at a time] */
    vlm_status (*reduce)(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                         vlm_token_map* map);
} vlm_token_reducer;

#ifdef __cplusplus
}
#endif

#endif /* VLM_TOKEN_REDUCER_H_ */
