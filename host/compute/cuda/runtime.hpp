/** @file runtime.hpp
 *  What the operations need of a GPU besides kernels: memory in the order of a stream, copies, dense products.
 *
 *  It is an interface because there are two: `cuda_runtime.cpp` is the GPU; the tests have one that executes everything
 * on the CPU, so that all checks, launches and index arithmetic of this folder run in every build, GPU or not.
 */
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace vlm::cuda {

/** What follows a dense product inside cuBLASLt. GELU is the tanh form there. */
enum class Epilogue { none, relu, gelu_tanh };

/** `y = act(alpha x W^T + bias + residual)`, sums in f32. Products in fp8 want more: see fp8_products.cpp. */
struct DenseProduct {
    uint32_t dtype = 0;  ///< VLM_DTYPE_F32 or VLM_DTYPE_BF16, of everything.
    bool e4m3 = false;   ///< Of everything but `x` and `weight`, which are codes in e4m3.
    int64_t rows = 0, in = 0, out = 0;
    const void* x = nullptr;  ///< `[rows, in]`, rows `x_stride` elements apart.
    int64_t x_stride = 0;
    const void* weight = nullptr;  ///< `[out, in]`, rows `weight_stride` elements apart.
    int64_t weight_stride = 0;
    const void* bias = nullptr;      ///< `[out]` or NULL.
    const void* residual = nullptr;  ///< `[rows, out]` or NULL; may be `y`.
    int64_t residual_stride = 0;
    void* y = nullptr;  ///< `[rows, out]`.
    int64_t y_stride = 0;
    Epilogue epilogue = Epilogue::none;
    float alpha = 1.0f;
};

/** Bytes. */
struct MemoryInfo {
    int64_t free = 0, total = 0;
};

/** One GPU. Streams are `cudaStream_t`, as `void*`. Functions throw vlm::Error; those marked noexcept report nothing,
 * because a failing GPU shows itself at the next call. */
class Runtime {
  public:
    virtual ~Runtime() = default;
    /** "NVIDIA H200, sm_90, 139.8 GiB". */
    virtual std::string name() const = 0;
    /** 90 for 9.0. */
    virtual int compute_capability() const = 0;
    /** Makes the GPU the calling thread's. */
    virtual void bind() = 0;
    /** The stream of runs that bring none. */
    virtual void* stream() = 0;
    virtual MemoryInfo memory() = 0;

    /** Memory aligned to at least 256 bytes for work behind this point of the stream; NULL when there is none. */
    virtual void* allocate(int64_t bytes, void* stream) = 0;
    virtual void release(void* memory, void* stream) noexcept = 0;
    /** Memory that the GPU can write and the host can read, zeroed. */
    virtual int32_t* shared_word() = 0;

    /** Host to device. `source` may be changed as soon as this returns. */
    virtual void upload(const void* source, void* target, int64_t bytes, void* stream) = 0;
    /** Device to host; waits. */
    virtual void download(const void* source, void* target, int64_t bytes, void* stream) = 0;
    virtual void copy(const void* source, void* target, int64_t bytes, void* stream) = 0;
    virtual void clear(void* target, int64_t bytes, void* stream) = 0;
    virtual void synchronize(void* stream) = 0;

    /** False, and nothing done, when the library has no way to multiply this shape or to fuse this epilogue.
     *  @param workspace  Gives memory for the time of the product. */
    virtual bool multiply(const DenseProduct& product, void* stream,
                          const std::function<void*(int64_t bytes)>& workspace) = 0;

    /* ---- graphs: what a stream is given is recorded, and done later at once ---- */

    /** A second stream. */
    virtual void* step_stream() = 0;
    /** What is enqueued in `later` from now on waits for what is in `earlier` now. False: it does not. */
    virtual bool order(void* earlier, void* later) noexcept = 0;
    /** Host memory that the GPU can copy from; lives as long as this. */
    virtual void* pinned(int64_t bytes) = 0;
    /** Host to device from memory of `pinned`, which has to stay as it is until the copy is done. */
    virtual void upload_pinned(const void* source, void* target, int64_t bytes, void* stream) = 0;
    /** From now on kernels, copies, clear, upload_pinned and multiply on `stream` are recorded instead of done. Nothing
     * else may be asked of the stream: it makes the recording invalid. False: the driver does not record. */
    virtual bool begin_capture(void* stream) noexcept = 0;
    /** What was recorded, or NULL when it is invalid. Either way the stream does at once again what it is given. */
    virtual void* end_capture(void* stream) noexcept = 0;
    virtual void free_graph(void* graph) noexcept = 0;
    /** An executable graph, or NULL. */
    virtual void* instantiate(void* graph) noexcept = 0;
    /** Makes an executable do what `graph` does. False, and the executable has not changed, when they differ too much.
     */
    virtual bool update(void* executable, void* graph) noexcept = 0;
    virtual bool launch(void* executable, void* stream) noexcept = 0;
    virtual void free_executable(void* executable) noexcept = 0;
};

/** Opens GPU `ordinal`. @throws Error UNAVAILABLE with the reason and what to do. */
std::unique_ptr<Runtime> open_runtime(int ordinal);

}  // namespace vlm::cuda
