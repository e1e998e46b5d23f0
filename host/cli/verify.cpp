/** @file verify.cpp
 *  `vlmhost verify PLUGIN.so`: is it the library that its vendor signed? Runs none of its code.
 */
#include "host/trust/verify.hpp"

#include <cstdio>

#include "host/cli/options.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

std::string report_json(const std::string& plugin, const Verification& found) {
    json::Writer writer(2);
    writer.begin_object().member("plugin", plugin).member("trusted", found.faults.empty());
    writer.member("sha256", found.library.sha256());
    writer.key("signer");
    if (found.signer)
        writer.begin_object().member("key", found.signer->id()).member("comment", found.signer->comment).end_object();
    else
        writer.value(nullptr);
    writer.key("manifest");
    if (found.sidecar)
        writer.raw(found.sidecar->text());
    else
        writer.value(nullptr);
    writer.key("faults").begin_array();
    for (const auto& fault : found.faults) writer.value(fault);
    return writer.end_array().end_object().take();
}

}  // namespace

int verify_command(const Arguments& arguments) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("plugin", po::value<std::string>(), "library to verify");
    add("json", "print one JSON object");
    options.add(trust_options());
    po::positional_options_description positional;
    positional.add("plugin", 1);
    const auto values =
        parse(arguments, options, positional,
              "vlmhost verify PLUGIN.so --trust-key KEY.pub: compares a plugin with its signed manifest "
              "without running it. The keys of the host's policy count too.\n");
    if (!values) return kSuccess;
    if (!values->contains("plugin")) throw invalid_argument("give the library to verify; see --help");
    apply_trust(*values);
    const std::string plugin = (*values)["plugin"].as<std::string>();
    const auto policy = host_trust();
    const auto found = verify_plugin(plugin, policy.keys);
    if (values->contains("json")) {
        std::printf("%s\n", report_json(plugin, found).c_str());
        return found.faults.empty() ? kSuccess : kFailure;
    }
    if (found.sidecar)
        std::printf("%s %s by %s, %s, %s\n", found.sidecar->id.c_str(), found.sidecar->version.c_str(),
                    found.sidecar->vendor.c_str(), found.sidecar->license.c_str(), found.sidecar->platform.c_str());
    std::printf("SHA-256 %s\n", found.library.sha256().c_str());
    if (found.signer) std::printf("signed with key %s %s\n", found.signer->id().c_str(), found.signer->comment.c_str());
    for (const auto& fault : found.faults) std::printf("not trusted: %s\n", fault.c_str());
    std::printf("%s (this host's policy is '%s')\n", found.faults.empty() ? "trusted" : "NOT TRUSTED",
                trust_mode_name(policy.mode));
    return found.faults.empty() ? kSuccess : kFailure;
}

}  // namespace vlm::cli
