/** @file unsure_tokens.c
 *  A complete vendor plugin in plain C11, with the headers of `abi/vlm` alone: a post-processor that lists the tokens
 * which the model was unsure of, so that a person looks at them again.
 *
 *  What the C++ comfort of `vlm/sdk` does behind the scenes stands here in the open: the entry negotiates a version,
 * `create` refuses options that it does not know by name, structs of other sizes are read by `take`, every failure says
 * why before it returns. Probabilities are written as whole percents, because `printf` writes fractions as the locale
 * of the application says, and that may be no JSON.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vlm/post_processor.h>

/** Options: `below_percent` (50): tokens of smaller probability are listed. */
struct vlm_component {
    int below_percent;
};

/** Copies a struct of the host: its members that we do not know are left out, and those that it lacks are zero
 * (VLM-P-08). Returns 0 when `from` is no struct. */
static int take(void* to, size_t size, const void* from) {
    uint32_t head[2] = {0, 0}; /* struct_size, abi_version */
    memset(to, 0, size);
    if (from == NULL) return 0;
    memcpy(head, from, sizeof head);
    if (head[0] < sizeof head || head[0] > VLM_STRUCT_SIZE_MAX || head[1] == 0) return 0;
    memcpy(to, from, head[0] < size ? head[0] : size);
    return 1;
}

/** Tells the host why this call fails; returns `status`, so that it can be returned (VLM-P-22). */
static vlm_status fail(const vlm_run_context* run, vlm_status status, const char* message) {
    if (run->error != NULL) run->error(run->host, status, message);
    return status;
}

/** The JSON text of the configuration that is not read yet. */
typedef struct json_text {
    const char* at;
    const char* end;
} json_text;

/** Steps over white space. */
static void skip_space(json_text* text) {
    while (text->at < text->end && strchr(" \t\r\n", *text->at) != NULL && *text->at != '\0') ++text->at;
}

/** Steps over white space and then over `c`, if it is there. */
static int skip(json_text* text, char c) {
    skip_space(text);
    if (text->at == text->end || *text->at != c) return 0;
    ++text->at;
    return 1;
}

/** Reads the options. The only one takes a whole number, so this needs no JSON library. */
static vlm_status read_options(vlm_string config, struct vlm_component* component, char* reason, size_t reason_size) {
    static const char known[] = "below_percent";
    if (config.size == 0) return VLM_STATUS_OK;
    json_text text = {config.data, config.data + config.size};
    int sound = skip(&text, '{');
    if (sound && skip(&text, '}')) return VLM_STATUS_OK;
    while (sound && skip(&text, '"')) {
        const char* name = text.at;
        while (text.at < text.end && *text.at != '"') ++text.at;
        const size_t length = (size_t)(text.at - name);
        if (length != strlen(known) || memcmp(name, known, length) != 0) {
            size_t shown = length < 100 ? length : 100;
            while (shown < length && shown > 0 && (name[shown] & 0xC0) == 0x80) --shown; /* not within a character */
            snprintf(reason, reason_size, "config: %.*s: this option is not supported; the only one is %s", (int)shown,
                     name, known);
            return VLM_STATUS_INVALID_ARGUMENT;
        }
        sound = skip(&text, '"') && skip(&text, ':');
        skip_space(&text);
        int value = 0, digits = 0;
        for (; digits < 4 && text.at < text.end && *text.at >= '0' && *text.at <= '9'; ++digits)
            value = value * 10 + (*text.at++ - '0');
        if (sound && (digits == 0 || value > 100)) {
            snprintf(reason, reason_size, "config: %s: expected a whole number from 0 to 100", known);
            return VLM_STATUS_INVALID_ARGUMENT;
        }
        component->below_percent = value;
        if (sound && skip(&text, '}')) return VLM_STATUS_OK;
        sound = sound && skip(&text, ',');
    }
    snprintf(reason, reason_size, "config: expected a JSON object such as {\"%s\": 50}", known);
    return VLM_STATUS_INVALID_ARGUMENT;
}

static vlm_status create(const vlm_component_config* given, vlm_component** component) {
    vlm_component_config config;
    if (component == NULL || !take(&config, sizeof config, given)) return VLM_STATUS_INVALID_ARGUMENT;
    struct vlm_component read = {50};
    char none[1];
    const int has_reason = config.reason != NULL && config.reason_size > 0;
    const vlm_status status = read_options(config.config, &read, has_reason ? config.reason : none,
                                           has_reason ? (size_t)config.reason_size : sizeof none);
    if (status != VLM_STATUS_OK) return status;
    struct vlm_component* made = malloc(sizeof *made);
    if (made == NULL) return VLM_STATUS_RESOURCE_EXHAUSTED;
    *made = read;
    *component = made;
    return VLM_STATUS_OK;
}

static void destroy(vlm_component* component) {
    free(component);
}

/** Text that grows. */
typedef struct buffer {
    char* data;
    size_t size, room;
} buffer;

