/** @file dense_products.hpp
 *  Dense products by cuBLASLt.
 */
#pragma once
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>

#include "host/compute/cuda/heuristic_cache.hpp"
#include "host/compute/cuda/runtime.hpp"

namespace vlm::cuda {

/** cuBLASLt on the current GPU. Thread-safe. */
class DenseProducts {
  public:
    /** @param kind  Name of the GPU, for the cache of heuristics. @param major  Its compute capability. */
    DenseProducts(const std::string& kind, int major);
    ~DenseProducts();
    DenseProducts(const DenseProducts&) = delete;
    DenseProducts& operator=(const DenseProducts&) = delete;

    /** See Runtime::multiply. */
    bool multiply(const DenseProduct& product, cudaStream_t stream,
                  const std::function<void*(int64_t bytes)>& take_workspace);

    struct Problem;

  private:
    /** The algorithm for a shape; nothing when the library has none. */
    std::optional<Algorithm> choose(const DenseProduct& product, const Problem& problem, const std::string& key);

    cublasLtHandle_t handle_ = nullptr;
    const size_t max_workspace_;
    std::mutex mutex_;
    HeuristicCache cache_;
    /** Shapes whose algorithm this process has asked for or checked. */
    std::unordered_set<std::string> checked_;
    /** Shapes that the library does not take. */
    std::unordered_set<std::string> refused_;
};

}  // namespace vlm::cuda
