/** @file sound.h
 *  A small token reducer in C that keeps every rule of docs/abi.md. Each file of this folder includes it and replaces
 * one piece by a macro, so that what is wrong with a plugin is all that its file says. It merges nothing and drops
 * every second token that it may drop.
 */
#ifndef VLM_TORTURE_SOUND_H_
#define VLM_TORTURE_SOUND_H_
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vlm/token_reducer.h>

#ifndef GET_INTERFACE
#define GET_INTERFACE sound_get_interface
#endif
#ifndef CREATE
#define CREATE sound_create
#endif
#ifndef DESTROY
#define DESTROY sound_destroy
#endif
#ifndef NEEDS
#define NEEDS sound_needs
#endif
#ifndef REDUCE
#define REDUCE sound_reduce
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(vlm_plugin)
#endif
#ifndef PLUGIN_ABI
#define PLUGIN_ABI VLM_ABI_VERSION
#endif
#ifndef PLUGIN_ID
#define PLUGIN_ID "org.vlmhost.torture"
#endif
#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION "1.0.0"
#endif
#ifndef PLUGIN_LICENSE
#define PLUGIN_LICENSE "Apache-2.0"
#endif
#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(vlm_token_reducer)
#endif
#ifndef TABLE_ABI
#define TABLE_ABI VLM_ABI_VERSION
#endif

#define UNUSED __attribute__((unused))

/* A file for another kind (sound_encoder.h and its like) defines SOUND_KIND and OTHER_TABLE, a function that returns
 * its table. */
#ifndef SOUND_KIND
#define SOUND_KIND VLM_KIND_TOKEN_REDUCER
#endif
#ifdef OTHER_TABLE
static const void* OTHER_TABLE(void);
#endif

static const void* GET_INTERFACE(const char* id);
static vlm_status CREATE(const vlm_component_config* config, vlm_component** component);
static void DESTROY(vlm_component* component);
static UNUSED vlm_status NEEDS(vlm_component* component, const vlm_run_context* run, uint32_t site, int32_t layer,
                               int32_t layers, uint32_t* needs);
static UNUSED vlm_status REDUCE(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map);

/** Writes `text` into a reason buffer of any size. */
static UNUSED void say(char* reason, uint64_t size, const char* text) {
    if (reason != NULL && size > 0) snprintf(reason, size, "%s", text);
}

static UNUSED vlm_status sound_create(const vlm_component_config* config, vlm_component** component) {
    if (config == NULL || component == NULL) return VLM_STATUS_INVALID_ARGUMENT;
    if (config->struct_size < sizeof(vlm_component_config) || config->abi_version == 0)
        return VLM_STATUS_INVALID_ARGUMENT;
    *component = NULL;
    if (config->config.size != 2 || memcmp(config->config.data, "{}", 2) != 0) {
        char text[160];
        snprintf(text, sizeof text, "takes no options, found %.*s",
                 (int)(config->config.size < 80 ? config->config.size : 80), config->config.data);
        for (char* c = text; *c != '\0'; ++c)
            if ((*c & 0x80) != 0) *c = '?';
        say(config->reason, config->reason_size, text);
        return VLM_STATUS_INVALID_ARGUMENT;
    }
    *component = malloc(16);
    return *component != NULL ? VLM_STATUS_OK : VLM_STATUS_RESOURCE_EXHAUSTED;
}

static UNUSED void sound_destroy(vlm_component* component) {
    free(component);
}

static UNUSED vlm_status sound_needs(vlm_component* component, const vlm_run_context* run, uint32_t site, int32_t layer,
                                     int32_t layers, uint32_t* needs) {
    (void)component, (void)run, (void)layer, (void)layers;
    *needs = site == VLM_SITE_ENCODER_OUTPUT ? VLM_NEED_HIDDEN : 0;
    return VLM_STATUS_OK;
}

static UNUSED vlm_status sound_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                      vlm_token_map* map) {
    (void)component;
    if (run->is_cancelled(run->host)) return VLM_STATUS_CANCELLED;
    int32_t* groups = (int32_t*)((char*)map->groups->view.data + map->groups->view.byte_offset);
    const uint8_t* keep =
        view->keep != NULL ? (const uint8_t*)view->keep->view.data + view->keep->view.byte_offset : NULL;
    int32_t next = 0;
    for (int64_t i = 0; i < view->tokens; ++i) {
        const int stays = i < view->protected_tokens || i % 2 == 0 || (keep != NULL && keep[i] != 0);
        groups[i] = stays ? next++ : -1;
    }
    map->group_count = next;
    return VLM_STATUS_OK;
}

static UNUSED const vlm_token_reducer kTable = {{TABLE_SIZE, TABLE_ABI, CREATE, NULL, DESTROY}, NEEDS, REDUCE};

static UNUSED const void* sound_get_interface(const char* id) {
    if (id == NULL || strcmp(id, SOUND_KIND) != 0) return NULL;
#ifdef OTHER_TABLE
    return OTHER_TABLE();
#else
    return &kTable;
#endif
}

static const vlm_plugin kPlugin = {PLUGIN_SIZE,
                                   PLUGIN_ABI,
                                   PLUGIN_ID,
                                   "Torture",
                                   "VLM host SDK",
                                   PLUGIN_VERSION,
                                   PLUGIN_LICENSE,
                                   "https://example.com",
                                   "{\"kinds\": [\"" SOUND_KIND "\"]}",
                                   GET_INTERFACE};

static UNUSED vlm_status answer(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                uint64_t reason_size) {
    if (host == NULL || plugin == NULL || host->struct_size < sizeof(vlm_host_info) || host->abi_version == 0) {
        say(reason, reason_size, "the host info is malformed");
        return VLM_STATUS_INVALID_ARGUMENT;
    }
    *plugin = NULL;
    if (host->abi_version_max < VLM_ABI_VERSION_MIN || host->abi_version_min > VLM_ABI_VERSION) {
        say(reason, reason_size, "speaks ABI version 1 only; use another host");
        return VLM_STATUS_UNIMPLEMENTED;
    }
    *plugin = &kPlugin;
    return VLM_STATUS_OK;
}

#ifndef OWN_ENTRY
VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                       uint64_t reason_size) {
    return answer(host, plugin, reason, reason_size);
}
#endif

#endif /* VLM_TORTURE_SOUND_H_ */
