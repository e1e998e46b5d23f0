/** @file mini_host.c
 *  The smallest host: what a program of one ABI version asks of a plugin of another. Built against frozen headers and
 * kept as a binary, it plays the old host under new plugins. It has no compute service, so it negotiates, creates,
 * describes, plans and post-processes, and encodes nothing.
 *
 *  Usage: mini_host PLUGIN.so [OPTIONS_JSON]. Prints what it did; exits 0 unless the plugin broke its word.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

static void expect(int condition, const char* what) {
    if (condition) return;
    printf("BROKEN: %s\n", what);
    exit(1);
}

static const void* no_service(void* host, const char* id) {
    (void)host, (void)id;
    return NULL;
}
static void no_log(void* host, const char* plugin, int32_t level, const char* message) {
    (void)host, (void)plugin, (void)level, (void)message;
}
static int32_t not_cancelled(void* host) {
    (void)host;
    return 0;
}
static void no_progress(void* host, uint64_t done, uint64_t total) {
    (void)host, (void)done, (void)total;
}
static void no_message(void* host, int32_t level, const char* message) {
    (void)host, (void)level, (void)message;
}
static vlm_status count_emits(void* sink, const char* json, uint64_t size) {
    expect(json != NULL && size >= 2 && json[0] == '{', "emits a JSON object");
    ++*(int*)sink;
    return VLM_STATUS_OK;
}

static void try_encoder(const vlm_vision_encoder* table, vlm_component* component) {
    vlm_vision_description d = {sizeof d, VLM_ABI_VERSION, 0, 0, 0, 0, 0};
    expect(table->describe(component, &d) == VLM_STATUS_OK && d.hidden_size > 0, "the encoder describes itself");
    vlm_vision_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.struct_size = sizeof plan;
    plan.abi_version = VLM_ABI_VERSION;
    const vlm_status status = table->plan(component, 640, 480, &plan);
    expect(status != VLM_STATUS_OK || (plan.feature_rows > 0 && plan.layout->tokens == plan.feature_rows),
           "the encoder's plan and layout agree");
    printf(" described, planned");
}

static void try_connector(const vlm_connector* table, vlm_component* component) {
    vlm_connector_description d = {sizeof d, VLM_ABI_VERSION, 0, 0, 0, 0, 0, 0};
    expect(table->describe(component, &d) == VLM_STATUS_OK && d.output_size > 0, "the connector describes itself");
    const vlm_token_block block = {sizeof block, VLM_ABI_VERSION, VLM_BLOCK_GRID, 0, 0, 16, 4, 4, 0, 0, {0, 0, 1, 1}};
    const vlm_token_block* blocks[1] = {&block};
    const vlm_token_layout layout = {sizeof layout, VLM_ABI_VERSION, 16, 1, 0, blocks};
    vlm_connector_plan plan = {sizeof plan, VLM_ABI_VERSION, 0, 0, NULL};
    expect(table->plan(component, &layout, 56, 56, &plan) != VLM_STATUS_OK || plan.rows >= 0,
           "the connector's plan has rows");
    printf(" described, planned");
}

static void try_post(const vlm_post_processor* table, vlm_component* component) {
    vlm_run_context run;
    memset(&run, 0, sizeof run);
    run.struct_size = sizeof run;
    run.abi_version = VLM_ABI_VERSION;
    run.is_cancelled = not_cancelled;
    run.progress = no_progress;
    run.log = no_message;
    run.error = no_message;
    vlm_post_input input;
    memset(&input, 0, sizeof input);
    input.struct_size = sizeof input;
    input.abi_version = VLM_ABI_VERSION;
    input.result.data = "{}";
    input.result.size = 2;
    int emits = 0;
    const vlm_status status = table->process(component, &run, &input, count_emits, &emits);
    expect(status != VLM_STATUS_OK || emits == 1, "the post-processor emits once");
    printf(" processed");
}

static void try_kind(const vlm_plugin* plugin, const vlm_host_info* host, const char* kind, const char* options) {
    const vlm_component_api* api = plugin->get_interface(kind);
    if (api == NULL) return;
    expect(api->struct_size >= sizeof *api && api->create != NULL && api->destroy != NULL, "the table is sound");
    char reason[512] = "";
    const vlm_component_config config = {sizeof config, VLM_ABI_VERSION, host,   {options, strlen(options)},
                                         {"{}", 2},     {"{}", 2},       reason, sizeof reason};
    vlm_component* component = NULL;
    const vlm_status status = api->create(&config, &component);
    printf("%s:", kind);
    if (status != VLM_STATUS_OK) {
        expect(reason[0] != '\0', "a refusal has a reason");
        printf(" refuses %s: %s\n", options, reason);
        return;
    }
    expect(component != NULL, "create makes a component");
    printf(" created,");
    vlm_backbone_description d = {sizeof d, VLM_ABI_VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    if (strcmp(kind, VLM_KIND_VISION_ENCODER) == 0) try_encoder((const vlm_vision_encoder*)api, component);
    if (strcmp(kind, VLM_KIND_CONNECTOR) == 0) try_connector((const vlm_connector*)api, component);
    if (strcmp(kind, VLM_KIND_POST_PROCESSOR) == 0) try_post((const vlm_post_processor*)api, component);
    if (strcmp(kind, VLM_KIND_BACKBONE) == 0)
        expect(((const vlm_backbone*)api)->describe(component, &d) == VLM_STATUS_OK && d.output_size > 0,
               "the backbone describes itself");
    api->destroy(component);
    printf(" destroyed\n");
}

int main(int argc, char** argv) {
    static const char* const kinds[] = {VLM_KIND_VISION_ENCODER, VLM_KIND_CONNECTOR, VLM_KIND_BACKBONE,
                                        VLM_KIND_TOKEN_REDUCER, VLM_KIND_POST_PROCESSOR};
    expect(argc >= 2, "usage: mini_host PLUGIN.so [OPTIONS]");
    void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) printf("%s\n", dlerror());
    expect(library != NULL, "the library loads");
    vlm_plugin_entry_fn entry;
    *(void**)&entry = dlsym(library, VLM_PLUGIN_ENTRY_SYMBOL);
    expect(entry != NULL, "it has an entry");
    const vlm_host_info host = {
        sizeof host, VLM_ABI_VERSION, VLM_ABI_VERSION_MIN, VLM_ABI_VERSION, "mini_host", "1.0.0", NULL,
        no_service,  no_log};
    const vlm_plugin* plugin = NULL;
    char reason[512] = "";
    const vlm_status status = entry(&host, &plugin, reason, sizeof reason);
    if (status != VLM_STATUS_OK) printf("%s\n", reason);
    expect(status == VLM_STATUS_OK && plugin != NULL, "the plugin takes this host");
    expect(plugin->abi_version >= host.abi_version_min && plugin->abi_version <= host.abi_version_max,
           "the version that it chose is one that was offered");
    printf("%s %s, ABI %u\n", plugin->id, plugin->version, plugin->abi_version);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i)
        try_kind(plugin, &host, kinds[i], argc >= 3 ? argv[2] : "{}");
    return 0;
}
