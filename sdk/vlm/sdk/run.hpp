/** @file run.hpp
 *  The run context as plugin code sees it: cancel, progress, log, taps and the way to the compute service.
 */
#pragma once
#include <vlm/compute.h>
#include <vlm/context.h>

#include <string>

#include "vlm/sdk/error.hpp"
#include "vlm/sdk/structs.hpp"
#include "vlm/sdk/tensor.hpp"

namespace vlm::sdk {

/** One call from the host. Valid for that call. */
class Run {
  public:
    /** Throws INVALID_ARGUMENT for a malformed context. */
    explicit Run(const vlm_run_context* context) : raw_(context), context_(read_struct(context, "run context")) {}

    /** The context to pass on to the host. */
    const vlm_run_context* get() const { return raw_; }
    /** Throws FAILED_PRECONDITION when this call came without compute. */
    const vlm_compute* compute() const {
        if (context_.compute == nullptr)
            throw failed_precondition("run context: compute is NULL, but this component computes");
        return context_.compute;
    }
    /** The reducers of the pipeline, or NULL. */
    const vlm_hooks* hooks() const { return context_.hooks; }

    /** Throws CANCELLED when the caller wants to stop. Call it at least once per layer (VLM-P-10). */
    void poll() const {
        if (context_.is_cancelled != nullptr && context_.is_cancelled(context_.host) != 0)
            throw Error(VLM_STATUS_CANCELLED, "cancelled by the caller");
    }
    /** Tells the host how far the work is. */
    void progress(uint64_t done, uint64_t total) const {
        if (context_.progress != nullptr) context_.progress(context_.host, done, total);
    }
    /** Writes to the host's log; `level` is VLM_LOG_*. */
    void log(int32_t level, const std::string& message) const {
        if (context_.log != nullptr) context_.log(context_.host, level, message.c_str());
    }
    /** Sends to the error sink. Throwing sdk::Error does this at the edge, so components rarely call it. */
    void error(vlm_status status, const char* message) const {
        if (context_.error != nullptr) context_.error(context_.host, status, message);
    }
    /** True when somebody listens to taps: ask before computing something only to show it. */
    bool tapped() const { return context_.tap != nullptr; }
    /** Shows `tensor` under its reference name to whoever listens. */
    void tap(const char* name, const Tensor& tensor) const {
        if (context_.tap != nullptr) check_host(context_.tap(context_.host, name, tensor.get()), "tap");
    }

  private:
    const vlm_run_context* raw_;
    vlm_run_context context_;
};

}  // namespace vlm::sdk
