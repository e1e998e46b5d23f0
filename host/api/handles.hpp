/** @file handles.hpp
 *  What stands behind the opaque handles of vlm/host.h, and the edge that every function of the application API shares:
 * what is thrown inside becomes a status and an error object, and structs of callers are read by their own size.
 */
#pragma once
#include <vlm/host.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/session.hpp"

struct vlm_error {
    vlm_status code;
    std::string message;
};

struct vlm_host {
    std::filesystem::path plugin_folder;
};

struct vlm_pipeline {
    std::shared_ptr<const vlm::Pipeline> pipeline;
};

struct vlm_session {
    std::shared_ptr<const vlm::Pipeline> pipeline;
    vlm::Session session;
    std::atomic<bool> busy{false};

    explicit vlm_session(std::shared_ptr<const vlm::Pipeline> opened) : pipeline(opened), session(std::move(opened)) {}
};

struct vlm_result {
    vlm::Result result;
    std::string json;
    std::vector<vlm::TokenPiece> tokens;   ///< Of all answers.
    std::vector<uint64_t> first_token_of;  ///< By answer.

    /** Texts of values that were looked up, by path; guarded, because a result may be read from many threads. */
    mutable std::mutex found_mutex;
    mutable std::map<std::string, std::string> found;

    explicit vlm_result(vlm::Result made);
};

namespace vlm::api {

/** Runs `body`; what it throws becomes a status and, when asked for, an error object. */
template <typename Body>
vlm_status guard(vlm_error** error, Body&& body) noexcept {
    vlm_status code = VLM_STATUS_OK;
    try {
        if (error != nullptr) *error = nullptr;
        const auto fail = [&](vlm_status status, const char* message) {
            code = status;
            if (error != nullptr) *error = new vlm_error{status, message};
        };
        try {
            body();
        } catch (const Error& e) {
            fail(e.code(), e.what());
        } catch (const std::bad_alloc&) {
            fail(VLM_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        } catch (const std::exception& e) {
            fail(VLM_STATUS_INTERNAL, e.what());
        } catch (...) {
            fail(VLM_STATUS_UNKNOWN, "an exception of unknown type");
        }
    } catch (...) {
        code = VLM_STATUS_RESOURCE_EXHAUSTED;  // not even the message found memory
    }
    return code;
}

/** INVALID_ARGUMENT with `message` unless `condition` holds. */
inline void require(bool condition, const char* message) {
    if (!condition) throw invalid_argument(message);
}

/** Copies a caller's struct: what it is too short for reads as zero. Refuses sizes and versions that none has. */
template <typename Struct>
Struct read_struct(const Struct* theirs, const char* name) {
    Struct mine{};
    const uint32_t size = theirs->struct_size;
    if (size < 2 * sizeof(uint32_t) || size > VLM_STRUCT_SIZE_MAX || theirs->abi_version == 0)
        throw invalid_argument(std::string(name) + " has struct_size " + std::to_string(size) + " and abi_version " +
                               std::to_string(theirs->abi_version) +
                               "; set both, to sizeof the struct and to VLM_ABI_VERSION");
    std::memcpy(&mine, theirs, std::min<size_t>(size, sizeof(Struct)));
    return mine;
}

/** Writes a struct back to a caller: no more than it has room for, and not its two leading members. */
template <typename Struct>
void write_struct(const Struct& mine, Struct* theirs) {
    constexpr size_t kLeading = 2 * sizeof(uint32_t);
    const size_t size = std::min<size_t>(theirs->struct_size, sizeof(Struct));
    std::memcpy(reinterpret_cast<char*>(theirs) + kLeading, reinterpret_cast<const char*>(&mine) + kLeading,
                size - kLeading);
}

/** Hands a CPU tensor out as DLPack: the memory is shared. UNIMPLEMENTED for a tensor on another device. */
vlm_managed_tensor* share_tensor(const Tensor& tensor);

}  // namespace vlm::api
