/** @file plugins.cpp
 *  `vlmhost plugins`: which plugins there are, who made them and what they can do.
 */
#include <cstdio>
#include <nlohmann/json.hpp>

#include "host/cli/options.hpp"
#include "host/plugin/registry.hpp"

namespace vlm::cli {

int plugins_command(const Arguments& arguments) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("plugin-path", po::value<std::vector<std::string>>()->composing(), "folder or library to look in first");
    add("json", "print one JSON array");
    options.add(trust_options());
    const auto values =
        parse(arguments, options, {},
              "vlmhost plugins: lists the plugins that a manifest can name, with identity and capabilities.\n");
    if (!values) return kSuccess;
    apply_trust(*values);
    std::vector<std::filesystem::path> first;
    if (values->contains("plugin-path"))
        for (const auto& path : (*values)["plugin-path"].as<std::vector<std::string>>()) first.emplace_back(path);

    auto list = nlohmann::ordered_json::array();
    int status = kSuccess;
    for (const auto& folder : plugin_folders(first)) {
        const bool is_file = std::filesystem::is_regular_file(folder);
        for (const auto& file : is_file ? std::vector{folder} : libraries_in(folder)) {
            try {
                const auto plugin = Plugin::open(file);
                auto kinds = nlohmann::ordered_json::array();
                for (const auto& kind : plugin_kinds())
                    if (plugin->find_interface(kind) != nullptr) kinds.push_back(kind);
                list.push_back({{"id", plugin->id()},
                                {"name", plugin->name()},
                                {"vendor", plugin->vendor()},
                                {"version", plugin->version()},
                                {"license", plugin->license()},
                                {"url", plugin->url()},
                                {"abi_version", plugin->abi_version()},
                                {"interfaces", kinds},
                                {"capabilities", nlohmann::ordered_json::parse(plugin->capabilities(), nullptr, false)},
                                {"path", plugin->path().string()}});
            } catch (const Error& error) {
                std::fprintf(stderr, "error: %s\n", error.what());
                status = kFailure;
            }
        }
    }
    if (values->contains("json")) {
        std::printf("%s\n", list.dump(2).c_str());
        return status;
    }
    for (const auto& plugin : list) {
        std::printf("%s %s  %s\n  by %s, %s\n  %s\n", plugin["id"].get<std::string>().c_str(),
                    plugin["version"].get<std::string>().c_str(), plugin["name"].get<std::string>().c_str(),
                    plugin["vendor"].get<std::string>().c_str(), plugin["license"].get<std::string>().c_str(),
                    plugin["path"].get<std::string>().c_str());
        for (const auto& kind : plugin["interfaces"]) std::printf("  offers %s\n", kind.get<std::string>().c_str());
        std::printf("  %s\n", plugin["capabilities"].dump().c_str());
    }
    return status;
}

}  // namespace vlm::cli
