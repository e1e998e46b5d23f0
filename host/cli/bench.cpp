/** @file bench.cpp
 *  `vlmhost bench`: how long each stage takes, how close to the machine's limits that is, and how much memory the
 *  process ever had. Options and what the ways of measuring share are here; each way has a file of its own.
 */
#include "host/cli/bench.hpp"

#include <algorithm>
#include <charconv>
#include <iostream>

#include "host/base/cache_folder.hpp"
#include "host/base/cpu_features.hpp"
#include "host/base/error.hpp"
#include "host/bench/random_checkpoint.hpp"
#include "host/cli/bench_sweep.hpp"
#include "host/cli/progress.hpp"
#include "host/image/decode.hpp"

namespace vlm::cli {
namespace {

const char* const kIntro =
    "vlmhost bench: measures a pipeline stage by stage.\n\n"
    "  vlmhost bench --model FOLDER                       whole answers of any pipeline\n"
    "  vlmhost bench --shape llava-1.1b --json > new.json each stage of a real shape with random weights\n"
    "  vlmhost bench --shape llava-1.1b --compare old.json\n"
    "  vlmhost bench --shape llava-1.1b --scaling         time against tokens, image size, batch and threads\n"
    "  vlmhost bench --model FOLDER --lookup 4,7          answers with and without guessing ahead, in turns\n";

po::options_description bench_options() {
    std::string shapes;
    for (const auto& shape : bench::model_shapes()) shapes += "\n" + shape.name + ": " + shape.description;
    po::options_description options("Measurement");
    auto add = options.add_options();
    add("image", po::value<std::vector<std::string>>()->composing(), "image file; default: a drawn page");
    add("prompt", po::value<std::string>(), "question; default: the manifest's, or a short one");
    add("runs", po::value<int>()->default_value(5), "measurements that count, after one that does not");
    add("new-tokens", po::value<int64_t>()->default_value(32), "tokens of each answer; the end of text is ignored");
    add("json", "print one JSON object");
    add("shape", po::value<std::string>(), ("a real shape with random weights instead of a model:" + shapes).c_str());
    add("stages", "with --model or --manifest: each stage alone, as with --shape");
    add("scaling", "time against tokens, image size, batch and threads");
    add("compare", po::value<std::string>(), "earlier output of --json to compare the stages with");
    add("lookup", po::value<std::string>(), "most tokens to guess ahead (--prompt-lookup), to compare with none: 4,7");
    add("answer", po::value<std::string>(),
        "with --lookup: what every answer is made to say, by a grammar; default: with --shape the prompt, since random "
        "weights copy nothing of themselves, else whatever it says");
    add("checkpoints", po::value<std::string>(), "folder for the weights of shapes; default: the user's cache");
    add("context", po::value<int64_t>()->default_value(640), "tokens of the prompt, its image included");
    add("decode-steps", po::value<int64_t>()->default_value(16), "tokens of each run of decoding");
    add("batches", po::value<std::string>()->default_value("1,4,8"), "sequences that decode together");
    add("starts", po::value<int>()->default_value(3), "processes to start for the time to the first token");
    add("first-token", "open, make one token, and tell the times as JSON");
    add("serve", "measure what standard input asks for, one JSON object a line (tools/bench/peers)");
    add_sweep_options(options);
    return options;
}

}  // namespace

Image test_page(int width, int height) {
    constexpr int kBar = 24;
    Image page = make_image(width, height, 3);
    for (size_t i = 0; i < page.pixels.size(); ++i) {
        const auto y = static_cast<int>(i / page.stride());
        page.pixels[i] = y / kBar % 2 == 0 ? 240 : static_cast<uint8_t>(i * 37 % 200);
    }
    return page;
}

Image bench_image(const po::variables_map& values, const Manifest& manifest) {
    constexpr int kWidth = 640, kHeight = 480;
    if (!values.contains("image")) return test_page(kWidth, kHeight);
    DecodeLimits limits;
    limits.max_pixels = static_cast<uint64_t>(manifest.image.max_pixels);
    return decode_file(values["image"].as<std::vector<std::string>>().front(), limits);
}

Subject subject_of(const po::variables_map& values) {
    if (!values.contains("shape")) {
        const char* source = values.contains("model") ? "model" : "manifest";
        Manifest manifest = manifest_from(values);
        return {values[source].as<std::string>(), std::move(manifest)};
    }
    if (values.contains("model") || values.contains("manifest"))
        throw invalid_argument("--shape makes a model of its own; give it without --model and --manifest");
    const auto& shape = bench::model_shape(values["shape"].as<std::string>());
    const std::filesystem::path parent = values.contains("checkpoints")
                                             ? std::filesystem::path(values["checkpoints"].as<std::string>())
                                             : cache_folder() / "shapes";
    ProgressBar bar("writing random weights");
    const auto folder = bench::ensure_checkpoint(
        shape, parent, [&](uint64_t done, uint64_t total) { bar.update(done, total); },
        [] { return interrupted().load(); });
    Manifest manifest = Manifest::for_model(folder);
    apply_options(values, manifest);
    return {shape.name, std::move(manifest)};
}

bench::PeakType peak_type(const Manifest& manifest) {
    if (manifest.weights == "int8" || manifest.weights == "int4") return bench::PeakType::int8;
    const bool exact = manifest.dtype == "f32" || (manifest.dtype == "auto" && active_isa() < Isa::avx512_bf16);
    return exact ? bench::PeakType::f32 : bench::PeakType::bf16;
}

std::vector<int64_t> number_list(const std::string& option, const std::string& text) {
    std::vector<int64_t> numbers;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (true) {
        int64_t number = 0;
        const auto [next, error] = std::from_chars(at, end, number);
        if (error != std::errc() || number < 1 || (next != end && *next != ','))
            throw invalid_argument("--" + option + " \"" + text + "\": expected numbers from 1 like 1,4,8");
        numbers.push_back(number);
        if (next == end) return numbers;
        at = next + 1;
    }
}

int bench_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    all.add(bench_options());
    const auto values = parse(arguments, all, {}, kIntro);
    if (!values) return kSuccess;
    if ((*values)["runs"].as<int>() < 1) throw invalid_argument("--runs must be at least 1");
    for (const char* name : {"new-tokens", "context", "decode-steps"})
        if ((*values)[name].as<int64_t>() < 1) throw invalid_argument(std::string("--") + name + " must be at least 1");
    if (values->contains("sweep")) return bench_sweep(*values);
    if (values->contains("first-token")) return bench_first_token(*values);
    if (values->contains("serve")) return bench_serve(*values);
    if (values->contains("lookup")) return bench_lookup(*values);
    if (values->contains("scaling")) return bench_scaling(*values);
    if (values->contains("shape") || values->contains("stages")) return bench_stages(arguments, *values);
    if (values->contains("compare")) throw invalid_argument("--compare needs --shape or --stages");
    return bench_answers(*values);
}

}  // namespace vlm::cli
