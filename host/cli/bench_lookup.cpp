/** @file bench_lookup.cpp
 *  What guessing ahead gains (host/pipeline/prompt_lookup.hpp): every question is answered without it and with it, in
 * turns, so that what else the machine does meets both. Ratios are formed within a turn. Beside the time stand the
 * numbers by which such guessing is judged elsewhere as well: the share of guesses that were right, and tokens per
 * step.
 *
 *  Random weights say nothing that a guess could find. A grammar with one sentence makes them copy the prompt, or say
 * what a page of real text would have them say; everything but the choice of the token is then computed as always.
 */
#include <cstdio>

#include "host/bench/series.hpp"
#include "host/cli/bench.hpp"
#include "host/image/decode.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

/** A grammar with `text` as its only sentence. */
std::shared_ptr<const Grammar> only(const std::string& text) {
    std::string quoted;
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        if (c == '\n')
            quoted += "\\n";
        else
            quoted += c;
    }
    return Grammar::parse("root ::= \"" + quoted + "\"", "--answer");
}

/** One way to answer: with at most `most` guesses. */
struct Way {
    int64_t most = 0;
    bench::Series ms, rate, ratio;  ///< Decoding in one turn; tokens per second; that by the rate without guesses.
    GuessCounts guesses;            ///< Of one turn.
    int64_t tokens = 0;             ///< Of one turn, but for the first of each answer.
    std::vector<int32_t> ids;       ///< Of all answers.
};

std::vector<Request> requests_of(const po::variables_map& values, const Manifest& manifest) {
    Request request;
    if (values.contains("prompt"))
        request.prompt = values["prompt"].as<std::string>();
    else if (manifest.prompt.empty())
        request.prompt = "Describe this image.";
    std::vector<Request> requests;
    if (!values.contains("image")) {
        request.images.push_back({"drawn page", bench_image(values, manifest)});
        return {request};
    }
    bool folders = false;
    DecodeLimits limits;
    limits.max_pixels = static_cast<uint64_t>(manifest.image.max_pixels);
    for (const auto& file : image_files(values["image"].as<std::vector<std::string>>(), folders)) {
        request.images = {{file.string(), decode_file(file, limits)}};
        requests.push_back(request);
    }
    return requests;
}

/** Answers all requests, one after the other, and adds what was measured. */
void measure(const Pipeline& pipeline, const std::vector<Request>& requests, GenerationOptions options, Way& way,
             bool counts) {
    Listeners listeners;
    listeners.cancelled = &interrupted();
    options.prompt_lookup = way.most;
    way.ids.clear();
    way.guesses = {};
    way.tokens = 0;
    double ms = 0;
    for (const auto& request : requests) {
        Trace trace;
        const Result result = pipeline.answer({request}, options, listeners, {}, &trace).front();
        const auto stages = trace.totals_ms();
        if (const auto decode = stages.find("decode"); decode != stages.end()) ms += decode->second;
        way.guesses.add(result.tokens.guesses);
        for (const auto& answer : result.answers) {
            for (const auto& token : answer.tokens) way.ids.push_back(token.id);
            way.tokens += std::max<int64_t>(0, static_cast<int64_t>(answer.tokens.size()) - 1);
        }
    }
    if (way.tokens == 0 || ms <= 0) throw failed_precondition("no answer has more than one token: nothing to measure");
    if (!counts) return;
    way.ms.add(ms);
    way.rate.add(static_cast<double>(way.tokens) / ms * 1e3);
}

double share(int64_t part, int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

void print(const Pipeline& pipeline, const std::vector<Way>& ways, size_t questions) {
    std::printf("%s; %zu question%s, %lld tokens\n%-10s %30s %24s %7s %9s %9s %12s %6s\n",
                pipeline.devices().description().c_str(), questions, questions == 1 ? "" : "s",
                static_cast<long long>(ways.front().tokens), "guesses", "tokens/s min median max", "against none",
                "steps", "proposed", "accepted", "tokens/step", "equal");
    for (const Way& way : ways)
        std::printf("%-10s %10.1f %9.1f %9.1f %8.2f (%.2f to %.2f) %7lld %9lld %8.0f%% %12.2f %6s\n",
                    way.most == 0 ? "none" : ("up to " + std::to_string(way.most)).c_str(), way.rate.min(),
                    way.rate.median(), way.rate.max(), way.ratio.median(), way.ratio.min(), way.ratio.max(),
                    static_cast<long long>(way.guesses.steps), static_cast<long long>(way.guesses.proposed),
                    100 * share(way.guesses.accepted, way.guesses.proposed), share(way.tokens, way.guesses.steps),
                    way.ids == ways.front().ids ? "yes" : "NO");
}

void print_json(const Pipeline& pipeline, const std::vector<Way>& ways, size_t questions) {
    json::Writer writer;
    writer.begin_object().member("device", pipeline.devices().description());
    writer.member("questions", static_cast<int64_t>(questions)).key("ways").begin_array();
    const auto summary = [&](const char* name, const bench::Series& s) {
        writer.key(name).begin_object().member("min", s.min()).member("median", s.median());
        writer.member("max", s.max()).end_object();
    };
    for (const Way& way : ways) {
        writer.begin_object().member("prompt_lookup", way.most).member("tokens", way.tokens);
        writer.member("steps", way.guesses.steps).member("proposed", way.guesses.proposed);
        writer.member("accepted", way.guesses.accepted).member("equal", way.ids == ways.front().ids);
        summary("decode_ms", way.ms);
        summary("tokens_per_s", way.rate);
        summary("against_none", way.ratio);
        writer.end_object();
    }
    writer.end_array().end_object();
    std::printf("%s\n", writer.take().c_str());
}

}  // namespace

int bench_lookup(const po::variables_map& values) {
    std::vector<Way> ways(1);
    for (const int64_t most : number_list("lookup", values["lookup"].as<std::string>())) {
        ways.emplace_back();
        ways.back().most = most;
    }
    Subject subject = subject_of(values);
    const auto requests = requests_of(values, subject.manifest);
    const auto pipeline = open_pipeline(values, std::move(subject.manifest));
    GenerationOptions options = pipeline->manifest().generation;
    options.temperature = 0;
    if (!values["new-tokens"].defaulted()) options.max_new_tokens = values["new-tokens"].as<int64_t>();
    if (values.contains("answer"))
        options.grammar = only(values["answer"].as<std::string>());
    else if (values.contains("shape"))
        options.grammar = only(requests.front().prompt);
    const int runs = values["runs"].as<int>();
    for (int run = 0; run <= runs; ++run) {
        for (Way& way : ways) measure(*pipeline, requests, options, way, run > 0);
        for (Way& way : ways)
            if (run > 0) way.ratio.add(way.rate.values.back() / ways.front().rate.values.back());
    }
    (values.contains("json") ? print_json : print)(*pipeline, ways, requests.size());
    for (const Way& way : ways)
        if (way.ids != ways.front().ids)
            throw Error(VLM_STATUS_INTERNAL,
                        "guessing up to " + std::to_string(way.most) + " tokens changed an answer");
    return kSuccess;
}

}  // namespace vlm::cli
