/** @file cpu_compute.hpp
 *  The CPU as a compute device: the whole `vlm_compute` table, its counters and its scratch memory.
 *
 *  Activations are f32 on this device whatever the precision; kernels convert while they pack, which costs nothing that
 * can be measured beside a product and leaves norms, softmax and residuals exact. Two precisions stand side by side:
 * `f32` is the parity mode, and gives the same bits for every number of threads; `bf16` multiplies in bf16 and adds in
 * f32.
 */
#pragma once
#include <vlm/compute.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/thread_pool.hpp"
#include "host/compute/device.hpp"

namespace vlm {

/** In what the dense products multiply. Sums are always f32. */
enum class Precision { f32, bf16 };

/** How the weights of linear layers are stored. The integers are quantised in groups (quant.hpp). */
enum class WeightType { f32, f16, bf16, int8, int4 };

/** "f32", "f16", "bf16", "int8" or "int4". */
const char* weight_type_name(WeightType type) noexcept;
/** The type of such a name; nullopt when it is none. */
std::optional<WeightType> weight_type_of(const std::string& name) noexcept;
/** The type of that name. @param what  The setting, for messages.
 * @throws Error INVALID_ARGUMENT when it is none of the CPU's. */
WeightType expect_weight_type(const std::string& name, const std::string& what);

/** How cached keys and values are stored; `automatic` is f32 in f32 mode and bf16 in bf16 mode. f16 is multiplied in
 * f32 (ten bits of mantissa are what it is for), int8 in the mode's precision, with one scale per token and head. */
enum class KvType { automatic, f32, bf16, f16, int8 };

/** "auto", "f32", "bf16", "f16" or "int8". */
const char* kv_type_name(KvType type) noexcept;

/** Who multiplies linear layers in bf16; the f32 mode always has the own kernels. `automatic` is the environment
 * variable VLM_DENSE ("own", "onednn" or "auto") where it is set; else the own kernels. On a processor with AMX whose
 * self-check fails, `automatic` falls back to oneDNN for many rows (docs/performance.md). */
enum class DenseEngine { automatic, own, onednn };

/** Kinds of operations that are counted apart. */
enum class Op {
    create,
    copy,
    fill,
    linear,
    matmul,
    attention,
    rope_table,
    rope,
    interpolate,
    layer_norm,
    rms_norm,
    l2_normalize,
    softmax,
    activation,
    add,
    multiply,
    gather,
    scatter_mean,
    permute,
    patches,
    mean,
    argmax,
    top_k,
    merge_map,
    keep_map,
    carry_map,
    count
};

/** Name of the table's function, "rms_norm". */
const char* op_name(Op op) noexcept;

/** How the device computes. */
struct CpuOptions {
    Precision mode = Precision::f32;
    WeightType weights = WeightType::f32;
    std::vector<WeightRule> rules;  ///< Layers that are stored in another way than `weights`; the first that fits.
    DenseEngine dense = DenseEngine::automatic;
    KvType kv = KvType::automatic;
    ThreadPool* pool = nullptr;  ///< NULL: ThreadPool::global().
    int64_t scratch_limit = 0;   ///< Most bytes of scratch memory over all contexts; 0: no limit.
    bool timing = false;         ///< Measure the time of every call (two clock reads each).
};

/** What one kind of operation has done so far. */
struct OpStatistics {
    uint64_t calls = 0;
    uint64_t flops = 0;  ///< Multiplications and additions of dense products and attention, as shapes and masks say.
    uint64_t nanoseconds = 0;  ///< Only with CpuOptions::timing.
};

/** Counters since the object was made (or reset). */
struct CpuStatistics {
    std::array<OpStatistics, static_cast<size_t>(Op::count)> ops{};
    int64_t scratch_bytes = 0;       ///< Scratch memory in use now.
    int64_t peak_scratch_bytes = 0;  ///< Most that was in use at once.
    int64_t packed_bytes = 0;        ///< Packed weights alive now.
    int64_t kept_bytes = 0;          ///< Tensors made by `keep` alive now.
    int64_t kv_bytes = 0;            ///< Pages of all KV caches alive now.

    const OpStatistics& op(Op kind) const { return ops[static_cast<size_t>(kind)]; }
    uint64_t flops() const;
};

namespace cpu {
class State;
}

/** The CPU device. All functions of the table may be called from several threads for different contexts. */
class CpuCompute final : public Device {
  public:
    /** @throws Error INVALID_ARGUMENT for a negative scratch limit or an unknown VLM_DENSE, UNAVAILABLE when oneDNN is
     * asked for in a build without it. */
    explicit CpuCompute(const CpuOptions& options = {});
    ~CpuCompute() override;
    CpuCompute(const CpuCompute&) = delete;
    CpuCompute& operator=(const CpuCompute&) = delete;

    /** The table; valid while this object lives. */
    const vlm_compute* table() const noexcept { return &table_; }
    const vlm_compute* compute() const override { return &table_; }
    const Allocator& allocator() const override { return Allocator::cpu(); }

    /** Frees what `run` has made with `create` and not destroyed: call it when a run function returns. Contexts are
     * told apart by `run->host`. */
    void end_run(const vlm_run_context* run) override;

    CpuStatistics statistics() const;
    /** Sets the counters of operations and the scratch peak back; not those of memory in use. */
    void reset_statistics();
    DeviceCounters counters() const override;
    void begin_stage(LoadingStage stage) override;
    std::vector<PackedLayer> packed_layers() const override;
    std::string packing() const override;
    int packing_version() const override;
    double weight_element_bytes() const override;
    ExactRows exact_rows() const override;
    MemoryLimit memory_left() const override { return available_memory(); }
    void use_packed_cache(std::shared_ptr<PackedCache> cache) override;
    std::string description() const override;

    /** The last message of `keep`, `linear_pack` or `kv_create` that failed on this thread: they have no run context.
     */
    static const std::string& load_error() noexcept;

  private:
    std::unique_ptr<cpu::State> state_;
    vlm_compute table_{};
};

/** The device for open_device("cpu"), which sets the threads of the shared pool: "auto" is bf16 where the processor
 * multiplies bf16 (AVX512_BF16, AMX) or the weights are quantised, else f32.
 *  @throws Error INVALID_ARGUMENT for an unknown dtype, weights or kv, listing the known ones. */
std::shared_ptr<Device> open_cpu_device(const DeviceOptions& options);

}  // namespace vlm
