/** @file layout.c
 *  Prints size and offsets of every struct of the application API as JSON. Written by bindings/generate.py.
 */
#include <stddef.h>
#include <stdio.h>
#include <vlm/host.h>

#define SIZE(type) printf("  \"%s\": {\"sizeof\": %zu", #type, sizeof(type))
#define MEMBER(type, name) printf(", \"%s\": %zu", #name, offsetof(type, name))

int main(void) {
    printf("{\n");
    SIZE(vlm_string);
    MEMBER(vlm_string, data);
    MEMBER(vlm_string, size);
    printf("},\n");
    SIZE(vlm_device);
    MEMBER(vlm_device, device_type);
    MEMBER(vlm_device, device_id);
    printf("},\n");
    SIZE(vlm_data_type);
    MEMBER(vlm_data_type, code);
    MEMBER(vlm_data_type, bits);
    MEMBER(vlm_data_type, lanes);
    printf("},\n");
    SIZE(vlm_tensor_view);
    MEMBER(vlm_tensor_view, data);
    MEMBER(vlm_tensor_view, device);
    MEMBER(vlm_tensor_view, ndim);
    MEMBER(vlm_tensor_view, dtype);
    MEMBER(vlm_tensor_view, shape);
    MEMBER(vlm_tensor_view, strides);
    MEMBER(vlm_tensor_view, byte_offset);
    printf("},\n");
    SIZE(vlm_tensor);
    MEMBER(vlm_tensor, struct_size);
    MEMBER(vlm_tensor, abi_version);
    MEMBER(vlm_tensor, view);
    MEMBER(vlm_tensor, name);
    MEMBER(vlm_tensor, owner);
    printf("},\n");
    SIZE(vlm_host_options);
    MEMBER(vlm_host_options, struct_size);
    MEMBER(vlm_host_options, abi_version);
    MEMBER(vlm_host_options, plugin_folder);
    MEMBER(vlm_host_options, log);
    MEMBER(vlm_host_options, user);
    printf("},\n");
    SIZE(vlm_image_source);
    MEMBER(vlm_image_source, struct_size);
    MEMBER(vlm_image_source, abi_version);
    MEMBER(vlm_image_source, path);
    MEMBER(vlm_image_source, encoded);
    MEMBER(vlm_image_source, encoded_size);
    MEMBER(vlm_image_source, pixels);
    MEMBER(vlm_image_source, width);
    MEMBER(vlm_image_source, height);
    MEMBER(vlm_image_source, name);
    MEMBER(vlm_image_source, tensor);
    printf("},\n");
    SIZE(vlm_generation_options);
    MEMBER(vlm_generation_options, struct_size);
    MEMBER(vlm_generation_options, abi_version);
    MEMBER(vlm_generation_options, max_new_tokens);
    MEMBER(vlm_generation_options, temperature);
    MEMBER(vlm_generation_options, top_k);
    MEMBER(vlm_generation_options, top_p);
    MEMBER(vlm_generation_options, min_p);
    MEMBER(vlm_generation_options, repetition_penalty);
    MEMBER(vlm_generation_options, stop_count);
    MEMBER(vlm_generation_options, seed);
    MEMBER(vlm_generation_options, stops);
    printf("},\n");
    SIZE(vlm_generate_request);
    MEMBER(vlm_generate_request, struct_size);
    MEMBER(vlm_generate_request, abi_version);
    MEMBER(vlm_generate_request, prompt);
    MEMBER(vlm_generate_request, images);
    MEMBER(vlm_generate_request, image_count);
    MEMBER(vlm_generate_request, raw_prompt);
    MEMBER(vlm_generate_request, generation);
    MEMBER(vlm_generate_request, stream);
    MEMBER(vlm_generate_request, user);
    MEMBER(vlm_generate_request, answer_stream);
    MEMBER(vlm_generate_request, texts);
    MEMBER(vlm_generate_request, text_count);
    MEMBER(vlm_generate_request, reserved);
    printf("},\n");
    SIZE(vlm_result_token);
    MEMBER(vlm_result_token, struct_size);
    MEMBER(vlm_result_token, abi_version);
    MEMBER(vlm_result_token, id);
    MEMBER(vlm_result_token, log_probability);
    MEMBER(vlm_result_token, piece);
    printf("},\n");
    SIZE(vlm_result_answer);
    MEMBER(vlm_result_answer, struct_size);
    MEMBER(vlm_result_answer, abi_version);
    MEMBER(vlm_result_answer, text);
    MEMBER(vlm_result_answer, image);
    MEMBER(vlm_result_answer, finish_reason);
    MEMBER(vlm_result_answer, region);
    MEMBER(vlm_result_answer, token_begin);
    MEMBER(vlm_result_answer, token_count);
    MEMBER(vlm_result_answer, confidence);
    printf("},\n");
    SIZE(vlm_result_usage);
    MEMBER(vlm_result_usage, struct_size);
    MEMBER(vlm_result_usage, abi_version);
    MEMBER(vlm_result_usage, visual_tokens);
    MEMBER(vlm_result_usage, merged_tokens);
    MEMBER(vlm_result_usage, pruned_tokens);
    MEMBER(vlm_result_usage, text_tokens);
    MEMBER(vlm_result_usage, generated_tokens);
    MEMBER(vlm_result_usage, reused_tokens);
    MEMBER(vlm_result_usage, kv_bytes);
    printf("},\n");
    SIZE(vlm_managed_tensor);
    MEMBER(vlm_managed_tensor, view);
    MEMBER(vlm_managed_tensor, owner);
    MEMBER(vlm_managed_tensor, deleter);
    printf("}\n");
    printf("}\n");
    return 0;
}
