/** @file options.cpp
 *  See options.hpp.
 */
#include "host/cli/options.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "host/base/error.hpp"
#include "host/cli/progress.hpp"

namespace vlm::cli {
namespace {

std::atomic<bool> stop_requested{false};

void on_interrupt(int) {
    if (stop_requested.exchange(true)) std::_Exit(kCancelled);
}

bool looks_like_image(const std::filesystem::path& path) {
    std::string extension = path.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return extension == ".png" || extension == ".jpg" || extension == ".jpeg" || extension == ".webp";
}

}  // namespace

std::optional<po::variables_map> parse(const Arguments& arguments, const po::options_description& options,
                                       const po::positional_options_description& positional, const std::string& intro) {
    po::options_description all(options);
    all.add_options()("help,h", "show this help");
    po::variables_map values;
    try {
        po::store(po::command_line_parser(arguments).options(all).positional(positional).run(), values);
        po::notify(values);
    } catch (const po::error& error) {
        throw invalid_argument(std::string("the command line: ") + error.what() + "; see --help");
    }
    if (values.contains("help")) {
        std::cout << intro << '\n' << all;
        return std::nullopt;
    }
    return values;
}

po::options_description pipeline_options() {
    po::options_description options("Pipeline");
    auto add = options.add_options();
    add("manifest", po::value<std::string>(), "JSON manifest that names the parts (docs/manifest.md)");
    add("model", po::value<std::string>(),
        "checkpoint folder as downloaded (config.json, *.safetensors, tokenizer.json); with --manifest, instead of the "
        "folder that it names");
    add("device", po::value<std::string>(), "cpu, cuda or cuda:N, for all stages");
    add("dtype", po::value<std::string>(), "f32 (reference numbers), bf16, or auto");
    add("weights", po::value<std::string>(), "f32, f16, bf16, int8, int4, fp8 (GPUs that have it) or auto");
    add("weights-of", po::value<std::vector<std::string>>()->composing(),
        "PATTERN=TYPE: layers that are stored otherwise, such as 'backbone/layers.0.*=int8'; repeat");
    add("kv", po::value<std::string>(), "cached keys and values: f32, bf16, f16, int8 or auto");
    add("threads", po::value<int64_t>(), "CPU threads; 0: one per core");
    add("memory-limit", po::value<int64_t>(),
        "most memory in 10^6 bytes that the plan may have; 0: any; default: what the machine has left");
    add("packed-cache", po::value<std::string>(),
        "where packed weights are kept for the next start: auto (beside the model, else the user's cache), off, or a "
        "folder");
    add("plugin-path", po::value<std::vector<std::string>>()->composing(),
        "folder or library to look for plugins in first");
    options.add(trust_options());
    return options;
}

po::options_description trust_options() {
    po::options_description options("Trust");
    auto add = options.add_options();
    add("trust", po::value<std::string>(), "off, warn or require signatures of plugins (docs/trust.md)");
    add("trust-key", po::value<std::vector<std::string>>()->composing(),
        "public key file, or folder of *.pub files, whose signatures are believed");
    return options;
}

void apply_trust(const po::variables_map& options) {
    std::vector<PublicKey> keys;
    if (options.contains("trust-key"))
        for (const auto& path : options["trust-key"].as<std::vector<std::string>>())
            for (auto& key : read_keys(path)) keys.push_back(std::move(key));
    const TrustMode mode =
        options.contains("trust") ? trust_mode_of(options["trust"].as<std::string>(), "--trust") : TrustMode::off;
    add_host_trust(mode, keys);
}

Manifest manifest_from(const po::variables_map& options) {
    if (!options.contains("manifest") && !options.contains("model"))
        throw invalid_argument("give --manifest FILE, --model FOLDER or both; see --help");
    Manifest manifest = options.contains("manifest") ? Manifest::from_file(options["manifest"].as<std::string>())
                                                     : Manifest::for_model(options["model"].as<std::string>());
    apply_options(options, manifest);
    return manifest;
}

void apply_options(const po::variables_map& options, Manifest& manifest) {
    if (options.contains("model")) manifest.model = options["model"].as<std::string>();
    if (options.contains("device")) {
        manifest.device = options["device"].as<std::string>();
        for (auto* stage : {&manifest.vision_encoder, &manifest.connector, &manifest.backbone}) stage->device.clear();
    }
    if (options.contains("dtype")) manifest.dtype = options["dtype"].as<std::string>();
    if (options.contains("weights")) manifest.weights = options["weights"].as<std::string>();
    if (options.contains("kv")) manifest.kv = options["kv"].as<std::string>();
    if (options.contains("weights-of")) {
        std::vector<WeightRule> rules;
        for (const auto& rule : options["weights-of"].as<std::vector<std::string>>())
            rules.push_back(parse_weight_rule(rule));
        manifest.weight_rules.insert(manifest.weight_rules.begin(), rules.begin(), rules.end());
    }
    if (options.contains("packed-cache")) manifest.packed_cache = options["packed-cache"].as<std::string>();
    if (options.contains("memory-limit")) {
        const auto limit = options["memory-limit"].as<int64_t>();
        constexpr int64_t kMost = int64_t{1} << 33;
        if (limit < 0 || limit > kMost)
            throw invalid_argument("--memory-limit " + std::to_string(limit) + ": expected 0 to " +
                                   std::to_string(kMost) + " (10^6 bytes)");
        manifest.memory_limit_mb = limit;
    }
    if (options.contains("threads")) {
        const auto threads = options["threads"].as<int64_t>();
        if (threads < 0 || threads > kMostThreads)
            throw invalid_argument("--threads " + std::to_string(threads) + ": expected 0 (one per core) to " +
                                   std::to_string(kMostThreads));
        manifest.threads = threads;
    }
}

std::unique_ptr<Pipeline> open_pipeline(const po::variables_map& options, Manifest manifest, OpenOptions open) {
    apply_trust(options);
    if (options.contains("plugin-path"))
        for (const auto& path : options["plugin-path"].as<std::vector<std::string>>())
            open.plugin_folders.emplace_back(path);
    open.listeners.cancelled = &interrupted();
    ProgressBar bar("loading", ProgressBar::kBytes);
    open.listeners.progress = [&](uint64_t done, uint64_t total) { bar.update(done, total); };
    return Pipeline::open(std::move(manifest), open);
}

std::vector<std::filesystem::path> image_files(const std::vector<std::string>& given, bool& folders) {
    std::vector<std::filesystem::path> files;
    for (const auto& path : given) {
        std::error_code failure;  // whoever reads the file says what is wrong with it
        if (!std::filesystem::is_directory(path, failure)) {
            files.emplace_back(path);
            continue;
        }
        folders = true;
        std::vector<std::filesystem::path> inside;
        std::filesystem::directory_iterator entry(path, failure);
        for (const std::filesystem::directory_iterator end; !failure && entry != end; entry.increment(failure)) {
            std::error_code ignored;
            if (entry->is_regular_file(ignored) && looks_like_image(entry->path())) inside.push_back(entry->path());
        }
        if (failure)
            throw Error(VLM_STATUS_PERMISSION_DENIED, path + ": this folder cannot be read: " + failure.message());
        if (inside.empty()) throw not_found(path + ": this folder has no .png, .jpg, .jpeg or .webp files");
        std::sort(inside.begin(), inside.end());
        files.insert(files.end(), inside.begin(), inside.end());
    }
    return files;
}

const std::atomic<bool>& interrupted() {
    static const bool installed = [] {
        std::signal(SIGINT, on_interrupt);
        return true;
    }();
    (void)installed;
    return stop_requested;
}

std::string bytes_text(int64_t bytes) {
    constexpr double kMega = 1e6;
    char text[32];
    std::snprintf(text, sizeof(text), "%.1f MB", static_cast<double>(bytes) / kMega);
    return text;
}

}  // namespace vlm::cli
