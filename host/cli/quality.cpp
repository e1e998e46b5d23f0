/** @file quality.cpp
 *  `vlmhost quality`: what quantised weights (or bf16) do to a model's predictions on given images; quality.hpp in
 * host/pipeline says how that is measured. One pipeline is open at a time, so a model that fits alone can be compared.
 */
#include "host/pipeline/quality.hpp"

#include <cmath>
#include <cstdio>

#include "host/base/error.hpp"
#include "host/cli/options.hpp"
#include "host/cli/progress.hpp"
#include "host/image/decode.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

const char* const kIntro =
    "vlmhost quality: compares a model's predictions with those in f32 on given images.\n\n"
    "  vlmhost quality --manifest samples/medical/medical.json --image pages/ --weights int4\n\n"
    "The f32 model answers greedily; its answers are given to both, and every position compares two distributions\n"
    "over the next token. With --layers, each layer is also quantised alone, to show where the loss comes from;\n"
    "--weights-of gives such layers more bits.\n";

/** All that is compared, and the images as they are read. */
class Quality {
  public:
    explicit Quality(const po::variables_map& values) : values_(values), manifest_(manifest_from(values)) {
        if (!values.contains("image")) throw invalid_argument("quality needs at least one --image; see --help");
        bool folders = false;
        for (const auto& file : image_files(values["image"].as<std::vector<std::string>>(), folders))
            files_.push_back(file.string());
        if (values.contains("prompt")) prompt_ = values["prompt"].as<std::string>();
        max_new_tokens_ =
            values.contains("new-tokens") ? values["new-tokens"].as<int64_t>() : manifest_.generation.max_new_tokens;
        if (max_new_tokens_ < 1) throw invalid_argument("--new-tokens must be at least 1");
    }

    const std::vector<std::string>& files() const { return files_; }
    const Manifest& manifest() const { return manifest_; }

    /** The f32 model's own answers. Returns its weights in bytes. */
    int64_t remember_reference() {
        Manifest manifest = manifest_;
        manifest.dtype = manifest.weights = "f32";
        manifest.weight_rules.clear();
        const auto pipeline = open_pipeline(values_, manifest);
        ProgressBar bar("reference", "images");
        uint64_t stored = 0;
        for (const auto& file : files_) {
            reference_.push_back(teach(*pipeline, read(*pipeline, file), prompt_, max_new_tokens_, {}, listeners()));
            for (const auto& answer : reference_.back()) stored += answer.logits.size() * sizeof(float);
            constexpr uint64_t kMostStored = uint64_t{4} << 30;
            if (stored > kMostStored)
                throw resource_exhausted("the reference's predictions take more than 4 GiB at " + file +
                                         "; give fewer images or a smaller --new-tokens");
            bar.update(reference_.size(), files_.size());
        }
        return pipeline->devices().counters().weight_bytes;
    }

    /** The same answers by another model; `each` is called with every image's difference. */
    template <class Each>
    std::unique_ptr<Pipeline> compare(const Manifest& manifest, Each&& each) const {
        auto pipeline = open_pipeline(values_, manifest);
        ProgressBar bar("comparing", "images");
        for (size_t i = 0; i < files_.size(); ++i) {
            // An image without text (no rows found) has nothing to teach; it must not be answered freely.
            LogitDifference difference;
            if (!reference_[i].empty()) {
                const auto answers =
                    teach(*pipeline, read(*pipeline, files_[i]), prompt_, max_new_tokens_, reference_[i], listeners());
                for (size_t a = 0; a < answers.size(); ++a)
                    difference.add(compare_logits(reference_[i][a], answers[a]));
            }
            each(i, difference);
            bar.update(i + 1, files_.size());
        }
        return pipeline;
    }

  private:
    static Listeners listeners() {
        Listeners listeners;
        listeners.cancelled = &interrupted();
        return listeners;
    }

    NamedImage read(const Pipeline& pipeline, const std::string& file) const {
        DecodeLimits limits;
        limits.max_pixels = static_cast<uint64_t>(manifest_.image.max_pixels);
        return {file, decode_file(file, limits, pipeline.recipe().color_mode)};
    }

    const po::variables_map& values_;
    Manifest manifest_;
    std::vector<std::string> files_;
    std::string prompt_;
    int64_t max_new_tokens_ = 0;
    std::vector<std::vector<TaughtAnswer>> reference_;
};

struct LayerLoss {
    PackedLayer layer;
    LogitDifference difference;
};

/** Every quantised layer alone, all else in f32 with exact activations. */
std::vector<LayerLoss> layer_losses(const Quality& quality, const std::vector<PackedLayer>& layers) {
    std::vector<LayerLoss> losses;
    for (const auto& layer : layers) {
        if (layer.type != "int8" && layer.type != "int4" && layer.type != "fp8") continue;
        Manifest manifest = quality.manifest();
        manifest.dtype = manifest.weights = "f32";
        manifest.weight_rules = {{layer.name, layer.type}};
        LayerLoss loss{layer, {}};
        quality.compare(manifest, [&](size_t, const LogitDifference& d) { loss.difference.add(d); });
        losses.push_back(loss);
    }
    return losses;
}

