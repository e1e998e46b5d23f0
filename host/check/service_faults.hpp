/** @file service_faults.hpp
 *  The host's services beside compute and weights, with a call that fails: reducers that give up, a listener that does
 * not want the tensor, a result that is not taken, a picture that cannot be resized.
 *
 *  The functions of most of these services get nothing that says for whom they are called, so one fault at a time is in
 * force in the process of a check.
 */
#pragma once
#include <vlm/context.h>
#include <vlm/plugin.h>

#include <array>
#include <atomic>

namespace vlm {

/** A way in which a plugin calls the host and may hear that it has failed. */
enum class HostService {
    hooks,   ///< `reduce` of the hooks.
    tap,     ///< `tap` of the run context.
    emit,    ///< What a post-processor hands its result to.
    lookup,  ///< `get_service`: answers that there is no such service.
    image,   ///< Functions of vlm.image/1.
    text     ///< Functions of vlm.text/1.
};
inline constexpr std::array kHostServices = {HostService::hooks,  HostService::tap,   HostService::emit,
                                             HostService::lookup, HostService::image, HostService::text};

/** "the tap", for messages. */
const char* name_of(HostService service);

/** Counts the calls of one service, and lets one of them fail, from its making to its end. One at a time. */
class ServiceFaults {
  public:
    /** Call `at` (from 0) of `service` answers INTERNAL, that of `lookup` NULL; negative: none does.
     *  @param needs  VLM_NEED_*: what the hooks ask for, at every site and layer. They change nothing. */
    ServiceFaults(HostService service, int at, uint32_t needs = 0);
    ~ServiceFaults();
    ServiceFaults(const ServiceFaults&) = delete;
    ServiceFaults& operator=(const ServiceFaults&) = delete;

    /** Calls of the service so far. */
    int calls() const { return calls_.load(); }

    /** Counts a call of `service`; true when it is to fail. [any] */
    static bool fails(HostService service);
    /** Gives `context` the hooks or the tap, where one of them is the service in force. */
    static void attach(vlm_run_context& context);

  private:
    HostService service_;
    int at_;
    uint32_t needs_;
    std::atomic<int> calls_{0};
};

/** Today's host with services that obey ServiceFaults; lives until the process ends. */
const vlm_host_info& watched_host();

}  // namespace vlm
