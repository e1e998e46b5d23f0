/** @file api.cpp
 *  Versions, errors, and the life of hosts, pipelines and sessions. Nothing is decided here; every function is a guard
 * around one call.
 */
#include <mutex>

#include "host/api/handles.hpp"
#include "host/base/log.hpp"
#include "host/services/run.hpp"

namespace {

using vlm::api::guard;
using vlm::api::read_struct;
using vlm::api::require;

std::mutex log_mutex;
const vlm_host* log_owner = nullptr;  ///< Whose callback receives the log.

void take_log(const vlm_host* host, vlm_log_fn log, void* user) {
    const std::scoped_lock lock(log_mutex);
    vlm::set_log_sink([=](int level, std::string_view source, std::string_view text) {
        log(user, level, std::string(source).c_str(), std::string(text).c_str());
    });
    log_owner = host;
}

void return_log(const vlm_host* host) {
    const std::scoped_lock lock(log_mutex);
    if (host == nullptr || log_owner != host) return;
    vlm::set_log_sink({});
    log_owner = nullptr;
}

void open_pipeline(vlm_host* host, vlm::Manifest manifest, vlm_progress_fn progress, void* user,
                   vlm_pipeline** pipeline) {
    vlm::OpenOptions options;
    if (!host->plugin_folder.empty()) options.plugin_folders.push_back(host->plugin_folder);
    if (progress != nullptr)
        options.listeners.progress = [=](uint64_t done, uint64_t total) { progress(user, done, total); };
    *pipeline = new vlm_pipeline{vlm::Pipeline::open(std::move(manifest), options)};
}

}  // namespace

extern "C" {

const char* vlm_version(void) {
    return VLM_HOST_VERSION;
}
uint32_t vlm_abi_version(void) {
    return VLM_ABI_VERSION;
}

vlm_status vlm_error_code(const vlm_error* error) {
    return error != nullptr ? error->code : VLM_STATUS_OK;
}
const char* vlm_error_message(const vlm_error* error) {
    return error != nullptr ? error->message.c_str() : "";
}
void vlm_error_destroy(vlm_error* error) {
    delete error;
}
const char* vlm_status_name(vlm_status status) {
    return vlm::status_name(status);
}

vlm_status vlm_host_create(const vlm_host_options* options, vlm_host** host, vlm_error** error) {
    return guard(error, [&] {
        require(host != nullptr, "host is NULL");
        *host = nullptr;
        auto made = std::make_unique<vlm_host>();
        if (options != nullptr) {
            const auto given = read_struct(options, "vlm_host_options");
            if (given.plugin_folder != nullptr) made->plugin_folder = given.plugin_folder;
            if (given.log != nullptr) take_log(made.get(), given.log, given.user);
        }
        *host = made.release();
    });
}

void vlm_host_destroy(vlm_host* host) {
    return_log(host);
    delete host;
}

vlm_status vlm_pipeline_open(vlm_host* host, const char* path, vlm_progress_fn progress, void* user,
                             vlm_pipeline** pipeline, vlm_error** error) {
    return guard(error, [&] {
        require(host != nullptr && path != nullptr && pipeline != nullptr, "host, path or pipeline is NULL");
        *pipeline = nullptr;
        auto manifest =
            std::filesystem::is_directory(path) ? vlm::Manifest::for_model(path) : vlm::Manifest::from_file(path);
        open_pipeline(host, std::move(manifest), progress, user, pipeline);
    });
}

vlm_status vlm_pipeline_open_json(vlm_host* host, const char* json, const char* base_folder, vlm_progress_fn progress,
                                  void* user, vlm_pipeline** pipeline, vlm_error** error) {
    return guard(error, [&] {
        require(host != nullptr && json != nullptr && pipeline != nullptr, "host, json or pipeline is NULL");
        *pipeline = nullptr;
        open_pipeline(host, vlm::Manifest::from_text(json, "manifest", base_folder != nullptr ? base_folder : "."),
                      progress, user, pipeline);
    });
}

void vlm_pipeline_destroy(vlm_pipeline* pipeline) {
    delete pipeline;
}

vlm_status vlm_session_create(vlm_pipeline* pipeline, vlm_session** session, vlm_error** error) {
    return guard(error, [&] {
        require(pipeline != nullptr && session != nullptr, "pipeline or session is NULL");
        *session = nullptr;
        *session = new vlm_session(pipeline->pipeline);
    });
}

void vlm_session_destroy(vlm_session* session) {
    delete session;
}

}  // extern "C"