/** Appends one token: its place in the text of its answer, in bytes, and its probability. Returns 0 without memory. */
static int append(buffer* out, uint32_t answer, const vlm_token_piece* token, int percent) {
    char line[160];
    const int n = snprintf(line, sizeof line,
                           "%s{\"answer\": %" PRIu32 ", \"begin\": %" PRId64 ", \"end\": %" PRId64 ", \"percent\": %d}",
                           out->size > 0 ? ", " : "", answer, token->text_begin, token->text_end, percent);
    if (out->size + (size_t)n + 1 > out->room) {
        const size_t room = 2 * out->room + sizeof line;
        char* data = realloc(out->data, room);
        if (data == NULL) return 0;
        out->data = data;
        out->room = room;
    }
    memcpy(out->data + out->size, line, (size_t)n + 1);
    out->size += (size_t)n;
    return 1;
}

/** Collects the unsure tokens of all answers in `out`. */
static vlm_status collect(const struct vlm_component* component, const vlm_run_context* run,
                          const vlm_post_input* input, buffer* out) {
    for (uint32_t i = 0; i < input->answer_count; ++i) {
        if (run->is_cancelled != NULL && run->is_cancelled(run->host))
            return fail(run, VLM_STATUS_CANCELLED, "cancelled by the caller");
        vlm_answer answer;
        if (input->answers == NULL || !take(&answer, sizeof answer, input->answers[i]))
            return fail(run, VLM_STATUS_INVALID_ARGUMENT, "answer: its struct has no size or version");
        for (uint32_t k = 0; k < answer.token_count; ++k) {
            vlm_token_piece token;
            if (answer.tokens == NULL || !take(&token, sizeof token, answer.tokens[k]))
                return fail(run, VLM_STATUS_INVALID_ARGUMENT, "token: its struct has no size or version");
            const int percent = (int)(100 * exp(token.log_probability));
            if (percent < component->below_percent && !append(out, i, &token, percent))
                return fail(run, VLM_STATUS_RESOURCE_EXHAUSTED, "no memory for the list of unsure tokens");
        }
    }
    return VLM_STATUS_OK;
}

static vlm_status process(vlm_component* component, const vlm_run_context* given_run, const vlm_post_input* given,
                          vlm_emit_json_fn emit, void* sink) {
    vlm_run_context run;
    vlm_post_input input;
    if (!take(&run, sizeof run, given_run)) return VLM_STATUS_INVALID_ARGUMENT;
    if (component == NULL || emit == NULL || !take(&input, sizeof input, given))
        return fail(&run, VLM_STATUS_INVALID_ARGUMENT, "process: component, input or emit is missing");
    buffer list = {NULL, 0, 0};
    vlm_status status = collect(component, &run, &input, &list);
    if (status == VLM_STATUS_OK) {
        const size_t room = list.size + sizeof "{\"unsure_tokens\": []}";
        char* json = malloc(room);
        if (json == NULL) {
            status = fail(&run, VLM_STATUS_RESOURCE_EXHAUSTED, "no memory for the list of unsure tokens");
        } else {
            const int n = snprintf(json, room, "{\"unsure_tokens\": [%s]}", list.size > 0 ? list.data : "");
            status = emit(sink, json, (uint64_t)n);
            free(json);
        }
    }
    free(list.data);
    return status;
}

static const vlm_post_processor table = {.base = {.struct_size = sizeof(vlm_post_processor),
                                                  .abi_version = VLM_ABI_VERSION,
                                                  .create = create,
                                                  .destroy = destroy},
                                         .process = process};

static const void* get_interface(const char* id) {
    return id != NULL && strcmp(id, VLM_KIND_POST_PROCESSOR) == 0 ? &table : NULL;
}

static const vlm_plugin plugin = {.struct_size = sizeof(vlm_plugin),
                                  .abi_version = VLM_ABI_VERSION,
                                  .id = "com.example.unsure_tokens",
                                  .name = "Unsure tokens",
                                  .vendor = "Example Ltd",
                                  .version = "1.0.0",
                                  .license = "MIT",
                                  .url = "https://example.com/unsure-tokens",
                                  .capabilities = "{\"kinds\": [\"vlm.post_processor/1\"], \"deterministic\": true}",
                                  .get_interface = get_interface};

VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* given, const vlm_plugin** out, char* reason,
                                       uint64_t reason_size) {
    vlm_host_info host;
    if (out == NULL || !take(&host, sizeof host, given)) return VLM_STATUS_INVALID_ARGUMENT;
    if (VLM_ABI_VERSION < host.abi_version_min || VLM_ABI_VERSION > host.abi_version_max) {
        if (reason != NULL && reason_size > 0)
            snprintf(reason, (size_t)reason_size,
                     "needs ABI version %u, this host serves %u to %u; install another version of one of them",
                     VLM_ABI_VERSION, host.abi_version_min, host.abi_version_max);
        return VLM_STATUS_UNIMPLEMENTED;
    }
    *out = &plugin;
    return VLM_STATUS_OK;
}
