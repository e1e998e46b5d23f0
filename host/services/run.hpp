/** @file run.hpp
 *  The host's side of a run context: cancel, progress, errors and taps of one call into a plugin.
 */
#pragma once
#include <vlm/compute.h>
#include <vlm/context.h>
#include <vlm/hooks.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

namespace vlm {

/** Receives intermediate tensors under their reference names. The tensor is borrowed; it may be strided. */
using TapListener = std::function<void(const std::string& name, const vlm_tensor& tensor)>;

/** What the caller of a pipeline may want to hear during a call. All members are optional. */
struct Listeners {
    const std::atomic<bool>* cancelled = nullptr;
    std::function<void(uint64_t done, uint64_t total)> progress;
    TapListener tap;
};

/** One call, or several in a row, into plugins. Not shared between threads. */
class Run {
  public:
    /** @param stream  Of the device (Device::stream); without one every operation is waited for. */
    Run(const vlm_compute* compute, const Listeners* listeners, const vlm_hooks* hooks = nullptr,
        void* stream = nullptr);
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /** The context to pass. `abi_version` is the version that the plugin negotiated. */
    const vlm_run_context* context(uint32_t abi_version);

    /** Where calls from now on enqueue their work. */
    void set_stream(void* stream) { context_.stream = stream; }
    void* stream() const { return context_.stream; }

    /** Throws when `status` is not OK, with what the plugin wrote into the error sink. `who` names plugin and function,
     * `logged` is what the call has logged as an error: a part of the reason when it failed, logged after all when not.
     */
    void check(vlm_status status, const std::string& who, const std::string& logged = {});

    /** Throws CANCELLED when the caller asked to stop. */
    void poll() const;

    const vlm_compute& compute() const { return *context_.compute; }
    const Listeners* listeners() const { return listeners_; }

  private:
    /** Shows a tensor to the tap, from the CPU and as f32 when it lies on a device. */
    void show(const char* name, const vlm_tensor& tensor);

    vlm_run_context context_{};
    const Listeners* listeners_;
    std::mutex mutex_;
    vlm_status error_code_ = VLM_STATUS_OK;
    std::string error_message_;
};

/** Name of a status code, "INVALID_ARGUMENT". */
const char* status_name(vlm_status status);

}  // namespace vlm
