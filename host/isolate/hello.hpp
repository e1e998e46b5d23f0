/** @file hello.hpp
 *  The first message and its answer: what both ends of a channel have to agree on.
 */
#pragma once
#include <cstdint>
#include <string>

#include "host/compute/device.hpp"
#include "host/isolate/wire.hpp"

namespace vlm::isolate {

struct RemoteIdentity;

/** Where the process finds its end of the channel. */
constexpr int kSocket = 3;

/** What the process is told before it opens the library. */
struct Hello {
    uint64_t status_bytes = 0;
    uint64_t arena_bytes = 0;
    uint64_t memory_limit = 0;  ///< Bytes that the plugin's process may take; 0: any number.
    std::string library;
    std::string stage;
    DeviceOptions device;
};

/** Writes it, with the mark of this build's messages in front. */
void write_hello(Writer& writer, const Hello& hello);
/** @throws Error FAILED_PRECONDITION when host and process are of different builds. */
Hello read_hello(Reader& reader);

/** The answer. */
void write_identity(Writer& writer, const RemoteIdentity& identity);
/** The answer, read. @throws Error DATA_LOSS. */
RemoteIdentity read_identity(Reader& reader);

}  // namespace vlm::isolate
