/** @file api.cpp
 *  The application API: handles around the C++ objects. Nothing is decided here; every function is a guard around one
 * call.
 */
#include <vlm/host.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/image/decode.hpp"
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

    explicit vlm_session(std::shared_ptr<const vlm::Pipeline> opened) : pipeline(opened), session(std::move(opened)) {}
};

struct vlm_result {
    vlm::Result result;
    std::string json;
    std::vector<vlm::TokenPiece> tokens;
};

namespace {

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
        } catch (const vlm::Error& e) {
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

void require(bool condition, const char* message) {
    if (!condition) throw vlm::invalid_argument(message);
}

/** Copies a caller's struct: what it is too short for reads as zero. Refuses sizes and versions that none has. */
template <typename Struct>
Struct read_struct(const Struct* theirs, const char* name) {
    Struct mine{};
    const uint32_t size = theirs->struct_size;
    if (size < 2 * sizeof(uint32_t) || size > VLM_STRUCT_SIZE_MAX || theirs->abi_version == 0)
        throw vlm::invalid_argument(std::string(name) + " has struct_size " + std::to_string(size) +
                                    " and abi_version " + std::to_string(theirs->abi_version) +
                                    "; set both, to sizeof the struct and to VLM_ABI_VERSION");
    std::memcpy(&mine, theirs, std::min<size_t>(size, sizeof(Struct)));
    return mine;
}

vlm::NamedImage read_image(const vlm_image_source* theirs, int64_t max_pixels, vlm::ColorMode mode) {
    require(theirs != nullptr, "an image of the request is NULL");
    const auto source = read_struct(theirs, "vlm_image_source");
    const int given = (source.path != nullptr) + (source.encoded != nullptr) + (source.pixels != nullptr);
    require(given == 1, "an image needs exactly one of path, encoded bytes and pixels");
    vlm::DecodeLimits limits;
    limits.max_pixels = static_cast<uint64_t>(max_pixels);
    vlm::NamedImage image;
    image.name = source.name != nullptr ? source.name : source.path != nullptr ? source.path : "image";
    if (source.path != nullptr) {
        image.image = vlm::decode_file(source.path, limits, mode);
    } else if (source.encoded != nullptr) {
        image.image = vlm::decode_memory({source.encoded, source.encoded_size}, limits, mode, image.name);
    } else {
        require(source.width > 0 && source.height > 0 && int64_t{source.width} * source.height <= max_pixels,
                "an image given as pixels needs a width and height above 0 and within the size limit");
        image.image = vlm::make_image(source.width, source.height, 3);
        std::memcpy(image.image.pixels.data(), source.pixels, image.image.pixels.size());
    }
    return image;
}

vlm::GenerationOptions read_options(const vlm_generation_options* theirs, vlm::GenerationOptions options) {
    if (theirs == nullptr) return options;
    const auto given = read_struct(theirs, "vlm_generation_options");
    if (given.max_new_tokens > 0) options.max_new_tokens = given.max_new_tokens;
    if (given.temperature != 0) options.temperature = std::max(0.0F, given.temperature);
    if (given.top_k != 0) options.top_k = std::max(0, given.top_k);
    if (given.top_p > 0) options.top_p = given.top_p;
    if (given.min_p > 0) options.min_p = given.min_p;
    if (given.repetition_penalty > 0) options.repetition_penalty = given.repetition_penalty;
    if (given.seed != 0) options.seed = given.seed;
    require(given.stop_count == 0 || given.stops != nullptr, "stop_count is set but stops is NULL");
    for (uint32_t i = 0; i < given.stop_count; ++i) {
        require(given.stops[i] != nullptr, "a stop string is NULL");
        options.stop.emplace_back(given.stops[i]);
    }
    return options;
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
    return "0.1.0";
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

vlm_status vlm_host_create(const vlm_host_options* options, vlm_host** host, vlm_error** error) {
    return guard(error, [&] {
        require(host != nullptr, "host is NULL");
        *host = nullptr;
        auto made = std::make_unique<vlm_host>();
        if (options != nullptr) {
            const auto given = read_struct(options, "vlm_host_options");
            if (given.plugin_folder != nullptr) made->plugin_folder = given.plugin_folder;
            if (given.log != nullptr)
                vlm::set_log_sink(
                    [log = given.log, user = given.user](int level, std::string_view source, std::string_view text) {
                        log(user, level, std::string(source).c_str(), std::string(text).c_str());
                    });
        }
        *host = made.release();
    });
}

void vlm_host_destroy(vlm_host* host) {
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
        *session = new vlm_session(pipeline->pipeline);
    });
}

void vlm_session_destroy(vlm_session* session) {
    delete session;
}

vlm_status vlm_generate(vlm_session* session, const vlm_generate_request* theirs, vlm_result** result,
                        vlm_error** error) {
    return guard(error, [&] {
        require(session != nullptr && theirs != nullptr && result != nullptr, "session, request or result is NULL");
        *result = nullptr;
        const auto given = read_struct(theirs, "vlm_generate_request");
        require(given.image_count == 0 || given.images != nullptr, "image_count is set but images is NULL");
        const auto& manifest = session->pipeline->manifest();
        vlm::Request request;
        if (given.prompt != nullptr) request.prompt = given.prompt;
        request.raw_prompt = given.raw_prompt != 0;
        for (uint32_t i = 0; i < given.image_count; ++i)
            request.images.push_back(
                read_image(given.images[i], manifest.image.max_pixels, session->pipeline->recipe().color_mode));
        vlm::StreamCallback stream;
        if (given.stream != nullptr)
            stream = [&](size_t, const std::string& text) {
                return given.stream(given.user, text.data(), text.size()) != 0;
            };
        auto made = std::make_unique<vlm_result>();
        made->result = session->session.generate(request, read_options(given.generation, manifest.generation), stream);
        made->json = made->result.to_json();
        for (const auto& answer : made->result.answers)
            made->tokens.insert(made->tokens.end(), answer.tokens.begin(), answer.tokens.end());
        *result = made.release();
    });
}

void vlm_cancel(vlm_session* session) {
    if (session != nullptr) session->session.cancel();
}

vlm_string vlm_result_text(const vlm_result* result) {
    return result != nullptr ? vlm_string{result->result.text.data(), result->result.text.size()}
                             : vlm_string{nullptr, 0};
}

vlm_string vlm_result_json(const vlm_result* result) {
    return result != nullptr ? vlm_string{result->json.data(), result->json.size()} : vlm_string{nullptr, 0};
}

uint64_t vlm_result_token_count(const vlm_result* result) {
    return result != nullptr ? result->tokens.size() : 0;
}

vlm_status vlm_result_token_at(const vlm_result* result, uint64_t index, vlm_result_token* token) {
    return guard(nullptr, [&] {
        require(result != nullptr && token != nullptr, "result or token is NULL");
        if (index >= result->tokens.size()) throw vlm::Error(VLM_STATUS_OUT_OF_RANGE, "no such token");
        vlm_result_token mine = read_struct(token, "vlm_result_token");
        const auto& source = result->tokens[index];
        mine.id = source.id;
        mine.log_probability = source.log_probability;
        mine.piece = {source.piece.data(), source.piece.size()};
        std::memcpy(token, &mine, std::min<size_t>(token->struct_size, sizeof(mine)));
    });
}

void vlm_result_destroy(vlm_result* result) {
    delete result;
}

}  // extern "C"
