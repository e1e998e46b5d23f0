/** @file chat.cpp
 *  `vlmhost chat`: a conversation in the terminal. What was read stays in the KV cache, and each picture is encoded
 * once.
 */
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "host/base/error.hpp"
#include "host/cli/options.hpp"
#include "host/image/decode.hpp"
#include "host/pipeline/session.hpp"

namespace vlm::cli {
namespace {

const char* const kIntro =
    "vlmhost chat --model FOLDER | --manifest FILE: a conversation, one line per turn, read from the terminal or a "
    "pipe.\n\n"
    "  /image FILE   show a picture with the next question      /new    forget everything and start over\n"
    "  /help         these commands                             /quit   leave (so does the end of the input)\n\n"
    "Ctrl-C stops an answer. With --json one object per turn is printed; its `tokens.reused` are those that the KV "
    "cache "
    "had.\n";

const char* const kCommands = "/image FILE, /new, /help, /quit; everything else is a question\n";

std::string trimmed(const std::string& text) {
    const size_t begin = text.find_first_not_of(" \t\r");
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/** One conversation and what waits for the next question. */
class Chat {
  public:
    Chat(std::shared_ptr<const Pipeline> pipeline, GenerationOptions options, bool json, bool raw)
        : pipeline_(std::move(pipeline)), options_(std::move(options)), json_(json), raw_(raw) {
        start();
    }

    /** Takes a line; false: leave. A mistake is told and the conversation goes on. */
    bool take(const std::string& line) {
        const std::string text = trimmed(line);
        const std::string command = text.substr(0, text.find(' '));
        try {
            if (text.empty()) return true;
            if (command == "/quit" || command == "/exit") return false;
            if (command == "/new")
                start();
            else if (command == "/image")
                add_image(trimmed(text.substr(command.size())));
            else if (command.starts_with('/'))
                std::fputs(kCommands, stderr);
            else
                ask(text);
        } catch (const Error& error) {
            if (json_)
                std::printf("%s\n", nlohmann::ordered_json{{"error", {{"message", error.what()}}}}.dump().c_str());
            std::fprintf(stderr, "%s\n", error.code() == VLM_STATUS_CANCELLED ? "(stopped)" : error.what());
            failed_ = true;
        }
        return true;
    }
    bool failed() const { return failed_; }

  private:
    void start() {
        session_ = std::make_unique<Session>(pipeline_);
        images_.clear();
    }

    void add_image(const std::string& path) {
        if (path.empty()) throw invalid_argument("/image needs a file: /image photo.png");
        DecodeLimits limits;
        limits.max_pixels = static_cast<uint64_t>(pipeline_->manifest().image.max_pixels);
        images_.push_back({path, decode_file(path, limits, pipeline_->recipe().color_mode)});
        if (!json_)
            std::printf("(%s, %d x %d)\n", path.c_str(), images_.back().image.width, images_.back().image.height);
    }

    void ask(const std::string& text) {
        Request request;
        request.prompt = text;
        request.raw_prompt = raw_;
        request.images = std::move(images_);
        images_.clear();
        StreamCallback stream;
        if (!json_)
            stream = [](size_t, const std::string& piece) {
                std::fwrite(piece.data(), 1, piece.size(), stdout);
                std::fflush(stdout);
                return !interrupted().load();
            };
        const auto result = session_->generate(request, options_, stream);
        if (json_)
            std::printf("%s\n", result.to_json().c_str());
        else
            std::printf("\n");
        std::fflush(stdout);
    }

    std::shared_ptr<const Pipeline> pipeline_;
    GenerationOptions options_;
    bool json_;
    bool raw_;
    bool failed_ = false;
    std::unique_ptr<Session> session_;
    std::vector<NamedImage> images_;
};

}  // namespace

int chat_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    auto add = all.add_options();
    add("image", po::value<std::vector<std::string>>()->composing(), "picture of the first question; repeat");
    add("max-new-tokens", po::value<int64_t>(), "most tokens of an answer");
    add("temperature", po::value<double>(), "0: greedy");
    add("raw", "take lines as they are, without the chat template");
    add("json", "one JSON object per turn (docs/results.schema.json)");
    const auto values = parse(arguments, all, {}, kIntro);
    if (!values) return kSuccess;
    std::shared_ptr<const Pipeline> pipeline = open_pipeline(*values, manifest_from(*values));
    if (pipeline->backbone().description().output != VLM_OUTPUT_LOGITS)
        throw unimplemented(pipeline->backbone().plugin().id() +
                            " does not generate text; ask a single question without `chat`");
    GenerationOptions options = pipeline->manifest().generation;
    if (values->contains("max-new-tokens")) options.max_new_tokens = (*values)["max-new-tokens"].as<int64_t>();
    if (values->contains("temperature")) options.temperature = (*values)["temperature"].as<double>();
    check_generation(options);

    const bool json = values->contains("json");
    Chat chat(pipeline, options, json, values->contains("raw"));
    if (values->contains("image"))
        for (const auto& path : (*values)["image"].as<std::vector<std::string>>()) chat.take("/image " + path);
    if (!json) std::fputs(kCommands, stdout);
    std::string line;
    while (true) {
        if (!json) std::fputs("> ", stdout);
        std::fflush(stdout);
        if (!std::getline(std::cin, line) || !chat.take(line)) break;
    }
    if (!json) std::puts("");
    return chat.failed() ? kFailure : kSuccess;
}

}  // namespace vlm::cli
