/** @file device.hpp
 *  A device as the pipeline sees it: the compute table for plugins, memory for the host's own tensors, and counters.
 */
#pragma once
#include <vlm/compute.h>

#include <cstdint>
#include <memory>
#include <string>

#include "host/base/memory_limit.hpp"
#include "host/base/tensor.hpp"
#include "host/compute/weight_policy.hpp"

namespace vlm {

class PackedCache;

/** How a device computes; see the manifest's `dtype`, `weights`, `kv` and `threads`. */
struct DeviceOptions {
    std::string dtype = "auto";    ///< "f32" (parity), "bf16", "auto": bf16 where the hardware has it.
    std::string weights = "auto";  ///< "f32", "f16", "bf16", "int8", "int4", "fp8" (GPUs), "auto": as dtype.
    int threads = 0;               ///< CPU threads; 0: one per core.
    std::string kv = "auto";       ///< Cached keys and values: "f32", "bf16", "f16", "int8", "auto": as dtype.
    std::vector<WeightRule> weight_rules = {};  ///< Layers that are stored otherwise.
};

/** Counters since the device was opened. */
struct DeviceCounters {
    double flops = 0;          ///< Multiplications and additions of dense operations and attention.
    int64_t weight_bytes = 0;  ///< Packed weights and kept tensors.
    int64_t peak_scratch_bytes = 0;
    int64_t synchronizations = 0;  ///< How often the host has waited for the device; 0 on the CPU.
};

/** How many rows of text a device computes together with the bits that each would have alone, in a context that holds
 * the same; 0: it promises nothing. Guessed tokens within these numbers cannot change an answer. */
struct ExactRows {
    int64_t sequence = 0;  ///< Of one sequence in one step.
    int64_t step = 0;      ///< Of all sequences of a step together.
};

/** An open device. Shared by everything that runs on it; thread-safe as the table says. */
class Device {
  public:
    virtual ~Device() = default;
    virtual const vlm_compute* compute() const = 0;
    /** Memory for host-owned tensors. */
    virtual const Allocator& allocator() const = 0;
    /** The stream of run contexts; NULL on the CPU, where every call finishes before it returns. */
    virtual void* stream() const { return nullptr; }
    /** Waits until everything that has been enqueued is done; on the CPU it is.
     *  @throws Error what the device has found meanwhile. */
    virtual void wait() {}
    /** Frees the scratch memory that calls with this run context left behind. */
    virtual void end_run(const vlm_run_context* run) = 0;
    virtual DeviceCounters counters() const = 0;
    /** Said before each stage loads its weights; an empty stage at the end. */
    virtual void begin_stage(LoadingStage) {}
    /** What has been packed so far, in that order; empty from devices that keep no account. */
    virtual std::vector<PackedLayer> packed_layers() const { return {}; }
    /** What decides how weights are packed, as a text: packed weights of an equal text and version can be exchanged.
     * Empty from devices that keep none. */
    virtual std::string packing() const { return {}; }
    /** Rises when weights of the same packing() look otherwise than before. */
    virtual int packing_version() const { return 0; }
    /** From now on packed weights come from `cache` where it has them, and go there where it has not; NULL: no more.
     * Caches stay open as long as the device. [load: one thread at a time] */
    virtual void use_packed_cache(std::shared_ptr<PackedCache>) {}
    /** What of the memory that the device allocates from can still be taken; on the CPU what this process may. */
    virtual MemoryLimit memory_left() const { return {}; }
    virtual ExactRows exact_rows() const { return {}; }
    /** Bytes of one packed weight of a linear layer, scales included: what a plan counts before anything is packed. */
    virtual double weight_element_bytes() const { return 2; }
    /** "CPU, AVX-512 BF16, 2 threads", for people. */
    virtual std::string description() const = 0;
};

/** Opens "cpu", "cuda" or "cuda:N". UNAVAILABLE says why a GPU cannot be had, INVALID_ARGUMENT that the name is none.
 */
std::shared_ptr<Device> open_device(const std::string& name, const DeviceOptions& options);

}  // namespace vlm