/** All results of one call. */
struct Report {
    std::string device;
    int64_t reference_bytes = 0, bytes = 0;
    std::vector<LogitDifference> images;
    LogitDifference total;
    std::vector<LayerLoss> layers;
};

void write_difference(json::Writer& writer, const LogitDifference& d) {
    writer.member("positions", d.positions).member("agreement", d.agreement());
    writer.member("kl_mean", d.kl_mean()).member("kl_max", d.kl_max);
    writer.member("answers", d.answers).member("same_answers", d.same_answers);
}

void print_json(const Report& report, const std::vector<std::string>& files) {
    json::Writer writer;
    writer.begin_object().member("device", report.device);
    writer.member("weight_bytes", report.bytes).member("reference_weight_bytes", report.reference_bytes);
    write_difference(writer, report.total);
    writer.key("images").begin_array();
    for (size_t i = 0; i < files.size(); ++i) {
        writer.begin_object().member("image", files[i]);
        write_difference(writer, report.images[i]);
        writer.end_object();
    }
    writer.end_array();
    if (!report.layers.empty()) {
        writer.key("layers").begin_array();
        for (const auto& loss : report.layers) {
            writer.begin_object().member("layer", loss.layer.name).member("type", loss.layer.type);
            writer.member("weights", loss.layer.weights);
            write_difference(writer, loss.difference);
            writer.end_object();
        }
        writer.end_array();
    }
    writer.end_object();
    std::printf("%s\n", writer.take().c_str());
}

void print_text(const Report& report, const std::vector<std::string>& files) {
    constexpr double kPercent = 100;
    const LogitDifference& d = report.total;
    std::printf("%s, against f32 on %zu images\n", report.device.c_str(), files.size());
    std::printf("  top-1 agreement  %.2f %% of %lld positions\n", kPercent * d.agreement(),
                static_cast<long long>(d.positions));
    std::printf("  KL divergence    mean %.2e, max %.2e nats\n", d.kl_mean(), d.kl_max);
    std::printf("  answers          %lld of %lld the same\n", static_cast<long long>(d.same_answers),
                static_cast<long long>(d.answers));
    std::printf("  weights          %s, in f32 %s\n", bytes_text(report.bytes).c_str(),
                bytes_text(report.reference_bytes).c_str());
    size_t worst = 0;
    for (size_t i = 0; i < files.size(); ++i)
        if (report.images[i].agreement() < report.images[worst].agreement()) worst = i;
    std::printf("  worst image      %s, %.2f %%\n", files[worst].c_str(), kPercent * report.images[worst].agreement());
    if (!report.layers.empty()) std::printf("  each layer alone:\n");
    for (const auto& loss : report.layers)
        std::printf("    %-48s %-5s agreement %6.2f %%  KL mean %.2e  max %.2e\n", loss.layer.name.c_str(),
                    loss.layer.type.c_str(), kPercent * loss.difference.agreement(), loss.difference.kl_mean(),
                    loss.difference.kl_max);
}

}  // namespace

int quality_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    po::options_description own("Comparison");
    auto add = own.add_options();
    add("image", po::value<std::vector<std::string>>()->composing(), "image file or folder; repeat for several");
    add("prompt", po::value<std::string>(), "question; default: the manifest's");
    add("new-tokens", po::value<int64_t>(), "most tokens of each answer; default: the manifest's");
    add("layers", "also quantise each layer alone");
    add("min-agreement", po::value<double>(), "exit status 1 when the top-1 agreement in percent is lower");
    add("json", "print one JSON object");
    all.add(own);
    const auto values = parse(arguments, all, {}, kIntro);
    if (!values) return kSuccess;

    Quality quality(*values);
    Report report;
    report.reference_bytes = quality.remember_reference();
    std::vector<PackedLayer> layers;
    {
        const auto pipeline = quality.compare(quality.manifest(), [&](size_t, const LogitDifference& d) {
            report.images.push_back(d);
            report.total.add(d);
        });
        report.device = pipeline->devices().description();
        report.bytes = pipeline->devices().counters().weight_bytes;
        layers = pipeline->device().packed_layers();
    }
    if (report.total.positions == 0)
        throw failed_precondition("the f32 model answered nothing on these images, so nothing can be compared");
    if (values->contains("layers")) report.layers = layer_losses(quality, layers);
    if (values->contains("json"))
        print_json(report, quality.files());
    else
        print_text(report, quality.files());
    constexpr double kPercent = 100;
    return values->contains("min-agreement") &&
                   kPercent * report.total.agreement() < (*values)["min-agreement"].as<double>()
               ? kFailure
               : kSuccess;
}

}  // namespace vlm::cli
