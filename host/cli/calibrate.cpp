/** @file calibrate.cpp
 *  `vlmhost calibrate dymu`: writes the thresholds file of the dymu plugin for one encoder and one kind of pictures.
 *
 *  A few hundred pictures through a large tower take an hour, so what is done is on disk after every batch: a second
 * call with the same arguments goes on where the first one was stopped, and gives the same file as an undisturbed one.
 */
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "host/base/error.hpp"
#include "host/cli/options.hpp"
#include "host/cli/progress.hpp"
#include "host/image/decode.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/calibration.hpp"
#include "host/pipeline/pages.hpp"

namespace vlm::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const char* const kIntro =
    "vlmhost calibrate dymu: finds the thresholds at which the dymu plugin leaves a wanted number of visual tokens.\n\n"
    "  vlmhost calibrate dymu --model llava-1.5-7b-hf --images photos/ --target mid --out thresholds.json\n\n"
    "In the manifest: {\"plugin\": \"org.vlmhost.dymu\", \"options\": {\"thresholds\": {\"file\": "
    "\"thresholds.json\"}}}\n"
    "Pictures of the later use make the best thresholds; some hundred are enough. After an interruption the same\n"
    "command goes on with the next batch (what is done stands in FILE.partial).\n";

/** What must be equal for an interrupted calibration to be continued. */
struct Job {
    fs::path out;
    std::string target;
    std::string model;
    size_t batch = 0;
    std::vector<fs::path> files;

    Json identity() const {
        Json names = Json::array();
        for (const auto& file : files) names.push_back(file.string());
        return {{"target", target}, {"model", model}, {"batch", batch}, {"files", std::move(names)}};
    }
    fs::path partial() const { return out.string() + ".partial"; }
};

void write_json(const fs::path& path, const Json& content, int indent) {
    // Written beside and moved, so that whoever stops the program never leaves half a file.
    const fs::path beside = path.string() + ".new";
    std::ofstream file(beside, std::ios::binary);
    file << content.dump(indent) << '\n';
    file.close();
    std::error_code error;
    if (file) fs::rename(beside, path, error);
    if (!file || error)
        throw Error(VLM_STATUS_PERMISSION_DENIED,
                    path.string() + ": cannot be written; check the folder, rights and free space");
}

/** Thresholds of the batches so far: one list per batch, and how many pictures it had. */
struct Progress {
    std::vector<std::vector<double>> thresholds;
    std::vector<size_t> pictures;

    void save(const Job& job) const {
        write_json(job.partial(), {{"job", job.identity()}, {"pictures", pictures}, {"thresholds", thresholds}}, -1);
    }

    /** What an earlier call left; empty when there is nothing that belongs to this job. */
    static Progress load(const Job& job, size_t layers) {
        Progress progress;
        if (!fs::exists(job.partial())) return progress;
        const auto document = json::Document::from_file(job.partial().string());
        const Json found = Json::parse(document.root().dump());
        if (!found.contains("job") || found["job"] != job.identity())
            throw failed_precondition(job.partial().string() +
                                      ": belongs to a calibration with other pictures, model, target or batch size; "
                                      "remove it to start over, or choose another --out");
        for (const auto& batch : document.root()["thresholds"].as_array()) {
            progress.thresholds.emplace_back();
            for (const auto& value : batch.as_array()) progress.thresholds.back().push_back(value.as_number(-1, 1));
            if (progress.thresholds.back().size() != layers)
                throw batch.error("has another number of thresholds than the encoder has layers");
        }
        for (const auto& value : document.root()["pictures"].as_array())
            progress.pictures.push_back(static_cast<size_t>(value.as_int(1, 1 << 30)));
        if (progress.pictures.size() != progress.thresholds.size())
            throw document.root()["pictures"].error("does not fit \"thresholds\"; remove the file to start over");
        return progress;
    }

