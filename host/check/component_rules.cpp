/** @file component_rules.cpp
 *  The life of a component of any kind: made from text, described, destroyed, and nothing else disturbed.
 */
#include <fcntl.h>
#include <unistd.h>
#include <vlm/backbone.h>
#include <vlm/connector.h>
#include <vlm/vision_encoder.h>

#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>

#include "host/check/rules.hpp"
#include "host/check/trial.hpp"
#include "host/plugin/loader.hpp"
#include "host/services/run.hpp"

namespace vlm {
namespace {

/** The options with what a checkpoint's stage of `kind` says in them. */
CheckOptions staged(const std::string& kind, const CheckOptions& options) {
    const StageConfig stage = stage_config_of(kind, options);
    CheckOptions made = options;
    made.options = stage.config;
    made.model = stage.model;
    made.preprocessor = stage.preprocessor;
    return made;
}

/** Runs `body` on every kind that the plugin offers, with the options of that kind's stage. */
void for_each_kind(const CheckOptions& all_options,
                   const std::function<void(const std::string& kind, const vlm_component_api& api,
                                            const CheckOptions& options)>& body) {
    const Subject subject(all_options);
    const auto kinds = subject.interfaces();
    must(!kinds.empty(), "offers none of the kinds that this host knows");
    for (const auto& [kind, api] : kinds) body(kind, *api, staged(kind, all_options));
}

/** Creates and destroys; a refusal is fine. */
Created try_out(const vlm_component_api& api, const std::string& config, const std::string& model = "{}",
                const std::string& preprocessor = "{}") {
    Created made = create(api, config, model, preprocessor);
    if (made.component != nullptr) api.destroy(made.component);
    return made;
}

void create_refuses_nonsense(const CheckOptions& all_options) {
    for_each_kind(all_options, [](const std::string& kind, const vlm_component_api& api, const CheckOptions& options) {
        const auto must_refuse = [&](const std::string& config, const std::string& what) {
            Created made = try_out(api, config, options.model, options.preprocessor);
            must(made.status != VLM_STATUS_OK, kind + ": create accepted " + what);
            must(made.status > 0 && made.status <= VLM_STATUS_UNAUTHENTICATED,
                 kind + ": create answered " + what + " with the unknown status " + std::to_string(made.status));
            must(!made.reason.empty(), kind + ": create refused " + what + " without a reason");
            return made;
        };
        const Created plain = try_out(api, "{}");
        must(plain.status == VLM_STATUS_OK || !plain.reason.empty(), kind + ": create refused {} without a reason");
        for (const char* broken : {"{", "[1, 2]", "{\"a\": }", "\"text\"", "\xFF\xFE"})
            must_refuse(broken, std::string("the malformed configuration `") + broken + "`");
        must_refuse(std::string(5000, '['), "5000 opening brackets");
        const bool empty = options.options.find(':') == std::string::npos;
        const std::string with_unknown =
            empty ? "{\"no_such_option_of_anyone\": 1}"
                  : options.options.substr(0, options.options.rfind('}')) + ", \"no_such_option_of_anyone\": 1}";
        const Created unknown = must_refuse(with_unknown, "an unknown option");
        if (try_out(api, options.options, options.model, options.preprocessor).status == VLM_STATUS_OK)
            must(unknown.reason.find("no_such_option_of_anyone") != std::string::npos,
                 kind + ": the refusal of an unknown option does not name it: " + unknown.reason);

        vlm_component* component = nullptr;
        must(api.create(nullptr, &component) != VLM_STATUS_OK, kind + ": create accepted a NULL configuration");
        vlm_component_config config{};
        must(api.create(&config, &component) != VLM_STATUS_OK,
             kind + ": create accepted a configuration of struct_size 0");
        config.struct_size = sizeof(config);
        config.abi_version = VLM_ABI_VERSION;
        config.config = config.model = config.preprocessor = {"{}", 2};
        must(api.create(&config, nullptr) != VLM_STATUS_OK, kind + ": create accepted a NULL place for the component");
    });
}

/** Tries `describe` of one kind with a struct that is shorter and one that is longer than the plugin's. */
template <typename Table, typename Description>
bool describes_any_size(const Subject& subject, const char* kind) {
    if (subject.plugin().get_interface(kind) == nullptr) return false;
    const auto table = table_of<Table>(subject, kind);
    must(table.describe != nullptr, std::string(kind) + ": the table lacks describe");
    const MadeComponent component(table.base, staged(kind, subject.options()));
    constexpr size_t kRoom = sizeof(Description) + 64;
    struct alignas(Description) Room {
        std::array<unsigned char, kRoom> bytes;
    };
    const auto describe = [&](uint32_t size) {
        Room room;
        room.bytes.fill(0x5A);
        const uint32_t header[2] = {size, VLM_ABI_VERSION};
        std::memcpy(room.bytes.data(), header, sizeof(header));
        const vlm_status status = table.describe(component.get(), reinterpret_cast<Description*>(room.bytes.data()));
        must(status == VLM_STATUS_OK, std::string(kind) + ": describe of a struct of " + std::to_string(size) +
                                          " bytes gave " + status_name(status));
        must(std::memcmp(room.bytes.data(), header, sizeof(header)) == 0,
             std::string(kind) + ": describe changed struct_size or abi_version, which are the host's");
        for (size_t i = std::min<size_t>(size, sizeof(Description)); i < kRoom; ++i)
            must(room.bytes[i] == 0x5A, std::string(kind) + ": describe wrote behind byte " + std::to_string(i) +
                                            " of a struct of " + std::to_string(size) +
                                            " bytes; write min(struct_size, own sizeof)");
        return room;
    };
    const Room usual = describe(sizeof(Description));
    const Room shorter = describe(16);
    const Room longer = describe(kRoom);
    constexpr size_t kHeader = 8;
    must(std::memcmp(usual.bytes.data() + kHeader, shorter.bytes.data() + kHeader, 16 - kHeader) == 0 &&
             std::memcmp(usual.bytes.data() + kHeader, longer.bytes.data() + kHeader, sizeof(Description) - kHeader) ==
                 0,
         std::string(kind) + ": describe fills the same members differently for another struct_size");

    Description zero{};
    must(table.describe(component.get(), &zero) != VLM_STATUS_OK,
         std::string(kind) + ": describe accepted a struct of struct_size 0");
    must(table.describe(component.get(), nullptr) != VLM_STATUS_OK, std::string(kind) + ": describe accepted NULL");
    return true;
}

void structs_of_any_size(const CheckOptions& all_options) {
    const Subject subject(all_options);
    bool any = describes_any_size<vlm_vision_encoder, vlm_vision_description>(subject, VLM_KIND_VISION_ENCODER);
    any |= describes_any_size<vlm_connector, vlm_connector_description>(subject, VLM_KIND_CONNECTOR);
    any |= describes_any_size<vlm_backbone, vlm_backbone_description>(subject, VLM_KIND_BACKBONE);
    // Every kind reads vlm_component_config; one of a later host is longer.
    for (const auto& [kind, api] : subject.interfaces()) {
        const CheckOptions options = staged(kind, all_options);
        struct {
            vlm_component_config config{};
            unsigned char later[64];
        } longer;
        std::memset(longer.later, 0xFF, sizeof(longer.later));
        ReasonBuffer reason(512);
        longer.config.struct_size = sizeof(longer);
        longer.config.abi_version = VLM_ABI_VERSION + 1;
        longer.config.host = &host_info({});
        longer.config.config = {options.options.data(), options.options.size()};
        longer.config.model = {options.model.data(), options.model.size()};
        longer.config.preprocessor = {options.preprocessor.data(), options.preprocessor.size()};
        longer.config.reason = reason.data();
        longer.config.reason_size = reason.size();
        vlm_component* component = nullptr;
        const vlm_status status = api->create(&longer.config, &component);
        const vlm_status usual = try_out(*api, options.options, options.model, options.preprocessor).status;
        must(status == usual, kind + ": create of a configuration of a later host gave " + status_name(status) +
                                  ", of today's " + status_name(usual) + ": " + reason.text());
        if (component != nullptr) api->destroy(component);
    }
    (void)any;
}

int64_t resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    int64_t total = 0;
    int64_t resident = 0;
    statm >> total >> resident;
    return resident * sysconf(_SC_PAGESIZE);
}

void leaks_nothing(const CheckOptions& all_options) {
    for_each_kind(all_options, [](const std::string& kind, const vlm_component_api& api, const CheckOptions& options) {
        api.destroy(nullptr);
        constexpr int kTimes = 100;
        constexpr int kRounds = 3;
        constexpr int64_t kMostResident = int64_t{8} << 20;
        // Both paths: a component that lives and dies, and a refusal.
        for (const std::string& config : {options.options, std::string("{\"no_such_option_of_anyone\": 1}")}) {
            const auto again = [&] {
                for (int i = 0; i < kTimes; ++i) try_out(api, config, options.model, options.preprocessor);
            };
            again();
            // What is lost once is the C library's (a buffer, a table); a leak leaks every time.
            int64_t lost = std::numeric_limits<int64_t>::max();
            int64_t grown = lost;
            for (int round = 0; round < kRounds && (lost >= kTimes * 8 || grown >= kMostResident); ++round) {
                const int64_t heap = bytes_in_use();
                const int64_t resident = resident_bytes();
                again();
                lost = std::min(lost, bytes_in_use() - heap);
                grown = std::min(grown, resident_bytes() - resident);
            }
            must(lost < kTimes * 8, kind + ": " + std::to_string(lost) + " bytes are lost in " +
                                        std::to_string(kTimes) + " times of create and destroy with " + config);
            must(grown < kMostResident, kind + ": the process grew by " + std::to_string(grown) + " bytes in " +
                                            std::to_string(kTimes) + " times of create and destroy with " + config);
        }
    });
}

/** What belongs to the application and not to a plugin. */
struct ProcessState {
    std::array<std::string, 32> handlers;
    std::string locale;
    std::array<char, 4096> folder{};
    int open_files = 0;
    std::vector<std::string> environment;

