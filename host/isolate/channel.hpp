/** @file channel.hpp
 *  Messages between the host and the process of an isolated plugin: a fixed header and some bytes, over a socket pair
 * that keeps the borders of packets. A call is one message there and one back; tensors of the pipeline never travel
 * here.
 */
#pragma once
#include <vlm/hooks.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "host/isolate/arena.hpp"

namespace vlm::isolate {

/** What is asked of the plugin's process. */
enum class Op : uint32_t {
    hello = 1,
    create,
    load,
    describe,
    plan,
    preprocess,
    encode,
    connect,
    context_create,
    context_destroy,
    context_truncate,
    context_state,
    run,
    process,
    needs,
    reduce,
};

/** Whether a call shows the plugin something of a user: from then on its process opens no files. */
inline bool shows_data(Op op) {
    return op == Op::preprocess || op == Op::encode || op == Op::connect || op == Op::run || op == Op::process ||
           op == Op::reduce;
}

/** What a message is. */
enum class Kind : uint32_t {
    call = 1,  ///< Host to plugin: `code` is the Op.
    reply,     ///< The end of a call: `code` is its status.
    log,       ///< `code` is the level.
    progress,
    tap,        ///< Waits for a tap_reply.
    tap_reply,  ///< Host to plugin: `code` is the listener's status.
    hook_needs,
    hook_room,    ///< Room for the tokens of hook_reduce: `code` is the number of bytes.
    hook_reduce,  ///< Waits for a hook_reply, as hook_needs and hook_room do.
    hook_reply,   ///< Host to plugin: `code` is what is needed, or the status.
};

struct Message {
    Kind kind = Kind::call;
    uint32_t flags = 0;
    int64_t code = 0;
    std::string body;
};

/** Flag of a call: somebody listens to intermediate tensors. */
constexpr uint32_t kTapsWanted = 1;
/** Flag of a call: the pipeline has token reducers. */
constexpr uint32_t kHooksWanted = 2;

/** Where the plugin that serves `op` has a hook for token reducers inside its layers: VLM_SITE_*; 0: nowhere. */
inline uint32_t hook_site(Op op) {
    return op == Op::encode ? VLM_SITE_ENCODER_LAYER : op == Op::run ? VLM_SITE_BACKBONE_LAYER : 0;
}

/** One end. Sending is thread-safe; one thread receives. */
class Channel {
  public:
    explicit Channel(Descriptor socket) : socket_(std::move(socket)) {}
    /** Two connected sockets. @throws Error RESOURCE_EXHAUSTED. */
    static std::pair<Descriptor, Descriptor> pair();

    /** Called between waits of at most 10 ms; throws to give up. Without it the system waits, in no more than the one
     * call: `poll` is refused to a process that may open no files. */
    using Patience = std::function<void()>;
    /** False when the other end is gone. An empty `patience` waits without end. */
    bool send(const Message& message, const Patience& patience = {});
    /** As send, but leaves the message out rather than wait; for log lines. */
    void try_send(const Message& message);
    /** False when the other end is gone. @throws Error DATA_LOSS for something that is no message. */
    bool receive(Message& message, const Patience& patience = {});

    /** Hands descriptors over, before any message. @throws Error UNAVAILABLE. */
    void send_descriptors(const std::vector<int>& descriptors);
    /** Takes what send_descriptors sent. @throws Error UNAVAILABLE. */
    std::vector<Descriptor> receive_descriptors();

    int descriptor() const { return socket_.get(); }

  private:
    bool send_packet(const void* header, const char* data, uint64_t size, const Patience& patience);
    int64_t receive_packet(void* header, const Patience& patience);
    bool wait(short events, const Patience& patience) const;

    Descriptor socket_;
    std::mutex sending_;
    std::vector<char> packet_;
};

}  // namespace vlm::isolate