    /** Means over all pictures. */
    std::vector<double> mean(size_t layers) const {
        std::vector<double> sums(layers);
        for (size_t b = 0; b < thresholds.size(); ++b)
            for (size_t l = 0; l < layers; ++l) sums[l] += thresholds[b][l] * static_cast<double>(pictures[b]);
        const auto all = static_cast<double>(std::accumulate(pictures.begin(), pictures.end(), size_t{0}));
        for (double& sum : sums) sum /= all;
        return sums;
    }
};

std::vector<NamedImage> decode(const Pipeline& pipeline, std::span<const fs::path> files) {
    DecodeLimits limits;
    limits.max_pixels = static_cast<uint64_t>(pipeline.manifest().image.max_pixels);
    std::vector<NamedImage> pages;
    for (const auto& file : files)
        pages.push_back({file.string(), decode_file(file, limits, pipeline.recipe().color_mode)});
    std::vector<NamedImage> images;
    for (auto& part : split_pages(pages, pipeline.manifest().image)) images.push_back(std::move(part.image));
    return images;
}

/** Walks the files in batches, skipping `done` batches; calls `work` with the decoded pictures. */
template <typename Work>
void for_batches(const Pipeline& pipeline, const Job& job, size_t done, const char* label, const Work& work) {
    ProgressBar bar(label, "pictures");
    for (size_t begin = done * job.batch; begin < job.files.size(); begin += job.batch) {
        const size_t count = std::min(job.batch, job.files.size() - begin);
        const auto images = decode(pipeline, std::span(job.files).subspan(begin, count));
        if (!images.empty()) work(images);
        bar.update(begin + count, job.files.size());
    }
}

/** Mixes the files, always in the same way: neighbours in a folder are alike, and a batch shall be like the whole. */
void mix(std::vector<fs::path>& files) {
    std::mt19937_64 random(1);
    for (size_t i = files.size(); i > 1; --i) std::swap(files[i - 1], files[random() % i]);
}

double mean_of(const std::vector<int64_t>& values) {
    return static_cast<double>(std::accumulate(values.begin(), values.end(), int64_t{0})) /
           static_cast<double>(std::max<size_t>(1, values.size()));
}

/** The same thresholds with all distances from 1 multiplied. */
std::vector<double> scaled(std::vector<double> thresholds, double factor) {
    constexpr double kDigits = 1e6;  // what a cosine in single precision can tell
    for (double& t : thresholds) t = std::round(std::clamp(1 - (1 - t) * factor, -1.0, 1.0) * kDigits) / kDigits;
    return thresholds;
}

/** Means of thresholds need not leave the mean of tokens, so they are tried, and a common factor is put right (secant
 * steps over its logarithm). Returns the thresholds and the tokens of each picture. */
std::pair<std::vector<double>, std::vector<int64_t>> fit(const Pipeline& pipeline, const Job& job,
                                                         const MergeCalibration& calibration,
                                                         const std::vector<double>& means) {
    constexpr int kTries = 4;
    constexpr double kCloseEnough = 0.02;
    constexpr double kFirstStep = 0.1;
    constexpr double kFarthest = 0.7;  // a factor of 2
    std::vector<double> thresholds;
    std::vector<int64_t> tokens;
    double before = 0, before_log = 0, log = 0;
    for (int attempt = 0;; ++attempt) {
        thresholds = scaled(means, std::exp(log));
        tokens.clear();
        int64_t wanted = 0;
        for_batches(pipeline, job, 0, "trying", [&](const auto& images) {
            for (const auto& image : images) wanted += calibration.wanted(image);
            const auto left = calibration.tokens_with(images, thresholds);
            tokens.insert(tokens.end(), left.begin(), left.end());
        });
        const double target = static_cast<double>(wanted) / static_cast<double>(tokens.size());
        const double miss = mean_of(tokens) / target - 1;
        if (std::abs(miss) <= kCloseEnough || attempt + 1 == kTries) return {thresholds, tokens};
        double step = miss > 0 ? kFirstStep : -kFirstStep;
        if (attempt > 0 && miss != before) step = -miss * (log - before_log) / (miss - before);
        before = miss;
        before_log = log;
        log = std::clamp(log + step, -kFarthest, kFarthest);
    }
}

