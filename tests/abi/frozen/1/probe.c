/* Made by tests/abi/layout.py probe. */
#include <vlm/attention.h>
#include <vlm/backbone.h>
#include <vlm/component.h>
#include <vlm/compute.h>
#include <vlm/connector.h>
#include <vlm/context.h>
#include <vlm/hooks.h>
#include <vlm/host.h>
#include <vlm/image.h>
#include <vlm/layout.h>
#include <vlm/linear.h>
#include <vlm/plugin.h>
#include <vlm/post_processor.h>
#include <vlm/status.h>
#include <vlm/tensor.h>
#include <vlm/text.h>
#include <vlm/token_reducer.h>
#include <vlm/version.h>
#include <vlm/vision_encoder.h>
#include <vlm/weights.h>
VLM_EXPORT void probe_vlm_kv_spec(const vlm_kv_spec* value);
void probe_vlm_kv_spec(const vlm_kv_spec* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_attention(const vlm_attention* value);
void probe_vlm_attention(const vlm_attention* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_rope_spec(const vlm_rope_spec* value);
void probe_vlm_rope_spec(const vlm_rope_spec* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_backbone_description(const vlm_backbone_description* value);
void probe_vlm_backbone_description(const vlm_backbone_description* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_visual_input(const vlm_visual_input* value);
void probe_vlm_visual_input(const vlm_visual_input* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_segment(const vlm_segment* value);
void probe_vlm_segment(const vlm_segment* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_backbone_request(const vlm_backbone_request* value);
void probe_vlm_backbone_request(const vlm_backbone_request* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_backbone_state(const vlm_backbone_state* value);
void probe_vlm_backbone_state(const vlm_backbone_state* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_backbone(const vlm_backbone* value);
void probe_vlm_backbone(const vlm_backbone* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_component_config(const vlm_component_config* value);
void probe_vlm_component_config(const vlm_component_config* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_component_api(const vlm_component_api* value);
void probe_vlm_component_api(const vlm_component_api* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_compute(const vlm_compute* value);
void probe_vlm_compute(const vlm_compute* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_connector_description(const vlm_connector_description* value);
void probe_vlm_connector_description(const vlm_connector_description* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_connector_input(const vlm_connector_input* value);
void probe_vlm_connector_input(const vlm_connector_input* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_connector_plan(const vlm_connector_plan* value);
void probe_vlm_connector_plan(const vlm_connector_plan* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_connector_output(const vlm_connector_output* value);
void probe_vlm_connector_output(const vlm_connector_output* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_connector(const vlm_connector* value);
void probe_vlm_connector(const vlm_connector* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_run_context(const vlm_run_context* value);
void probe_vlm_run_context(const vlm_run_context* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_token_view(const vlm_token_view* value);
void probe_vlm_token_view(const vlm_token_view* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_token_map(const vlm_token_map* value);
void probe_vlm_token_map(const vlm_token_map* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_hooks(const vlm_hooks* value);
void probe_vlm_hooks(const vlm_hooks* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_host_options(const vlm_host_options* value);
void probe_vlm_host_options(const vlm_host_options* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_image_source(const vlm_image_source* value);
void probe_vlm_image_source(const vlm_image_source* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_generation_options(const vlm_generation_options* value);
void probe_vlm_generation_options(const vlm_generation_options* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_generate_request(const vlm_generate_request* value);
void probe_vlm_generate_request(const vlm_generate_request* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_result_token(const vlm_result_token* value);
void probe_vlm_result_token(const vlm_result_token* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_result_answer(const vlm_result_answer* value);
void probe_vlm_result_answer(const vlm_result_answer* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_result_usage(const vlm_result_usage* value);
void probe_vlm_result_usage(const vlm_result_usage* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_managed_tensor(const vlm_managed_tensor* value);
void probe_vlm_managed_tensor(const vlm_managed_tensor* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_image(const vlm_image* value);
void probe_vlm_image(const vlm_image* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_image_service(const vlm_image_service* value);
void probe_vlm_image_service(const vlm_image_service* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_token_block(const vlm_token_block* value);
void probe_vlm_token_block(const vlm_token_block* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_token_layout(const vlm_token_layout* value);
void probe_vlm_token_layout(const vlm_token_layout* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_linear_spec(const vlm_linear_spec* value);
void probe_vlm_linear_spec(const vlm_linear_spec* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_epilogue(const vlm_epilogue* value);
void probe_vlm_epilogue(const vlm_epilogue* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_host_info(const vlm_host_info* value);
void probe_vlm_host_info(const vlm_host_info* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_plugin(const vlm_plugin* value);
void probe_vlm_plugin(const vlm_plugin* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_token_piece(const vlm_token_piece* value);
void probe_vlm_token_piece(const vlm_token_piece* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_answer(const vlm_answer* value);
void probe_vlm_answer(const vlm_answer* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_post_input(const vlm_post_input* value);
void probe_vlm_post_input(const vlm_post_input* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_post_processor(const vlm_post_processor* value);
void probe_vlm_post_processor(const vlm_post_processor* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_string(const vlm_string* value);
void probe_vlm_string(const vlm_string* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_device(const vlm_device* value);
void probe_vlm_device(const vlm_device* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_data_type(const vlm_data_type* value);
void probe_vlm_data_type(const vlm_data_type* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_tensor_view(const vlm_tensor_view* value);
void probe_vlm_tensor_view(const vlm_tensor_view* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_tensor(const vlm_tensor* value);
void probe_vlm_tensor(const vlm_tensor* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_text_service(const vlm_text_service* value);
void probe_vlm_text_service(const vlm_text_service* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_token_reducer(const vlm_token_reducer* value);
void probe_vlm_token_reducer(const vlm_token_reducer* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_vision_description(const vlm_vision_description* value);
void probe_vlm_vision_description(const vlm_vision_description* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_vision_plan(const vlm_vision_plan* value);
void probe_vlm_vision_plan(const vlm_vision_plan* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_vision_output(const vlm_vision_output* value);
void probe_vlm_vision_output(const vlm_vision_output* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_vision_encoder(const vlm_vision_encoder* value);
void probe_vlm_vision_encoder(const vlm_vision_encoder* value) {
    (void)value;
}
VLM_EXPORT void probe_vlm_weights(const vlm_weights* value);
void probe_vlm_weights(const vlm_weights* value) {
    (void)value;
}
