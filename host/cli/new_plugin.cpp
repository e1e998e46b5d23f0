/** @file new_plugin.cpp
 *  `vlmhost new-plugin KIND NAME DIR`: a complete project outside of this tree that builds, passes its test and keeps
 * the contract before its author has written a line.
 */
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "host/check/identity.hpp"
#include "host/cli/options.hpp"
#include "host/cli/templates.hpp"
#include "host/json/nearest_name.hpp"

namespace vlm::cli {
namespace {

namespace fs = std::filesystem;

/** A kind, and how a manifest names a plugin of it. */
struct Kind {
    std::string_view name;
    const char* stage;
};
constexpr std::array<Kind, 5> kKinds = {{{"vision_encoder", R"("vision_encoder": {"plugin": "@ID@"})"},
                                         {"connector", R"("connector": {"plugin": "@ID@"})"},
                                         {"backbone", R"("backbone": {"plugin": "@ID@"})"},
                                         {"token_reducer", R"("token_reducers": [{"plugin": "@ID@"}])"},
                                         {"post_processor", R"("post_processors": [{"plugin": "@ID@"}])"}}};

const Kind& find_kind(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    std::array<std::string_view, kKinds.size()> names;
    std::string all;
    for (size_t i = 0; i < kKinds.size(); ++i) {
        if (kKinds[i].name == name) return kKinds[i];
        names[i] = kKinds[i].name;
        all += (i > 0 ? ", " : "") + std::string(names[i]);
    }
    throw invalid_argument("there is no kind of plugin '" + name + "'; the kinds are " + all +
                           did_you_mean(name, names));
}

std::string checked_name(const std::string& name) {
    constexpr size_t kLongest = 40;
    const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    if (name.empty() || name.size() > kLongest || name[0] < 'a' || name[0] > 'z' ||
        !std::all_of(name.begin(), name.end(), good))
        throw invalid_argument("the name '" + name +
                               "' does not do: it begins with a small letter and has small letters, digits and "
                               "underscores, at most 40 (it becomes libvlm_NAME.so)");
    return name;
}

/** Text that stands inside a C++ string literal. */
std::string checked_text(const std::string& text, const char* option) {
    if (text.empty() ||
        std::any_of(text.begin(), text.end(), [](char c) { return c == '"' || c == '\\' || (c >= 0 && c < ' '); }))
        throw invalid_argument(std::string(option) + ": must not be empty and has no quotes, backslashes or line ends");
    return text;
}

/** "my_thing" → "MyThing". */
std::string class_name(const std::string& name) {
    std::string result;
    bool upper = true;
    for (const char c : name) {
        if (c != '_') result += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        upper = c == '_';
    }
    return result;
}

using Words = std::vector<std::pair<std::string, std::string>>;

std::string fill(std::string text, const Words& words) {
    for (const auto& [word, value] : words)
        for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + value.size()))
            text.replace(at, word.size(), value);
    return text;
}

void write_project(const fs::path& folder, const std::string& kind, const std::string& name, const Words& words) {
    std::error_code error;
    if (fs::exists(folder, error) && !fs::is_directory(folder, error))
        throw Error(VLM_STATUS_ALREADY_EXISTS, folder.string() + ": exists and is not a folder");
    if (fs::exists(folder, error) && !fs::is_empty(folder, error))
        throw Error(VLM_STATUS_ALREADY_EXISTS,
                    folder.string() + ": is not empty; give a new folder, so that nothing is overwritten");
    fs::create_directories(folder, error);
    if (error) throw Error(VLM_STATUS_PERMISSION_DENIED, folder.string() + ": cannot be made: " + error.message());
    const Words files = {{kind + ".cpp.in", name + ".cpp"},       {"test.cpp.in", name + "_test.cpp"},
                         {"CMakeLists.txt.in", "CMakeLists.txt"}, {"build.sh.in", "build.sh"},
                         {"manifest.json.in", "manifest.json"},   {"README.md.in", "README.md"}};
    for (const auto& [source, target] : files) {
        const fs::path path = folder / target;
        std::ofstream file(path, std::ios::binary);
        file << fill(plugin_templates().at(source), words);
        file.close();
        if (!file) throw Error(VLM_STATUS_PERMISSION_DENIED, path.string() + ": cannot be written");
        std::printf("  %s\n", path.c_str());
    }
    fs::permissions(folder / "build.sh", fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                    fs::perm_options::add);
}

}  // namespace

int new_plugin_command(const Arguments& arguments) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("kind", po::value<std::string>(), "vision_encoder, connector, backbone, token_reducer or post_processor");
    add("name", po::value<std::string>(), "name of the plugin, \"my_thing\"");
    add("folder", po::value<std::string>(), "new folder for the project");
    add("id", po::value<std::string>(), "reverse-DNS id; com.example.NAME without it");
    add("vendor", po::value<std::string>()->default_value("Example Ltd"), "who answers for it");
    add("license", po::value<std::string>()->default_value("LicenseRef-Proprietary"), "SPDX expression");
    po::positional_options_description positional;
    positional.add("kind", 1).add("name", 1).add("folder", 1);
    const auto values = parse(arguments, options, positional,
                              "vlmhost new-plugin KIND NAME FOLDER: writes a plugin project that builds against an "
                              "installed SDK and passes `vlmhost check` at once.\n");
    if (!values) return kSuccess;
    if (!values->contains("kind") || !values->contains("name") || !values->contains("folder"))
        throw invalid_argument("give kind, name and folder: vlmhost new-plugin token_reducer my_thing ./my_thing");
    const Kind& kind = find_kind((*values)["kind"].as<std::string>());
    const std::string name = checked_name((*values)["name"].as<std::string>());
    const std::string id = values->contains("id") ? (*values)["id"].as<std::string>() : "com.example." + name;
    if (!is_plugin_id(id)) throw invalid_argument("--id '" + id + "': expected reverse-DNS form, com.example.plugin");
    const std::string license = (*values)["license"].as<std::string>();
    if (!is_spdx_expression(license))
        throw invalid_argument("--license '" + license +
                               "': expected an SPDX expression, such as Apache-2.0 or LicenseRef-Proprietary");
    const fs::path folder = (*values)["folder"].as<std::string>();
    std::printf("a %s '%s' in\n", std::string(kind.name).c_str(), id.c_str());
    write_project(folder, std::string(kind.name), name,
                  {{"@STAGE@", kind.stage},
                   {"@NAME@", name},
                   {"@CLASS@", class_name(name)},
                   {"@ID@", id},
                   {"@VENDOR@", checked_text((*values)["vendor"].as<std::string>(), "--vendor")},
                   {"@LICENSE@", license},
                   {"@KIND@", "vlm." + std::string(kind.name) + "/1"}});
    std::printf("next: cmake -S %s -B %s/build -DCMAKE_PREFIX_PATH=(where the SDK is) && cmake --build %s/build\n",
                folder.c_str(), folder.c_str(), folder.c_str());
    return kSuccess;
}

}  // namespace vlm::cli
