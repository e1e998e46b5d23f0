/** @file run.cpp
 *  `vlmhost --manifest FILE --image FILE…`: the main job.
 */
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/base/error.hpp"
#include "host/cli/attention.hpp"
#include "host/cli/batch.hpp"
#include "host/cli/options.hpp"
#include "host/cli/progress.hpp"
#include "host/cli/reduction_map.hpp"
#include "host/cli/report.hpp"
#include "host/cli/score.hpp"
#include "host/image/decode.hpp"

namespace vlm::cli {
namespace {

namespace fs = std::filesystem;

const char* const kIntro =
    "vlmhost: answers questions about images with a vision-language model made of plugins.\n\n"
    "  vlmhost --manifest samples/medical/medical.json --image prescription.png\n"
    "  vlmhost --model llava-1.5-7b-hf --image photo.jpg --prompt \"What is this?\" --stream\n"
    "  vlmhost --manifest medical.json --image scans/ --output answers.jsonl --report answers.html\n\n"
    "Other commands (each with --help):\n"
    "  to ask and to plan   chat, estimate\n"
    "  to measure           bench, parity, quality, calibrate\n"
    "  for plugins          plugins, new-plugin, check, keygen, sign, verify\n"
    "`vlmhost --version` tells the version of the host and of its plugin ABI.\n";

GenerationOptions generation_options(const po::variables_map& values, GenerationOptions options) {
    if (values.contains("max-new-tokens")) options.max_new_tokens = values["max-new-tokens"].as<int64_t>();
    if (values.contains("temperature")) options.temperature = values["temperature"].as<double>();
    if (values.contains("top-k")) options.top_k = values["top-k"].as<int64_t>();
    if (values.contains("top-p")) options.top_p = values["top-p"].as<double>();
    if (values.contains("min-p")) options.min_p = values["min-p"].as<double>();
    if (values.contains("repetition-penalty")) options.repetition_penalty = values["repetition-penalty"].as<double>();
    if (values.contains("seed")) options.seed = values["seed"].as<uint64_t>();
    if (values.contains("prompt-lookup")) options.prompt_lookup = values["prompt-lookup"].as<int64_t>();
    if (values.contains("grammar")) options.grammar = Grammar::from_file(values["grammar"].as<std::string>());
    if (values.contains("stop")) options.stop = values["stop"].as<std::vector<std::string>>();
    check_generation(options);
    return options;
}

void print_plan(const Pipeline& pipeline, const FirstQuestion& question) {
    const MemoryPlan plan = pipeline.plan(question);
    const StageDevices& devices = pipeline.devices();
    const auto line = [](const char* what, const Plugin& plugin, const std::string& place = {}) {
        std::printf("  %-15s %s %s (%s)%s%s\n", what, plugin.id().c_str(), plugin.version().c_str(),
                    plugin.path().c_str(), plugin.isolated() ? ", isolated" : "", place.c_str());
    };
    const auto stage = [&](const char* what, const Plugin& plugin, StageKind kind) {
        line(what, plugin, devices.one() ? "" : " on " + devices.name_of(kind));
    };
    std::printf("plan for");
    for (size_t i = 0; i < question.images.size(); ++i)
        std::printf("%s %d x %d", i > 0 ? "," : "", question.images[i].width, question.images[i].height);
    std::printf(" pixels on %s\n", devices.description().c_str());
    stage("vision encoder", pipeline.encoder().plugin(), StageKind::vision_encoder);
    for (const auto& reducer : pipeline.reducers()) line("token reducer", reducer->plugin());
    stage("connector", pipeline.connector().plugin(), StageKind::connector);
    stage("backbone", pipeline.backbone().plugin(), StageKind::backbone);
    for (const auto& post : pipeline.post_processors()) line("post-processor", post->plugin());
    std::printf("  visual tokens   %lld\n  context         %lld tokens", static_cast<long long>(plan.visual_tokens),
                static_cast<long long>(plan.context_tokens));
    if (plan.sequences > 1) std::printf(", %lld sequences together", static_cast<long long>(plan.sequences));
    std::printf(
        "\n  weights         %s\n  KV cache        %s\n  activations     %s\n  images          %s\n  peak            "
        "%s\n",
        bytes_text(plan.weight_bytes).c_str(), bytes_text(plan.kv_bytes).c_str(),
        bytes_text(plan.activation_bytes).c_str(), bytes_text(plan.image_bytes).c_str(),
        bytes_text(plan.total()).c_str());
    if (!devices.one())
        for (const auto& share : plan.devices)
            std::printf("  %-15s %s: weights %s, KV cache %s, activations %s, images %s\n",
                        ("on " + share.device).c_str(), bytes_text(share.total()).c_str(),
                        bytes_text(share.weight_bytes).c_str(), bytes_text(share.kv_bytes).c_str(),
                        bytes_text(share.activation_bytes).c_str(), bytes_text(share.image_bytes).c_str());
    pipeline.check_plan(plan);
}

nlohmann::ordered_json error_json(const std::string& image, const Error& error) {
    return {{"image", image}, {"error", {{"code", status_name(error.code())}, {"message", error.what()}}}};
}

}  // namespace

int run_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    po::options_description ask("Question");
    auto add = ask.add_options();
    add("image", po::value<std::vector<std::string>>()->composing(), "image file or folder; repeat for several");
    add("prompt", po::value<std::string>(), "question; default: the manifest's");
    add("text", po::value<std::vector<std::string>>()->composing(),
        "label for models that compare images with texts; repeat");
    add("raw", "take the prompt as it is, without the chat template");
    add("max-new-tokens", po::value<int64_t>(), "most tokens to generate");
    add("temperature", po::value<double>(), "0: greedy");
    add("top-k", po::value<int64_t>(), "sample among the k best");
    add("top-p", po::value<double>(), "sample in the smallest set of this probability");
    add("min-p", po::value<double>(), "drop what is below this share of the best");
    add("repetition-penalty", po::value<double>(), "1: off");
    add("seed", po::value<uint64_t>(), "of the random numbers");
    add("prompt-lookup", po::value<int64_t>(),
        "most tokens to guess ahead from the text so far, where the answer repeats it; greedy answers stay the same. "
        "0: off");
    add("stop", po::value<std::vector<std::string>>()->composing(), "stop string; repeat for several");
    add("score", po::value<std::vector<std::string>>()->composing(),
        "do not generate: log-probability of each token of this answer and the mean loss over it (image and prompt are "
        "read, not scored); TEXT, or @FILE; repeat to compare answers");
    add("score-end", "end-of-sequence belongs to the scored answer");
    add("grammar", po::value<std::string>(), "file of a GBNF grammar that answers must follow");
    po::options_description output("Output");
    auto out = output.add_options();
    out("json", "one JSON object per image (docs/results.schema.json)");
    out("stream", "print text as it is generated");
    out("plan", "print parts and memory, load nothing");
    out("trace", po::value<std::string>(), "write a Chrome trace of all stages to this file");
    out("reduction-map", po::value<std::string>(),
        "draw what token reducers merged (one colour per token) and dropped (dark) into this PNG; with several images "
        "NAME-1.png, NAME-2.png, ...");
    all.add(ask).add(output).add(attention_options()).add(batch_options());
    const auto values = parse(arguments, all, {}, kIntro);
    if (!values) return kSuccess;
    if (arguments.empty()) {
        std::cout << kIntro << '\n' << all;
        return kUsage;
    }

