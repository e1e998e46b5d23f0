/** @file estimate.cpp
 *  `vlmhost estimate`: tokens, work, memory and time of a question, before anything is computed.
 */
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/bench/machine_peak.hpp"
#include "host/bench/random_checkpoint.hpp"
#include "host/cli/bench.hpp"
#include "host/cli/estimate_report.hpp"
#include "host/cli/options.hpp"
#include "host/image/draw.hpp"

namespace vlm::cli {
namespace {

using namespace estimate;

const char* const kIntro =
    "vlmhost estimate MODEL|MANIFEST --image-size 1080x1440: what a question will cost. The plugins run on a device\n"
    "that counts their calls and computes nothing, so the weights are looked at for their shapes only.\n\n"
    "  vlmhost estimate llava-1.5-7b-hf --image-size 1240x1754 --preset l4\n"
    "  vlmhost estimate --shape qwen2-vl-2b --sizes --plot sizes.png --device-peak 300 --device-bandwidth 900\n"
    "  vlmhost estimate medical.json --preset here --json\n\n"
    "Formulas (docs/estimate.md)\n"
    "  linear layer      2 * rows * in * out FLOPs (a multiplication and an addition are two)\n"
    "  other products    2 * m * n * k\n"
    "  attention         2 * pairs * heads * (head_dim + v_head_dim); pairs of a row and a key that its mask shows it\n"
    "  KV cache          2 * layers * kv_heads * head_dim * bytes per position\n"
    "  time of a stage   max(FLOPs / peak, (weights + keys and values read) / bandwidth): a roofline, the time that\n"
    "                    the machine cannot beat; an answer: encode + connect + prefill + new tokens * decode\n"
    "  peak memory       packed weights + KV cache of prompt and answer + largest scratch memory + 15 bytes per pixel\n"
    "  compression       picture: 3 * width * height numbers / (visual tokens * their width)\n"
    "                    connector: tower rows * tower width / (visual tokens * their width)\n"
    "  learn             weights that join a trained tower and a trained language model; early fusion: all\n"
    "  projection        the connector's tokens in the sequence; where the model has none, all F features of width v\n"
    "                    by one linear layer: 2 * F * v * d\n"
    "  cross-attention   resampler of 6 blocks and L = 64 latents: each 4 L v^2 + 4 (F + L) v^2 + 16 L v^2 and\n"
    "                    4 L (F + L) v; a gated block before every 4th layer: words * (4 d^2 + 2/3 of a layer's "
    "linear\n"
    "                    FLOPs) + 4 L v d_kv, and 4 * words * L * d; v, d, d_kv: widths of features, model, keys\n"
    "  early fusion      ceil(height / 30) * (ceil(width / 30) + 1) tokens in the sequence, 2 * 2700 * d for each\n"
    "                    patch, no tower\n"
    "  attention memory  standard: 4 * tokens^2 bytes per head; blocked: one tile of logits with its queries, keys,\n"
    "                    values and sums per thread, and keys and values in pages: linear in the length\n";

const std::array<PictureSize, 4> kDocuments = {
    {{"600x1000", 600, 1000}, {"1080x1440", 1080, 1440}, {"A4 150dpi", 1240, 1754}, {"A4 300dpi", 2480, 3508}}};

PictureSize parse_size(const std::string& text) {
    constexpr int kMost = 65536;
    int width = 0, height = 0, used = 0;
    if (std::sscanf(text.c_str(), "%5dx%5d%n", &width, &height, &used) != 2 ||
        static_cast<size_t>(used) != text.size() || width < 1 || height < 1 || width > kMost || height > kMost)
        throw invalid_argument("--image-size '" + text + "': expected WIDTHxHEIGHT in pixels, as 1080x1440");
    return {text, width, height};
}

Machine machine_from(const po::variables_map& values, const Manifest& manifest) {
    const bool peak = values.contains("device-peak"), bandwidth = values.contains("device-bandwidth");
    if (values.contains("preset")) {
        if (peak || bandwidth) throw invalid_argument("--preset has both numbers; give it or --device-peak, not both");
        const auto name = values["preset"].as<std::string>();
        if (name != "here") return machine_of(name);
        ThreadPool::global().set_threads(static_cast<int>(manifest.threads));
        const auto here = bench::measure_machine(peak_type(manifest));
        return {"this machine", here.operations_per_s, here.read_bytes_per_s, "measured now: " + here.operations_kind};
    }
    if (peak != bandwidth) throw invalid_argument("give --device-peak and --device-bandwidth together, or --preset");
    if (!peak) return {};
    const double flops = values["device-peak"].as<double>(), bytes = values["device-bandwidth"].as<double>();
    if (!(flops > 0) || !(bytes > 0)) throw invalid_argument("--device-peak and --device-bandwidth must be positive");
    return {"the given device", flops * 1e12, bytes * 1e9, "the command line"};
}

/** A folder that goes when it is not needed any more. */
class TemporaryFolder {
  public:
    TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "vlmhost-XXXXXX").string()) {
        if (mkdtemp(path_.data()) == nullptr)
            throw Error(VLM_STATUS_PERMISSION_DENIED, path_ + ": no temporary folder can be made; set TMPDIR");
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/** What is asked about; `hollow` holds the checkpoint of a shape. */
Manifest subject_manifest(const po::variables_map& values, std::unique_ptr<TemporaryFolder>& hollow) {
    const bool shape = values.contains("shape"), subject = values.contains("subject");
    if (shape && (subject || values.contains("model") || values.contains("manifest")))
        throw invalid_argument("--shape makes a model of its own; give it without a model or manifest");
    if (subject && values.contains("manifest"))
        throw invalid_argument("'" + values["subject"].as<std::string>() + "' and --manifest: give one of the two");
    if (!shape && !subject) return manifest_from(values);
    Manifest manifest;
    if (shape) {
        hollow = std::make_unique<TemporaryFolder>();
        bench::write_hollow_checkpoint(bench::model_shape(values["shape"].as<std::string>()), hollow->path());
        manifest = Manifest::for_model(hollow->path());
    } else {
        const auto path = values["subject"].as<std::string>();
        manifest = std::filesystem::is_directory(path) ? Manifest::for_model(path) : Manifest::from_file(path);
    }
    apply_options(values, manifest);
    return manifest;
}

Prediction predict(const Pipeline& pipeline, DryDevice& device, const PictureSize& size, int64_t text, int64_t fresh) {
    device.reset_peak();
    Prediction p;
    p.size = size;
    p.stages = run_stages(pipeline, size.width, size.height, text);
    p.weight_bytes = static_cast<double>(device.counters().weight_bytes);
    const double grown =
        static_cast<double>(fresh) * static_cast<double>(pipeline.backbone().description().kv_bytes_per_token);
    p.peak_bytes = peak_bytes(p.weight_bytes, static_cast<double>(p.stages.kv_bytes) + grown,
                              static_cast<double>(p.stages.scratch_bytes), size.width, size.height);
    p.kinds = compare_fusion(pipeline, device, p.stages, size.width, size.height, fresh);
    return p;
}

}  // namespace

int estimate_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    po::options_description ask("Estimate");
    auto add = ask.add_options();
    std::string shapes, presets;
    for (const auto& shape : bench::model_shapes()) shapes += "\n" + shape.name + ": " + shape.description;
    for (const auto& machine : known_machines()) presets += machine.name + ", ";
    add("subject", po::value<std::string>(), "checkpoint folder or manifest (also without --subject)");
    add("shape", po::value<std::string>(), ("a real shape without weights instead of a model:" + shapes).c_str());
    add("image-size", po::value<std::string>()->default_value("1080x1440"), "WIDTHxHEIGHT in pixels");
    add("sizes", "600x1000, 1080x1440 and A4 at 150 and 300 dpi, as a table");
    add("plot", po::value<std::string>(), "write the sizes as bars to this PNG file");
    add("text-tokens", po::value<int64_t>()->default_value(64), "text of the prompt");
    add("new-tokens", po::value<int64_t>()->default_value(128), "tokens of the answer, for the totals");
    add("preset", po::value<std::string>(),
        (presets + "(numbers of their makers), or here (measured: takes a second)").c_str());
    add("device-peak", po::value<double>(), "TFLOPS of the device");
    add("device-bandwidth", po::value<double>(), "GB/s of its memory");
    add("json", "one JSON object");
    all.add(ask);
    po::positional_options_description positional;
    positional.add("subject", 1);
    const auto values = parse(arguments, all, positional, kIntro);
    if (!values) return kSuccess;

