/** @file error.hpp
 *  The one exception type of plugin code. It never crosses the ABI: the edge (edge.hpp) turns it into a status and a
 * message.
 */
#pragma once
#include <vlm/status.h>

#include <stdexcept>
#include <string>

namespace vlm::sdk {

/** A failure with its status code. The message names the file and field, what was found, what was expected, what to do.
 */
class Error : public std::runtime_error {
  public:
    /** `status` is what the C function returns, `message` what the log says. */
    Error(vlm_status status, const std::string& message) : std::runtime_error(message), status_(status) {}

    /** One of VLM_STATUS_*; never VLM_STATUS_OK. */
    vlm_status status() const noexcept { return status_; }

  private:
    vlm_status status_;
};

/** A call to the host failed and the host has already recorded why, so the edge passes the status on and adds nothing:
 * a second message would hide the first, which knows more. */
class HostError : public Error {
  public:
    /** As Error; plugins never throw it themselves. */
    using Error::Error;
};

/** A value that the caller chose is wrong: say which, what was found and what was expected. */
inline Error invalid_argument(const std::string& message) {
    return {VLM_STATUS_INVALID_ARGUMENT, message};
}
/** Something named is not there. */
inline Error not_found(const std::string& message) {
    return {VLM_STATUS_NOT_FOUND, message};
}
/** A configuration that this plugin does not support; say which. */
inline Error unimplemented(const std::string& message) {
    return {VLM_STATUS_UNIMPLEMENTED, message};
}
/** The call is right, the moment is not. */
inline Error failed_precondition(const std::string& message) {
    return {VLM_STATUS_FAILED_PRECONDITION, message};
}
/** Memory or a limit is exhausted. */
inline Error resource_exhausted(const std::string& message) {
    return {VLM_STATUS_RESOURCE_EXHAUSTED, message};
}
/** A fault of the plugin or the host itself. */
inline Error internal(const std::string& message) {
    return {VLM_STATUS_INTERNAL, message};
}

/** Throws HostError when a call to the host, `what`, did not succeed. */
inline void check_host(vlm_status status, const char* what) {
    if (status != VLM_STATUS_OK) throw HostError(status, std::string(what) + " of the host failed");
}

/** Throws INVALID_ARGUMENT with `message` unless `condition` holds. For conditions whose message is cheap to build. */
inline void require(bool condition, const char* message) {
    if (!condition) throw invalid_argument(message);
}

}  // namespace vlm::sdk
