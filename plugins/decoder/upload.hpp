/** @file upload.hpp
 *  Host vectors to the device. Positions, masks and row numbers are made on the host, because shapes are.
 */
#pragma once
#include <utility>
#include <vector>
#include <vlm/sdk/ops.hpp>

namespace vlm::decoder {

/** A compact copy of `values` (f32, i32 or u8) in `shape` on the device of `ops`. */
template <typename T>
sdk::Scratch to_device(const sdk::Ops& ops, std::vector<T> values, const sdk::Shape& shape) {
    sdk::HostTensor<T> host(std::move(values), shape);
    return ops.copied(host.view(), sdk::dtype_of<T>());
}

/** As above, in one dimension. */
template <typename T>
sdk::Scratch to_device(const sdk::Ops& ops, std::vector<T> values) {
    auto count = static_cast<int64_t>(values.size());
    return to_device(ops, std::move(values), {count});
}

}  // namespace vlm::decoder
