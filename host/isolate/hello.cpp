/** @file hello.cpp
 *  See hello.hpp.
 */
#include "host/isolate/hello.hpp"

#include "host/base/error.hpp"
#include "host/isolate/process.hpp"

namespace vlm::isolate {
namespace {

/** Counts up with every change of a message. */
constexpr uint32_t kMessages = 3;
constexpr std::string_view kVersion = VLM_HOST_VERSION;

constexpr uint32_t kLeastText = sizeof(uint64_t);

}  // namespace

void write_hello(Writer& writer, const Hello& hello) {
    writer.put(kMessages);
    writer.text(kVersion);
    writer.put(hello.status_bytes);
    writer.put(hello.arena_bytes);
    writer.put(hello.memory_limit);
    writer.text(hello.library);
    writer.text(hello.stage);
    writer.text(hello.device.dtype);
    writer.text(hello.device.weights);
    writer.text(hello.device.kv);
    writer.put(static_cast<int32_t>(hello.device.threads));
    writer.put(static_cast<uint32_t>(hello.device.weight_rules.size()));
    for (const auto& rule : hello.device.weight_rules) {
        writer.text(rule.pattern);
        writer.text(rule.type);
    }
}

Hello read_hello(Reader& reader) {
    const auto messages = reader.get<uint32_t>();
    const std::string version(reader.text());
    if (messages != kMessages || version != kVersion)
        throw failed_precondition("vlm-plugin-host is of version " + std::string(kVersion) + " (messages " +
                                  std::to_string(kMessages) + "), the host that uses it of " + version + " (messages " +
                                  std::to_string(messages) + "); install both from one build");
    Hello hello;
    hello.status_bytes = reader.get<uint64_t>();
    hello.arena_bytes = reader.get<uint64_t>();
    hello.memory_limit = reader.get<uint64_t>();
    hello.library = reader.text();
    hello.stage = reader.text();
    hello.device.dtype = reader.text();
    hello.device.weights = reader.text();
    hello.device.kv = reader.text();
    hello.device.threads = reader.get<int32_t>();
    const uint32_t rules = reader.count(2 * kLeastText);
    for (uint32_t i = 0; i < rules; ++i) {
        std::string pattern(reader.text());
        std::string type(reader.text());
        hello.device.weight_rules.push_back({std::move(pattern), std::move(type)});
    }
    return hello;
}

void write_identity(Writer& writer, const RemoteIdentity& identity) {
    for (const auto* text : {&identity.id, &identity.name, &identity.vendor, &identity.version, &identity.license,
                             &identity.url, &identity.capabilities})
        writer.text(*text);
    writer.put(identity.abi_version);
    writer.put(identity.activation_dtype);
    writer.put(static_cast<uint32_t>(identity.kinds.size()));
    for (const auto& [kind, fault] : identity.kinds) {
        writer.text(kind);
        writer.text(fault);
    }
}

RemoteIdentity read_identity(Reader& reader) {
    RemoteIdentity identity;
    for (auto* text : {&identity.id, &identity.name, &identity.vendor, &identity.version, &identity.license,
                       &identity.url, &identity.capabilities})
        *text = reader.text();
    identity.abi_version = reader.get<uint32_t>();
    identity.activation_dtype = reader.get<uint32_t>();
    const uint32_t kinds = reader.count(2 * kLeastText);
    for (uint32_t i = 0; i < kinds; ++i) {
        std::string kind(reader.text());
        std::string fault(reader.text());
        identity.kinds.emplace_back(std::move(kind), std::move(fault));
    }
    return identity;
}

}  // namespace vlm::isolate
