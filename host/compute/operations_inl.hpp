/** @file operations_inl.hpp
 *  The functions of the compute table, once for every device: each device includes this file inside its own namespace
 * and defines them in the file of the operation. Their types are those of abi/vlm/compute.h, where they are documented,
 * so that a change there is made nowhere else.
 *
 *  No `#pragma once`: it is included once per namespace, by the table.hpp of a device.
 */

std::remove_pointer_t<decltype(vlm_compute::create)> create;
std::remove_pointer_t<decltype(vlm_compute::destroy)> destroy;
std::remove_pointer_t<decltype(vlm_compute::keep)> keep;
std::remove_pointer_t<decltype(vlm_compute::release)> release;
std::remove_pointer_t<decltype(vlm_compute::copy)> copy;
std::remove_pointer_t<decltype(vlm_compute::fill)> fill;
std::remove_pointer_t<decltype(vlm_compute::linear_pack)> linear_pack;
std::remove_pointer_t<decltype(vlm_compute::linear_release)> linear_release;
std::remove_pointer_t<decltype(vlm_compute::linear)> linear;
std::remove_pointer_t<decltype(vlm_compute::matmul)> matmul;
std::remove_pointer_t<decltype(vlm_compute::attention)> attention;
std::remove_pointer_t<decltype(vlm_compute::kv_create)> kv_create;
std::remove_pointer_t<decltype(vlm_compute::kv_destroy)> kv_destroy;
std::remove_pointer_t<decltype(vlm_compute::kv_length)> kv_length;
std::remove_pointer_t<decltype(vlm_compute::kv_truncate)> kv_truncate;
std::remove_pointer_t<decltype(vlm_compute::kv_bytes)> kv_bytes;
std::remove_pointer_t<decltype(vlm_compute::kv_token_bytes)> kv_token_bytes;
std::remove_pointer_t<decltype(vlm_compute::rope_table)> rope_table;
std::remove_pointer_t<decltype(vlm_compute::rope)> rope;
std::remove_pointer_t<decltype(vlm_compute::interpolate)> interpolate;
std::remove_pointer_t<decltype(vlm_compute::layer_norm)> layer_norm;
std::remove_pointer_t<decltype(vlm_compute::rms_norm)> rms_norm;
std::remove_pointer_t<decltype(vlm_compute::l2_normalize)> l2_normalize;
std::remove_pointer_t<decltype(vlm_compute::softmax)> softmax;
std::remove_pointer_t<decltype(vlm_compute::activation)> activation;
std::remove_pointer_t<decltype(vlm_compute::add)> add;
std::remove_pointer_t<decltype(vlm_compute::multiply)> multiply;
std::remove_pointer_t<decltype(vlm_compute::gather)> gather;
std::remove_pointer_t<decltype(vlm_compute::scatter_mean)> scatter_mean;
std::remove_pointer_t<decltype(vlm_compute::permute)> permute;
std::remove_pointer_t<decltype(vlm_compute::patches)> patches;
std::remove_pointer_t<decltype(vlm_compute::mean)> mean;
std::remove_pointer_t<decltype(vlm_compute::argmax)> argmax;
std::remove_pointer_t<decltype(vlm_compute::top_k)> top_k;
std::remove_pointer_t<decltype(vlm_compute::merge_map)> merge_map;
std::remove_pointer_t<decltype(vlm_compute::keep_map)> keep_map;
std::remove_pointer_t<decltype(vlm_compute::carry_map)> carry_map;

/** Puts all of them into `table`; what is no function is left to the device. */
inline void fill_operations(vlm_compute& table) {
    table.create = create;
    table.destroy = destroy;
    table.keep = keep;
    table.release = release;
    table.copy = copy;
    table.fill = fill;
    table.linear_pack = linear_pack;
    table.linear_release = linear_release;
    table.linear = linear;
    table.matmul = matmul;
    table.attention = attention;
    table.kv_create = kv_create;
    table.kv_destroy = kv_destroy;
    table.kv_length = kv_length;
    table.kv_truncate = kv_truncate;
    table.kv_bytes = kv_bytes;
    table.kv_token_bytes = kv_token_bytes;
    table.rope_table = rope_table;
    table.rope = rope;
    table.interpolate = interpolate;
    table.layer_norm = layer_norm;
    table.rms_norm = rms_norm;
    table.l2_normalize = l2_normalize;
    table.softmax = softmax;
    table.activation = activation;
    table.add = add;
    table.multiply = multiply;
    table.gather = gather;
    table.scatter_mean = scatter_mean;
    table.permute = permute;
    table.patches = patches;
    table.mean = mean;
    table.argmax = argmax;
    table.top_k = top_k;
    table.merge_map = merge_map;
    table.keep_map = keep_map;
    table.carry_map = carry_map;
}
