/** @file server.hpp
 *  The other end: one plugin, one component and one thread that answers calls.
 */
#pragma once
#include <vlm/component.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/compute/device.hpp"
#include "host/isolate/channel.hpp"
#include "host/isolate/child/hooks_of_call.hpp"
#include "host/isolate/filter.hpp"
#include "host/isolate/hello.hpp"
#include "host/isolate/wire.hpp"
#include "host/pipeline/checkpoint.hpp"
#include "host/plugin/loader.hpp"
#include "host/services/services.hpp"

namespace vlm::isolate {

/** A call that is being served. */
struct ServedCall {
    Op op;
    Reader& arguments;
    Writer& result;
    TensorReceiver& tensors;
    const vlm_run_context* run;
};

/** A component of one kind. */
class Served {
  public:
    virtual ~Served() = default;
    /** Makes the component; `reason` as in vlm_component_config. */
    virtual vlm_status create(const vlm_component_config& config) = 0;
    /** Whether create has made one. */
    virtual bool made() const = 0;
    /** Loads weights, if the plugin has any use for them. */
    virtual vlm_status load(const vlm_run_context* run, const vlm_weights& weights) = 0;
    /** Any other call. @throws Error for arguments that are none. */
    virtual vlm_status call(ServedCall& call) = 0;
};

std::unique_ptr<Served> serve_vision_encoder(const void* table);
std::unique_ptr<Served> serve_connector(const void* table);
std::unique_ptr<Served> serve_backbone(const void* table);
std::unique_ptr<Served> serve_token_reducer(const void* table);
std::unique_ptr<Served> serve_post_processor(const void* table);

/** Answers until the host is gone. */
class Server {
  public:
    /** `socket` is the channel to the host, from which everything else comes. */
    explicit Server(Descriptor socket);
    /** Never returns while the host lives. */
    void run();

  private:
    class RunOfCall;
    vlm_status serve(Message& call, RunOfCall& run, Writer& result);
    vlm_status open(Reader& arguments, Writer& result);
    vlm_status create(Reader& arguments);
    vlm_status load(Reader& arguments, const vlm_run_context* run);
    /** The second filter: after load, or before the first data when nobody loads. */
    void confine();

    Channel channel_;
    std::vector<Descriptor> received_;
    std::unique_ptr<SharedMapping> status_;
    std::unique_ptr<SharedMapping> arena_;
    std::optional<ShownTokens> tokens_;
    std::shared_ptr<Device> device_;
    std::string stage_;
    std::shared_ptr<const Plugin> plugin_;
    std::unique_ptr<Checkpoint> checkpoint_;
    std::unique_ptr<WeightsService> weights_;
    std::unique_ptr<Served> component_;
    bool confined_ = false;
};

}  // namespace vlm::isolate
