/** @file server.cpp
 *  See server.hpp.
 */
#include "host/isolate/child/server.hpp"

#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/post_processor.h>
#include <vlm/token_reducer.h>
#include <vlm/vision_encoder.h>

#include <array>
#include <map>
#include <optional>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/isolate/child/memory_cap.hpp"
#include "host/isolate/child/run_of_call.hpp"
#include "host/isolate/process.hpp"
#include "host/pipeline/plugin_table.hpp"

namespace vlm::isolate {
namespace {

std::unique_ptr<Served> serve_kind(const std::string& kind, const void* table) {
    if (kind == VLM_KIND_VISION_ENCODER) return serve_vision_encoder(table);
    if (kind == VLM_KIND_CONNECTOR) return serve_connector(table);
    if (kind == VLM_KIND_BACKBONE) return serve_backbone(table);
    if (kind == VLM_KIND_TOKEN_REDUCER) return serve_token_reducer(table);
    if (kind == VLM_KIND_POST_PROCESSOR) return serve_post_processor(table);
    throw unimplemented("'" + kind + "' cannot be isolated");
}

}  // namespace

Server::Server(Descriptor socket) : channel_(std::move(socket)) {
    set_log_sink([this](int level, std::string_view source, std::string_view text) {
        Writer body;
        body.text(source);
        body.text(text);
        channel_.try_send({Kind::log, 0, level, body.bytes()});
    });
    received_ = channel_.receive_descriptors();
    if (received_.size() < 2) throw failed_precondition("the host handed no memory over");
    status_ = std::make_unique<SharedMapping>(SharedMapping::open(std::move(received_[0]), sizeof(StatusPage)));
    report_violations_to(*reinterpret_cast<StatusPage*>(status_->data()));
}

void Server::run() {
    Message call;
    while (channel_.receive(call)) {
        if (call.kind != Kind::call) continue;
        RunOfCall run(channel_, *reinterpret_cast<const StatusPage*>(status_->data()),
                      device_ ? device_->compute() : nullptr, plugin_ ? plugin_->abi_version() : VLM_ABI_VERSION,
                      call.flags, tokens_ ? &*tokens_ : nullptr);
        Writer result;
        vlm_status status = VLM_STATUS_OK;
        try {
            status = serve(call, run, result);
        } catch (const Error& error) {
            status = error.code();
            run.set_error(status, error.what());
        } catch (const std::bad_alloc&) {
            status = VLM_STATUS_RESOURCE_EXHAUSTED;
            run.set_error(status, "no memory in the plugin's process");
        } catch (const std::exception& error) {
            status = VLM_STATUS_INTERNAL;
            run.set_error(status, error.what());
        }
        if (device_) device_->end_run(run.context());
        Writer reply;
        reply.put(run.error_code());
        reply.text(run.error_text());
        reply.text(result.bytes());
        if (!channel_.send({Kind::reply, 0, status, reply.bytes()})) return;
    }
}

vlm_status Server::serve(Message& call, RunOfCall& run, Writer& result) {
    const auto op = static_cast<Op>(call.code);
    Reader arguments(call.body);
    if (op == Op::hello) return open(arguments, result);
    if (op == Op::create) return create(arguments);
    if (!component_) throw failed_precondition("there is no component yet");
    if (op == Op::load) return load(arguments, run.context());
    if (shows_data(op)) confine();
    TensorReceiver tensors(*arena_);
    ServedCall served{op, arguments, result, tensors, run.context()};
    return component_->call(served);
}

vlm_status Server::open(Reader& arguments, Writer& result) {
    const Hello hello = read_hello(arguments);
    arena_ = std::make_unique<SharedMapping>(SharedMapping::open(std::move(received_[1]), hello.arena_bytes));
    tokens_.emplace(ShownTokens{*arena_});
    stage_ = hello.stage;
    device_ = open_device("cpu", hello.device);
    cap_memory(hello.memory_limit, *reinterpret_cast<StatusPage*>(status_->data()));
    install_filter(FilterStep::loading);
    plugin_ = received_.size() > 2 ? Plugin::open_descriptor(received_[2].get(), hello.library)
                                   : Plugin::open(hello.library, {}, TrustPolicy{});
    RemoteIdentity identity;
    identity.id = plugin_->id();
    identity.name = plugin_->name();
    identity.vendor = plugin_->vendor();
    identity.version = plugin_->version();
    identity.license = plugin_->license();
    identity.url = plugin_->url();
    identity.capabilities = plugin_->capabilities();
    identity.abi_version = plugin_->abi_version();
    identity.activation_dtype = device_->compute()->activation_dtype;
    for (const auto& kind : plugin_kinds()) {
        try {
            if (plugin_->find_interface(kind) != nullptr) identity.kinds.emplace_back(kind, "");
        } catch (const Error& error) {
            identity.kinds.emplace_back(kind, error.what());
        }
    }
    write_identity(result, identity);
    return VLM_STATUS_OK;
}

vlm_status Server::create(Reader& arguments) {
    const std::string kind(arguments.text());
    const std::string config(arguments.text()), model(arguments.text()), preprocessor(arguments.text());
    const void* table = plugin_ ? plugin_->find_interface(kind) : nullptr;
    if (table == nullptr) throw invalid_argument("the plugin does not offer '" + kind + "'");
    auto component = serve_kind(kind, table);
    std::array<char, 1024> reason{};
    auto c = abi_struct<vlm_component_config>();
    c.abi_version = plugin_->abi_version();
    c.host = &plugin_->host();
    c.config = {config.data(), config.size()};
    c.model = {model.data(), model.size()};
    c.preprocessor = {preprocessor.data(), preprocessor.size()};
    c.reason = reason.data();
    c.reason_size = reason.size();
    const vlm_status status = component->create(c);
    reason.back() = '\0';
    if (status != VLM_STATUS_OK) throw Error(status, reason.data());
    if (!component->made()) throw Error(VLM_STATUS_INTERNAL, "create succeeded but made no component");
    component_ = std::move(component);
    return VLM_STATUS_OK;
}

vlm_status Server::load(Reader& arguments, const vlm_run_context* run) {
    const std::string folder(arguments.text());
    std::vector<std::string> prefixes(arguments.count(sizeof(uint64_t)));
    for (auto& prefix : prefixes) prefix = arguments.text();
    if (!folder.empty()) checkpoint_ = std::make_unique<Checkpoint>(folder);
    const auto store = checkpoint_ ? checkpoint_->weights() : WeightStore::adopt({});
    weights_ = std::make_unique<WeightsService>(store, prefixes, folder);
    device_->begin_stage({stage_, [store](const void* begin, uint64_t bytes) { store->release(begin, bytes); }});
    const vlm_status status = component_->load(run, weights_->abi());
    device_->begin_stage({});
    if (status == VLM_STATUS_OK) confine();
    return status;
}

void Server::confine() {
    if (!confined_) install_filter(FilterStep::running);
    confined_ = true;
}

}  // namespace vlm::isolate