    Manifest manifest = manifest_from(*values);
    const bool plan_only = values->contains("plan");
    bool folders = false;
    std::vector<fs::path> files;
    if (values->contains("image")) files = image_files((*values)["image"].as<std::vector<std::string>>(), folders);
    DecodeLimits limits;
    limits.max_pixels = static_cast<uint64_t>(manifest.image.max_pixels);

    // Pages of a folder, and pages that are cut into rows, are questions of their own; other images belong together.
    const bool one_by_one = folders || manifest.image.split_rows;
    if (manifest.image.split_rows && files.empty() && !plan_only)
        throw invalid_argument("give --image: the manifest cuts pages into rows, and there is no page");
    const size_t questions = one_by_one ? files.size() : 1;
    Request question;
    if (values->contains("prompt")) question.prompt = (*values)["prompt"].as<std::string>();
    if (values->contains("text")) question.texts = (*values)["text"].as<std::vector<std::string>>();
    question.raw_prompt = values->contains("raw");
    const auto options = generation_options(*values, manifest.generation);

    // Images come before weights: what is wrong with them shows at once, and their sizes decide about memory. Pages of
    // a folder are planned one by one, when it is their turn: a bad one must not lose the others.
    std::vector<Image> decoded;
    OpenOptions open;
    open.load_weights = !plan_only;
    open.first.max_new_tokens = options.max_new_tokens;
    if (questions == 1 || plan_only) {
        for (size_t i = 0; i < (one_by_one ? std::min<size_t>(1, files.size()) : files.size()); ++i) {
            decoded.push_back(decode_file(files[i], limits, ColorMode::kKeep));
            open.first.images.push_back({decoded.back().width, decoded.back().height});
        }
        open.first.prompt = question.prompt;
        open.first.raw_prompt = question.raw_prompt;
    }
    if (plan_only && files.empty()) {
        open.first.images.push_back({1080, 1440});  // a page at about 130 dots per inch
        open.first.prompt.reset();
    }
    const AttentionPictures attention(*values);
    if (attention.wanted() && values->contains("score"))
        throw invalid_argument(
            "--attention draws what chose the tokens of an answer, and with --score none is generated");
    const auto pipeline = attention.wanted() && !plan_only ? attention.open(*values, manifest, open)
                                                           : open_pipeline(*values, manifest, open);
    if (plan_only) {
        print_plan(*pipeline, open.first);
        return kSuccess;
    }

