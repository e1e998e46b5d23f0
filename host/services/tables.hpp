/** @file tables.hpp
 *  The service tables, one function per service, and the guard that keeps exceptions inside.
 */
#pragma once
#include <vlm/image.h>
#include <vlm/text.h>

#include <exception>
#include <new>

#include "host/base/error.hpp"
#include "host/base/log.hpp"

namespace vlm {

const vlm_image_service& image_service();
const vlm_text_service& text_service();

/** Runs `body` and turns what it throws into a status; the message goes to the log, since services have no error sink.
 */
template <typename Body>
vlm_status guarded(Body&& body) noexcept {
    try {
        body();
        return VLM_STATUS_OK;
    } catch (const Error& error) {
        log_message(VLM_LOG_DEBUG, "vlmhost", error.what());
        return error.code();
    } catch (const std::bad_alloc&) {
        return VLM_STATUS_RESOURCE_EXHAUSTED;
    } catch (const std::exception& error) {
        log_message(VLM_LOG_DEBUG, "vlmhost", error.what());
        return VLM_STATUS_INTERNAL;
    } catch (...) {
        return VLM_STATUS_UNKNOWN;
    }
}

}  // namespace vlm
