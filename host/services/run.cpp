/** @file run.cpp
 *  See run.hpp.
 */
#include "host/services/run.hpp"

#include <array>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/base/tensor.hpp"

namespace vlm {

const char* status_name(vlm_status status) {
    static constexpr std::array<const char*, 17> names = {
        "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED"};
    return status >= 0 && static_cast<size_t>(status) < names.size() ? names[static_cast<size_t>(status)] : "INTERNAL";
}

Run::Run(const vlm_compute* compute, const Listeners* listeners, const vlm_hooks* hooks, void* stream)
    : listeners_(listeners) {
    context_.struct_size = sizeof(context_);
    context_.abi_version = VLM_ABI_VERSION;
    context_.host = this;
    context_.compute = compute;
    context_.hooks = hooks;
    context_.stream = stream;
    context_.is_cancelled = [](void* self) -> int32_t {
        const auto* cancelled =
            static_cast<Run*>(self)->listeners_ != nullptr ? static_cast<Run*>(self)->listeners_->cancelled : nullptr;
        return cancelled != nullptr && cancelled->load(std::memory_order_relaxed) ? 1 : 0;
    };
    context_.progress = [](void* self, uint64_t done, uint64_t total) {
        const auto* listeners_of_run = static_cast<Run*>(self)->listeners_;
        if (listeners_of_run != nullptr && listeners_of_run->progress) listeners_of_run->progress(done, total);
    };
    context_.log = [](void*, int32_t level, const char* message) {
        log_message(level, "plugin", message != nullptr ? message : "");
    };
    context_.error = [](void* self, vlm_status code, const char* message) {
        auto& run = *static_cast<Run*>(self);
        const std::scoped_lock lock(run.mutex_);
        run.error_code_ = code;
        run.error_message_ = message != nullptr ? message : "";
    };
    if (listeners != nullptr && listeners->tap) {
        context_.tap = [](void* self, const char* name, const vlm_tensor* tensor) -> vlm_status {
            if (name == nullptr || tensor == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
            auto& run = *static_cast<Run*>(self);
            try {
                run.show(name, *tensor);
                return VLM_STATUS_OK;
            } catch (const std::exception& error) {
                const std::string reason = std::string("'") + name + "' cannot be shown: " + error.what();
                run.context_.error(&run, VLM_STATUS_INTERNAL, reason.c_str());
                return VLM_STATUS_INTERNAL;
            } catch (...) {
                return VLM_STATUS_INTERNAL;
            }
        };
    }
}

void Run::show(const char* name, const vlm_tensor& tensor) {
    if (tensor.view.device.device_type == VLM_DEVICE_CPU) {
        listeners_->tap(name, tensor);
        return;
    }
    const uint32_t dtype = dtype_of(tensor.view), code = dtype >> 16;
    const bool is_float = code != VLM_TYPE_INT && code != VLM_TYPE_UINT && code != VLM_TYPE_BOOL;
    Tensor copy(is_float ? VLM_DTYPE_F32 : dtype, {tensor.view.shape, tensor.view.shape + tensor.view.ndim});
    check(compute().copy(&compute(), &context_, &tensor, copy.abi()), name);
    listeners_->tap(name, *copy.abi());
}

const vlm_run_context* Run::context(uint32_t abi_version) {
    context_.abi_version = abi_version;
    return &context_;
}

void Run::check(vlm_status status, const std::string& who, const std::string& logged) {
    if (status == VLM_STATUS_OK) {
        if (!logged.empty()) log_message(VLM_LOG_ERROR, who, logged);
        return;
    }
    const std::scoped_lock lock(mutex_);
    std::string reason = error_message_;
    if (reason.find(logged) == std::string::npos) reason += (reason.empty() ? "" : ": ") + logged;
    std::string message = who + ": " + (reason.empty() ? "failed and gave no reason" : reason);
    message += std::string(" (") + status_name(status) + ")";
    error_message_.clear();
    // A code that this host does not know counts as INTERNAL, so that callers can switch over the codes.
    throw Error(status > 0 && status <= VLM_STATUS_UNAUTHENTICATED ? status : VLM_STATUS_INTERNAL, message);
}

void Run::poll() const {
    if (listeners_ != nullptr && listeners_->cancelled != nullptr && listeners_->cancelled->load())
        throw Error(VLM_STATUS_CANCELLED, "cancelled by the caller");
}

}  // namespace vlm