    if (values->contains("reduction-map")) check_reduction_map(*pipeline);

    const bool json = values->contains("json");
    const auto answers = values->contains("score") ? given_answers((*values)["score"].as<std::vector<std::string>>())
                                                   : std::vector<std::string>();
    const bool score_end = values->contains("score-end");
    Trace trace;
    Listeners listeners;
    listeners.cancelled = &interrupted();
    StreamCallback stream;
    if (values->contains("stream"))
        stream = [](size_t, const std::string& text) {
            std::fwrite(text.data(), 1, text.size(), stdout);
            std::fflush(stdout);
            return true;
        };

    int status = kSuccess;
    ProgressBar bar("reading", "pages");
    Batch batch(*values, *pipeline, limits);
    for (size_t i = 0; i < questions; ++i) {
        const std::string name = files.empty() ? "" : files[i].string();
        try {
            if (!batch.begin(name)) {
                bar.update(i + 1, questions);
                continue;
            }
            Request request = question;
            const ColorMode mode = pipeline->recipe().color_mode;
            for (size_t k = 0; k < (one_by_one ? 1 : files.size()); ++k) {
                const bool ready = i + k < decoded.size();
                request.images.push_back(
                    {files[i + k].string(), ready ? with_color_mode(std::exchange(decoded[i + k], {}), mode)
                                                  : decode_file(files[i + k], limits, mode)});
            }
            Trace own;
            if (!answers.empty()) {
                print_scores(request, score_answers(*pipeline, request, answers, score_end, listeners, &own), json);
                trace.append(own);
                continue;
            }
            auto result = pipeline->answer({request}, options, listeners, stream, &own).front();
            result.timings_ms = own.totals_ms();
            trace.append(own);
            if (values->contains("reduction-map"))
                write_reduction_maps((*values)["reduction-map"].as<std::string>(), request, result, i, files.size());
            if (attention.wanted()) attention.write(*pipeline, request, result, i, listeners);
            if (stream) std::puts("");
            const std::string line = result.to_json();
            if (json)
                std::printf("%s\n", line.c_str());
            else if (!batch.writes_file())
                print_report(result, !stream);
            std::fflush(stdout);
            batch.end(nlohmann::ordered_json::parse(line));
        } catch (const Error& error) {
            if (error.code() == VLM_STATUS_CANCELLED || questions == 1) throw;
            // One bad page must not lose the others.
            status = kFailure;
            const auto line = error_json(name, error);
            if (json) std::printf("%s\n", line.dump().c_str());
            batch.end(line);
            std::fprintf(stderr, "error: %s: %s\n", name.c_str(), error.what());
        }
        if (questions > 1) bar.update(i + 1, questions);
    }
    batch.finish();
    if (values->contains("trace")) trace.write_chrome((*values)["trace"].as<std::string>());
    return status;
}

}  // namespace vlm::cli
