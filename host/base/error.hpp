/** @file error.hpp
 *  The one exception type of the host. It never crosses the ABI: the edge (`host/api`) turns it into a status and a
 * message.
 */
#pragma once
#include <vlm/status.h>

#include <stdexcept>
#include <string>

namespace vlm {

/** A failure with its status code. The message names the file and field, what was found, what was expected, what to do.
 */
class Error : public std::runtime_error {
  public:
    Error(vlm_status code, const std::string& message) : std::runtime_error(message), code_(code) {}

    /** One of VLM_STATUS_*; never VLM_STATUS_OK. */
    vlm_status code() const noexcept { return code_; }

  private:
    vlm_status code_;
};

/** Shorthands for the codes that nearly every reader of files needs. */
inline Error invalid_argument(const std::string& message) {
    return {VLM_STATUS_INVALID_ARGUMENT, message};
}
inline Error not_found(const std::string& message) {
    return {VLM_STATUS_NOT_FOUND, message};
}
inline Error data_loss(const std::string& message) {
    return {VLM_STATUS_DATA_LOSS, message};
}
inline Error unimplemented(const std::string& message) {
    return {VLM_STATUS_UNIMPLEMENTED, message};
}
inline Error resource_exhausted(const std::string& message) {
    return {VLM_STATUS_RESOURCE_EXHAUSTED, message};
}
inline Error failed_precondition(const std::string& message) {
    return {VLM_STATUS_FAILED_PRECONDITION, message};
}

}  // namespace vlm