    const int64_t text = (*values)["text-tokens"].as<int64_t>(), fresh = (*values)["new-tokens"].as<int64_t>();
    constexpr int64_t kMostTokens = 1 << 24;
    if (text < 1 || fresh < 0 || text > kMostTokens || fresh > kMostTokens)
        throw invalid_argument("--text-tokens must be at least 1 and --new-tokens at least 0");
    const bool json = values->contains("json"), sweep = values->contains("sizes") || values->contains("plot");
    std::vector<PictureSize> sizes(kDocuments.begin(), kDocuments.end());
    if (!sweep) sizes = {parse_size((*values)["image-size"].as<std::string>())};
    std::unique_ptr<TemporaryFolder> hollow;
    Manifest manifest = subject_manifest(*values, hollow);
    const Answer answer{machine_from(*values, manifest), fresh};
    apply_trust(*values);
    OpenOptions open;
    if (values->contains("plugin-path"))
        for (const auto& path : (*values)["plugin-path"].as<std::vector<std::string>>())
            open.plugin_folders.emplace_back(path);
    std::shared_ptr<DryDevice> device;
    const auto pipeline = open_dry(std::move(manifest), open, device);

    std::vector<Prediction> predictions;
    for (const auto& size : sizes) predictions.push_back(predict(*pipeline, *device, size, text, fresh));
    if (values->contains("plot")) write_png((*values)["plot"].as<std::string>(), sweep_plot(predictions, answer));
    const auto attention = attention_memory_json(static_cast<int>(pipeline->manifest().threads));
    if (json) {
        nlohmann::ordered_json result;
        if (answer.timed())
            result["machine"] = {{"name", answer.machine.name},
                                 {"flops_per_s", answer.machine.flops_per_s},
                                 {"bytes_per_s", answer.machine.bytes_per_s},
                                 {"source", answer.machine.source}};
        result["new_tokens"] = fresh;
        for (const auto& p : predictions) result["sizes"].push_back(prediction_json(p, answer));
        result["attention_memory"] = attention;
        std::printf("%s\n", result.dump().c_str());
        return kSuccess;
    }
    if (answer.timed())
        std::printf("on %s: %.4g TFLOPS, %.4g GB/s (%s)\n", answer.machine.name.c_str(),
                    answer.machine.flops_per_s / 1e12, answer.machine.bytes_per_s / 1e9, answer.machine.source.c_str());
    if (sweep)
        print_sweep(predictions, answer);
    else
        print_prediction(predictions.front(), answer);
    print_attention_memory(attention);
    return kSuccess;
}

}  // namespace vlm::cli