void calibrate(const Pipeline& pipeline, const Job& job) {
    const MergeCalibration calibration(pipeline, MergeTarget::parse(job.target), &interrupted());
    const auto layers = static_cast<size_t>(calibration.layers());
    Progress progress = Progress::load(job, layers);
    if (!progress.thresholds.empty())
        std::fprintf(stderr, "going on after %zu batches of an earlier call\n", progress.thresholds.size());
    for_batches(pipeline, job, progress.thresholds.size(), "calibrating", [&](const auto& images) {
        progress.thresholds.push_back(calibration.batch(images));
        progress.pictures.push_back(images.size());
        progress.save(job);
    });
    if (progress.thresholds.empty()) throw invalid_argument("the pictures have nothing to look at");
    const auto [thresholds, tokens] = fit(pipeline, job, calibration, progress.mean(layers));
    const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
    write_json(job.out,
               {{"kind", "dymu"},
                {"thresholds", thresholds},
                {"layers", layers},
                {"target", job.target},
                {"model", fs::path(job.model).filename().string()},
                {"pictures", tokens.size()},
                {"tokens", {{"mean", mean_of(tokens)}, {"min", *least}, {"max", *most}}}},
               1);
    fs::remove(job.partial());
    std::printf("%s: %zu thresholds from %zu pictures; they leave %.1f tokens (%lld to %lld)\n",
                job.out.string().c_str(), layers, tokens.size(), mean_of(tokens), static_cast<long long>(*least),
                static_cast<long long>(*most));
}

}  // namespace

int calibrate_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    po::options_description own("Calibration");
    auto add = own.add_options();
    add("reducer", po::value<std::string>(), "what to calibrate: dymu");
    add("images", po::value<std::vector<std::string>>()->composing(), "picture or folder of pictures; repeat");
    add("target", po::value<std::string>()->default_value("mid"),
        "visual tokens that shall stay: high, mid, low (68, 34, 15 %), or a number");
    add("out", po::value<std::string>()->default_value("thresholds.json"), "file to write");
    add("batch", po::value<int>()->default_value(8), "pictures that share their merges");
    all.add(own);
    po::positional_options_description positional;
    positional.add("reducer", 1);
    const auto values = parse(arguments, all, positional, kIntro);
    if (!values) return kSuccess;
    if (!values->contains("reducer") || (*values)["reducer"].as<std::string>() != "dymu")
        throw invalid_argument("calibrate what? Only dymu has thresholds to find: vlmhost calibrate dymu --images DIR");
    if (!values->contains("images")) throw invalid_argument("calibrate: give --images FOLDER; see --help");
    const int batch = (*values)["batch"].as<int>();
    constexpr int kMostAtOnce = 256;
    if (batch < 1 || batch > kMostAtOnce)
        throw invalid_argument("--batch is " + std::to_string(batch) + "; expected 1 to 256");

    Job job;
    job.out = (*values)["out"].as<std::string>();
    job.target = (*values)["target"].as<std::string>();
    job.batch = static_cast<size_t>(batch);
    bool folders = false;
    job.files = image_files((*values)["images"].as<std::vector<std::string>>(), folders);
    mix(job.files);
    MergeTarget::parse(job.target);

    Manifest manifest = manifest_from(*values);
    job.model = fs::absolute(manifest.model).lexically_normal().string();
    // With the reducer in the pipeline its checks are made: is there a hook, does the rest take merged tokens?
    StageManifest dymu;
    dymu.plugin = "org.vlmhost.dymu";
    dymu.options = R"({"tokens": 1})";
    manifest.token_reducers = {dymu};
    OpenOptions open;
    open.encoder_only = true;
    const auto pipeline = open_pipeline(*values, manifest, open);
    calibrate(*pipeline, job);
    return kSuccess;
}

}  // namespace vlm::cli