    ProcessState() {
        for (size_t signal = 1; signal < handlers.size(); ++signal) {
            struct sigaction action {};
            sigaction(static_cast<int>(signal), nullptr, &action);
            handlers[signal].assign(reinterpret_cast<const char*>(&action.sa_handler), sizeof(action.sa_handler));
        }
        locale = std::setlocale(LC_ALL, nullptr);
        if (getcwd(folder.data(), folder.size()) == nullptr) folder[0] = '\0';
        constexpr int kFiles = 256;
        for (int fd = 0; fd < kFiles; ++fd) open_files += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
        for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) environment.emplace_back(*entry);
        std::sort(environment.begin(), environment.end());
    }
};

void process_stays_as_it_was(const CheckOptions& all_options) {
    const ProcessState before;
    for_each_kind(all_options, [](const std::string&, const vlm_component_api& api, const CheckOptions& options) {
        try_out(api, options.options, options.model, options.preprocessor);
    });
    const ProcessState after;
    must(before.handlers == after.handlers, "installs a signal handler; signals belong to the application");
    must(before.locale == after.locale, "changes the locale of the process to " + after.locale);
    must(before.folder == after.folder, "changes the working folder of the process");
    for (const auto& entry : after.environment)
        must(std::binary_search(before.environment.begin(), before.environment.end(), entry),
             "sets the environment variable " + entry.substr(0, entry.find('=')));
    must(before.environment.size() == after.environment.size(), "removes a variable from the environment");
    must(before.open_files == after.open_files, "leaves " + std::to_string(after.open_files - before.open_files) +
                                                    " files open after the component was destroyed");
}

}  // namespace

std::vector<Rule> component_rules() {
    return {
        {"VLM-P-07", "create refuses what it cannot use, with a reason", create_refuses_nonsense},
        {"VLM-P-08", "reads and writes structs of other sizes than its own", structs_of_any_size},
        {"VLM-P-09", "destroy frees everything and takes NULL", leaks_nothing},
        {"VLM-P-12", "leaves signals, locale, working folder, environment and files alone", process_stays_as_it_was}};
}

}  // namespace vlm
