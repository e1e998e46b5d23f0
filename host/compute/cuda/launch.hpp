/** @file launch.hpp
 *  Kernels as plain function objects, and their launch.
 *
 *  A kernel is a struct with a number of threads and `operator()(Block&)`, which every thread of a block runs. What a
 * block offers:
 *
 *      index(), thread(), threads()    which block, which thread of how many
 *      kLanes, lane(), warp(), warps() the threads of a block in groups of kLanes that run together
 *      sync()                          all threads of the block have come here
 *      sum(x), max(x)                  over the block, in a fixed order; all threads get the result
 *      warp_sum(x)                     over the lanes of a warp
 *      shared<T>()                     memory of the block
 *
 *  A kernel that declares `NeedsWarps` counts on kThreads threads in warps of 32 and may use these too:
 *
 *      group_sum<n>(x), group_max<n>(x)  over n neighbouring lanes, a power of two
 *      multiply(c, a, b)                 c += a b of a 16 x 8 x 16 product in bf16, in the registers of a warp
 *      load_matrices<transposed>(r, row) four 8 x 8 matrices of 16 bits from shared memory; lane l names row l % 8 of
 *                                        matrix l / 8
 *      copy_async(to, from, present)     16 bytes to shared memory, or zeros; commit_copies() closes a group of them,
 *                                        wait_copies<n>() waits until all but the last n groups of this thread are
 * there
 *
 *  Which lane holds which element of a product is said by the PTX manual under mma.m16n8k16.
 *
 *  Compiled by nvcc this is a CUDA kernel. Compiled by a C++ compiler, in the tests, the same text runs on the CPU:
 * with one thread and one lane per block (fast), or with all threads as fibers that run in either order between two
 * barriers, so that a missing barrier changes the result and a divergent one is found. A kernel must therefore not
 * assume a number of threads or lanes.
 */
#pragma once
#include <cstdint>

#include "host/base/error.hpp"
#include "host/compute/cuda/element.hpp"
#include "host/compute/cuda/queue.hpp"

#if defined(__CUDACC__)

namespace vlm::cuda {

/** A block on a GPU. One-dimensional; threads are a multiple of 32. */
class DeviceBlock {
  public:
    static constexpr int kLanes = 32;

    __device__ __forceinline__ DeviceBlock(float* reduction, unsigned char* shared_memory)
        : reduction_(reduction), shared_(shared_memory) {}
    __device__ __forceinline__ int64_t index() const { return blockIdx.x; }
    __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
    __device__ __forceinline__ int threads() const { return static_cast<int>(blockDim.x); }
    __device__ __forceinline__ int lane() const { return thread() & 31; }
    __device__ __forceinline__ int warp() const { return thread() >> 5; }
    __device__ __forceinline__ int warps() const { return threads() >> 5; }
    __device__ __forceinline__ void sync() { __syncthreads(); }
    template <class T>
    __device__ __forceinline__ T* shared() {
        return reinterpret_cast<T*>(shared_);
    }
    __device__ __forceinline__ float warp_sum(float x) {
        for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(0xFFFFFFFFu, x, step);
        return x;
    }
    __device__ __forceinline__ float sum(float x) {
        x = warp_sum(x);
        return combine(x, 0.0f, [](float a, float b) { return a + b; });
    }
    __device__ __forceinline__ float max(float x) {
        for (int step = 16; step > 0; step >>= 1) x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFu, x, step));
        return combine(x, -infinity(), [](float a, float b) { return fmaxf(a, b); });
    }

    template <int kLanesOfGroup>
    __device__ __forceinline__ float group_sum(float x) {
        for (int step = kLanesOfGroup / 2; step > 0; step >>= 1) x += __shfl_xor_sync(0xFFFFFFFFu, x, step);
        return x;
    }
    template <int kLanesOfGroup>
    __device__ __forceinline__ float group_max(float x) {
        for (int step = kLanesOfGroup / 2; step > 0; step >>= 1) x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFu, x, step));
        return x;
    }
    __device__ __forceinline__ void multiply(float* c, const uint32_t* a, const uint32_t* b) {
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
            "{%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
    template <bool kTransposed>
    __device__ __forceinline__ void load_matrices(uint32_t* r, const void* row) {
        const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
        if (kTransposed) {
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                         : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                         : "r"(address)
                         : "memory");
        } else {
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                         : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                         : "r"(address)
                         : "memory");
        }
    }
    __device__ __forceinline__ void copy_async(void* to, const void* from, bool present) {
        const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(present ? 16 : 0)
                     : "memory");
    }
    __device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
    template <int kLeft>
    __device__ __forceinline__ void wait_copies() {
        asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
    }

  private:
    /** Joins one value per warp; the first barrier protects the values of the reduction before. */
    template <class Join>
    __device__ __forceinline__ float combine(float x, float start, Join join) {
        __syncthreads();
        if (lane() == 0) reduction_[warp()] = x;
        __syncthreads();
        for (int w = 0; w < warps(); ++w) start = join(start, reduction_[w]);
        return start;
    }

    float* reduction_;
    unsigned char* shared_;
};

template <class Body>
__global__ void __launch_bounds__(Body::kThreads) run_body(const Body body) {
    __shared__ float reduction[kReductionBytes / sizeof(float)];
    extern __shared__ __align__(16) unsigned char shared_memory[];
    DeviceBlock block(reduction, shared_memory);
    body(block);
}

/** Throws what CUDA says about the launch that came before. */
void check_launch(const char* name);

/** Asks for more shared memory than a block has by default, for this kernel on the current GPU. */
template <class Body>
void allow_shared(const char* name, void (*kernel)(Body), int64_t bytes) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    check_launch(name);
}

/** Enqueues `body` for every block. @throws Error RESOURCE_EXHAUSTED for more blocks than a grid has, INTERNAL when
 * CUDA refuses. */
template <class Body>
void launch(const Queue& queue, const char* name, const Grid& grid, const Body& body) {
    if (grid.blocks <= 0) return;
    if (grid.blocks > kMaxBlocks)
        throw resource_exhausted(std::string(name) + ": " + std::to_string(grid.blocks) + " blocks are too many");
    if (grid.shared_bytes > kMaxSharedBytes) allow_shared(name, run_body<Body>, grid.shared_bytes);
    run_body<<<static_cast<unsigned>(grid.blocks), Body::kThreads, static_cast<size_t>(grid.shared_bytes),
               static_cast<cudaStream_t>(queue.stream)>>>(body);
    check_launch(name);
}

}  // namespace vlm::cuda

#else
// Only the tests compile kernels without nvcc.
#include "tests/host/compute/cuda/emulated/emulator.hpp"
#endif

namespace vlm::cuda {

/** A kernel of one call of `fn(i)` per item, 0 … count-1. */
template <class Fn>
struct Items {
    static constexpr int kThreads = 256;
    using Independent = void;  ///< Threads have nothing to do with each other.
    Fn fn;
    int64_t count;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        for (int t = block.thread(); t < kThreads; t += block.threads()) {
            const int64_t i = block.index() * kThreads + t;
            if (i < count) fn(i);
        }
    }
};

template <class Fn>
void launch_items(const Queue& queue, const char* name, int64_t count, const Fn& fn) {
    launch(queue, name, {divide_up(count, Items<Fn>::kThreads)}, Items<Fn>{fn, count});
}

}  // namespace vlm::cuda
