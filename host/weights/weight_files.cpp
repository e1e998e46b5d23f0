/** @file weight_files.cpp
 *  The order of the candidates is that of `from_pretrained`, so that a folder which holds several sets loads the same
 * one here.
 */
#include "host/weights/weight_files.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "host/base/error.hpp"
#include "host/json/document.hpp"
#include "host/json/writer.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

std::string list_text(const std::vector<fs::path>& files) {
    std::string text;
    for (const fs::path& file : files) text += (text.empty() ? "" : ", ") + file.filename().string();
    return text;
}

bool path_exists(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

/** Regular files (or links to such) of a folder, sorted by name. */
std::vector<fs::path> files_of(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> files;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        std::error_code ignored;
        if (it->is_regular_file(ignored)) files.push_back(it->path());
    }
    if (error) throw invalid_argument(folder.string() + ": cannot be listed: " + error.message());
    std::sort(files.begin(), files.end());
    return files;
}

/** `<stem>-00002-of-00005.safetensors` taken apart. */
struct ShardName {
    std::string stem;
    size_t number = 0;
    size_t count = 0;
};

std::optional<ShardName> parse_shard_name(const std::string& name) {
    constexpr std::string_view kSuffix = ".safetensors";
    constexpr size_t kTail = sizeof("-00001-of-00001") - 1;
    if (!name.ends_with(kSuffix) || name.size() < kSuffix.size() + kTail) return std::nullopt;
    const std::string tail = name.substr(name.size() - kSuffix.size() - kTail, kTail);
    const std::string pattern = "-ddddd-of-ddddd";
    for (size_t i = 0; i < kTail; ++i) {
        const bool digit = tail[i] >= '0' && tail[i] <= '9';
        if (pattern[i] == 'd' ? !digit : tail[i] != pattern[i]) return std::nullopt;
    }
    return ShardName{name.substr(0, name.size() - kSuffix.size() - kTail), std::stoul(tail.substr(1, 5)),
                     std::stoul(tail.substr(10, 5))};
}

WeightFiles from_index(const fs::path& index) {
    const json::Document document = json::Document::from_file(index.string());
    WeightFiles found;
    found.index_name = index.string();
    const json::Value map = document["weight_map"];
    std::map<std::string, size_t, std::less<>> position;
    for (const auto& [tensor, value] : map.members()) {
        const std::string file = value.as_string();
        if (file.empty() || file == "." || file == ".." ||
            file.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
            throw value.error("expected the plain name of a file beside the index, found " + json::quote_short(file));
        }
        if (!file.ends_with(".safetensors")) {
            throw value.error(json::quote_short(file) +
                              " is no *.safetensors file; convert the checkpoint with "
                              "save_pretrained(folder, safe_serialization=True)");
        }
        const auto [place, is_new] = position.try_emplace(file, found.files.size());
        if (is_new) {
            const fs::path path = index.parent_path() / file;
            if (!path_exists(path))
                throw not_found(value.where() + "the shard " + path.string() + " is missing; fetch it again");
            found.files.push_back(path);
        }
        found.weight_map.emplace_back(tensor, place->second);
    }
    if (found.files.empty()) throw map.error("names no tensors");
    return found;
}

/** Numbered shards without an index: all of one set, or an error that names the missing ones. */
std::optional<WeightFiles> from_numbered(const std::vector<fs::path>& files, const fs::path& folder) {
    std::map<std::pair<std::string, size_t>, std::vector<fs::path>> sets;
    for (const fs::path& file : files) {
        if (const auto shard = parse_shard_name(file.filename().string()))
            sets[{shard->stem, shard->count}].push_back(file);
    }
    if (sets.empty()) return std::nullopt;
    if (sets.size() > 1) {
        throw invalid_argument(folder.string() +
                               ": holds several sets of shards and no index; name one file or add the index");
    }
    const auto& [key, shards] = *sets.begin();
    for (size_t number = 1; number <= std::max(key.second, shards.size()); ++number) {
        const bool there =
            number <= shards.size() && parse_shard_name(shards[number - 1].filename().string())->number == number;
        if (!there) {
            throw not_found(folder.string() + ": shard " + std::to_string(number) + " of " +
                            std::to_string(key.second) + " is missing (found: " + list_text(shards) +
                            "); fetch the checkpoint again");
        }
    }
    return WeightFiles{shards, {}, {}};
}

/** Name of the framework whose weights a file with this name holds; empty when it is none that we know. */
std::string_view foreign_format(const std::string& name) {
    struct Format {
        std::string_view suffix, name;
    };
    constexpr std::array<Format, 8> kFormats = {{{".bin", "PyTorch"},
                                                 {".pt", "PyTorch"},
                                                 {".pth", "PyTorch"},
                                                 {".ckpt", "PyTorch"},
                                                 {".h5", "TensorFlow"},
                                                 {".msgpack", "Flax"},
                                                 {".gguf", "GGUF"},
                                                 {".onnx", "ONNX"}}};
    for (const Format& format : kFormats) {
        if (name.ends_with(format.suffix)) return format.name;
    }
    return {};
}

Error foreign_weights(const fs::path& file) {
    const std::string name = file.filename().string();
    return invalid_argument(
        file.string() + ": holds " + std::string(foreign_format(name)) +
        " weights; only *.safetensors is read (a pickle can run code). Convert the checkpoint, for example "
        "with save_pretrained(folder, safe_serialization=True)");
}

}  // namespace

WeightFiles find_weight_files(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) throw not_found(path.string() + ": no such file or folder");
    if (!fs::is_directory(status)) {
        const std::string name = path.filename().string();
        if (name.ends_with(".json")) return from_index(path);
        if (!foreign_format(name).empty()) throw foreign_weights(path);
        return {{path}, {}, {}};
    }
    if (path_exists(path / "model.safetensors")) return {{path / "model.safetensors"}, {}, {}};
    if (path_exists(path / "model.safetensors.index.json")) return from_index(path / "model.safetensors.index.json");
    const std::vector<fs::path> files = files_of(path);
    std::vector<fs::path> indexes;
    std::vector<fs::path> tensors;
    for (const fs::path& file : files) {
        const std::string name = file.filename().string();
        if (name.find(".safetensors.index") != std::string::npos && name.ends_with(".json")) indexes.push_back(file);
        if (name.ends_with(".safetensors")) tensors.push_back(file);
    }
    if (indexes.size() == 1) return from_index(indexes.front());
    if (indexes.size() > 1) {
        throw invalid_argument(path.string() + ": holds several indexes (" + list_text(indexes) +
                               "); name one of them");
    }
    if (auto numbered = from_numbered(tensors, path)) return *numbered;
    if (tensors.size() == 1) return {tensors, {}, {}};
    if (tensors.size() > 1) {
        throw invalid_argument(path.string() + ": holds several *.safetensors and no index (" + list_text(tensors) +
                               "); name one file, or rename it to model.safetensors");
    }
    const auto foreign = std::find_if(files.begin(), files.end(), [](const fs::path& file) {
        return !foreign_format(file.filename().string()).empty();
    });
    if (foreign != files.end()) throw foreign_weights(*foreign);
    throw not_found(
        path.string() +
        ": holds no *.safetensors; expected model.safetensors or model.safetensors.index.json with its shards");
}

}  // namespace vlm
