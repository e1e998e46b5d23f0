/** @file decoding_device.hpp
 *  What only some devices offer to decoding, beside what every Device is. Whoever decodes asks for it and does without
 * where it is not there; answers are the same.
 */
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "host/compute/device.hpp"
#include "host/compute/top_logits.hpp"

namespace vlm {

/** Counters since the device was opened. */
struct DecodingCounters {
    int64_t downloaded_bytes = 0;  ///< Copied from the device to the CPU.
    int64_t graph_launches = 0;    ///< Steps of decoding that were launched as graphs, however many each.
    int64_t graph_builds = 0;      ///< Graphs made for that; the others were made by changing one of these.
};

/** A device whose memory is not the CPU's. */
class DecodingDevice : public Device {
  public:
    /** The `count` largest logits (1 to kMostTopLogits, at most `n`) of the last row of each tensor `[rows, n]` f32,
     * which lie on this device; the host waits once for all. Empty: the device cannot, whoever asks reads the rows.
     *  @throws Error INVALID_ARGUMENT for other tensors, and what the device has found while waiting. */
    virtual std::vector<TopLogits> top_logits(const vlm_run_context* run, std::span<const vlm_tensor* const> tensors,
                                              int64_t count) = 0;
    /** Says that the calls which follow, until end_step(), are a step of decoding of `rows` rows, made by this thread.
     * A stream to give these calls instead of stream(): they may then be recorded first and done later, at end_step().
     * NULL: they run as always, and end_step() is called all the same.
     *  @throws Error what has failed before the step; then there is none to end. */
    virtual void* begin_step(int64_t rows) = 0;
    /** Ends the step; what follows on stream() comes behind it. False: what was recorded is lost, nothing of it has
     * been done, and whoever called has to set back what was counted and to run the step again, without begin_step().
     */
    virtual bool end_step() noexcept = 0;
    virtual DecodingCounters decoding_counters() const = 0;
};

}  // namespace vlm
