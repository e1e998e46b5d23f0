/** @file table.hpp
 *  The functions of the table, each in the file of its operation. Documented in abi/vlm/compute.h.
 */
#pragma once
#include <vlm/compute.h>

namespace vlm::cuda {

vlm_status create(const vlm_compute* self, const vlm_run_context* run, uint32_t dtype, int32_t ndim,
                  const int64_t* shape, vlm_tensor** tensor);
void destroy(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* tensor);
vlm_status keep(const vlm_compute* self, const vlm_tensor* source, uint32_t dtype, vlm_tensor** tensor);
void release(const vlm_compute* self, vlm_tensor* tensor);
vlm_status copy(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, vlm_tensor* dst);
vlm_status fill(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* dst, double value);

vlm_status linear_pack(const vlm_compute* self, const vlm_linear_spec* spec, vlm_linear** linear);
void linear_release(const vlm_compute* self, vlm_linear* linear);
vlm_status linear(const vlm_compute* self, const vlm_run_context* run, const vlm_linear* layer, const vlm_tensor* x,
                  const vlm_epilogue* epilogue, vlm_tensor* y);
vlm_status matmul(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                  int32_t transpose_b, float alpha, vlm_tensor* c);

vlm_status attention(const vlm_compute* self, const vlm_run_context* run, const vlm_attention* args);
vlm_status kv_create(const vlm_compute* self, const vlm_kv_spec* spec, vlm_kv_cache** cache);
void kv_destroy(const vlm_compute* self, vlm_kv_cache* cache);
int64_t kv_length(const vlm_compute* self, const vlm_kv_cache* cache, int32_t layer);
vlm_status kv_truncate(const vlm_compute* self, vlm_kv_cache* cache, int32_t layer, int64_t length);
int64_t kv_bytes(const vlm_compute* self, const vlm_kv_cache* cache);
int64_t kv_token_bytes(const vlm_compute* self, const vlm_kv_spec* spec);

vlm_status rope_table(const vlm_compute* self, const vlm_run_context* run, const vlm_rope_spec* spec,
                      const vlm_tensor* positions, vlm_tensor* cos, vlm_tensor* sin);
vlm_status rope(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* x, const vlm_tensor* cos,
                const vlm_tensor* sin, int32_t interleaved);
vlm_status interpolate(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, int32_t mode,
                       int32_t align_corners, int32_t antialias, vlm_tensor* dst);

vlm_status layer_norm(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* gamma,
                      const vlm_tensor* beta, float eps, vlm_tensor* y);
vlm_status rms_norm(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* gamma,
                    float eps, float offset, vlm_tensor* y);
vlm_status l2_normalize(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, float eps,
                        vlm_tensor* y);
vlm_status softmax(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* y);
vlm_status activation(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, uint32_t kind,
                      vlm_tensor* y);
vlm_status add(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
               float scale, vlm_tensor* y);
vlm_status multiply(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                    vlm_tensor* y);

vlm_status gather(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* rows,
                  vlm_tensor* y);
vlm_status scatter_mean(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                        const vlm_tensor* groups, const vlm_tensor* weights, vlm_tensor* y);
vlm_status permute(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const int32_t* axes,
                   vlm_tensor* y);
vlm_status patches(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* pixels, int32_t patch_height,
                   int32_t patch_width, int32_t order, vlm_tensor* y);
vlm_status mean(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t axis, vlm_tensor* y);

vlm_status argmax(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* values,
                  vlm_tensor* indices);
vlm_status top_k(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t k,
                 vlm_tensor* values, vlm_tensor* indices);
vlm_status merge_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                     const vlm_tensor* partners, float threshold, int64_t limit, int64_t protected_tokens,
                     vlm_tensor* groups, int64_t* group_count);
vlm_status keep_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                    const vlm_tensor* droppable, int64_t keep, vlm_tensor* groups);
vlm_status carry_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* groups,
                     const vlm_tensor* sizes, const vlm_tensor* origins, vlm_tensor* row_of_position,
                     vlm_tensor* new_sizes, vlm_tensor* log_sizes, vlm_tensor* new_origins);

}  // namespace vlm::cuda
