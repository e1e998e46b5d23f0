/** @file cuda_device.cpp
 *  See cuda_device.hpp. The library is never unloaded: threads of the CUDA driver may still run in it.
 */
#include "host/compute/cuda_device.hpp"

#include <dlfcn.h>
#include <sys/auxv.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/compute/cuda/library.h"
#include "host/compute/decoding_device.hpp"

namespace vlm {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLibraryName = "libvlm_compute_cuda.so";

Error unavailable(const std::string& message) {
    return {VLM_STATUS_UNAVAILABLE, message};
}

/** An open GPU of the library. */
class OpenGpu {
  public:
    explicit OpenGpu(const vlm_cuda_device& device) : device_(device) {}
    ~OpenGpu() { device_.close(device_.impl); }
    OpenGpu(const OpenGpu&) = delete;
    OpenGpu& operator=(const OpenGpu&) = delete;
    const vlm_cuda_device& get() const { return device_; }

  private:
    vlm_cuda_device device_;
};

/** Memory keeps the GPU open, since tensors of a session may outlive its pipeline. */
std::shared_ptr<void> allocate_on(const std::shared_ptr<OpenGpu>& gpu, int64_t bytes) {
    std::array<char, 512> message{};
    void* memory = gpu->get().allocate(gpu->get().impl, bytes, message.data(), message.size());
    if (memory == nullptr) throw resource_exhausted(message.data());
    return {memory, [gpu](void* block) { gpu->get().release(gpu->get().impl, block); }};
}

class CudaDevice final : public DecodingDevice {
  public:
    CudaDevice(std::shared_ptr<OpenGpu> gpu, double weight_bytes) : gpu_(std::move(gpu)), weight_bytes_(weight_bytes) {
        allocator_.device = gpu_->get().compute->device;
        allocator_.allocate = [open = std::weak_ptr<OpenGpu>(gpu_)](int64_t bytes) {
            const auto locked = open.lock();
            if (locked == nullptr) throw failed_precondition("memory was asked of a device that has been closed");
            return allocate_on(locked, bytes);
        };
    }
    const vlm_compute* compute() const override { return gpu_->get().compute; }
    const Allocator& allocator() const override { return allocator_; }
    void* stream() const override { return gpu_->get().stream; }
    void wait() override {
        std::array<char, 512> message{};
        const vlm_status status = gpu_->get().wait(gpu_->get().impl, message.data(), message.size());
        if (status != VLM_STATUS_OK) throw Error(status, message.data());
    }
    void end_run(const vlm_run_context* run) override { gpu_->get().end_run(gpu_->get().impl, run); }
    std::vector<TopLogits> top_logits(const vlm_run_context* run, std::span<const vlm_tensor* const> tensors,
                                      int64_t count) override {
        std::array<char, 512> message{};
        const auto width = static_cast<size_t>(count);
        std::vector<vlm_cuda_candidate> best(tensors.size() * width);
        std::vector<double> log_sums(tensors.size());
        const vlm_status status = gpu_->get().top_logits(gpu_->get().impl, run, tensors.data(), tensors.size(), count,
                                                         best.data(), log_sums.data(), message.data(), message.size());
        if (status == VLM_STATUS_UNIMPLEMENTED) return {};
        if (status != VLM_STATUS_OK) throw Error(status, message.data());
        std::vector<TopLogits> rows(tensors.size());
        for (size_t row = 0; row < rows.size(); ++row) {
            rows[row].log_sum = log_sums[row];
            rows[row].numbers = best[row * width].index >= 0;
            for (size_t i = 0; i < width; ++i) {
                rows[row].ids.push_back(best[row * width + i].index);
                rows[row].logits.push_back(best[row * width + i].logit);
            }
        }
        return rows;
    }
    DeviceCounters counters() const override {
        vlm_cuda_counters theirs{};
        gpu_->get().counters(gpu_->get().impl, &theirs);
        return {theirs.flops, theirs.weight_bytes, theirs.peak_bytes, theirs.synchronizations};
    }
    DecodingCounters decoding_counters() const override {
        vlm_cuda_counters theirs{};
        gpu_->get().counters(gpu_->get().impl, &theirs);
        return {theirs.downloaded_bytes, theirs.graph_launches, theirs.graph_builds};
    }
    void* begin_step(int64_t rows) override {
        std::array<char, 512> message{};
        void* stream = nullptr;
        const vlm_status status =
            gpu_->get().begin_step(gpu_->get().impl, rows, &stream, message.data(), message.size());
        if (status != VLM_STATUS_OK) throw Error(status, message.data());
        return stream;
    }
    bool end_step() noexcept override { return gpu_->get().end_step(gpu_->get().impl) != 0; }
    void begin_stage(LoadingStage stage) override {
        stage_ = std::move(stage);
        const auto loaded = [](void* self, uint64_t bytes) { static_cast<CudaDevice*>(self)->stage_.loaded(bytes); };
        gpu_->get().begin_stage(gpu_->get().impl, stage_.name.c_str(), stage_.loaded ? +loaded : nullptr, this);
    }
    MemoryLimit memory_left() const override {
        int64_t free = 0, total = 0;
        if (gpu_->get().memory(gpu_->get().impl, &free, &total) != VLM_STATUS_OK) return {};
        return {free, "the GPU, which has " + std::to_string(total / 1'000'000) + " MB in all"};
    }
    double weight_element_bytes() const override { return weight_bytes_; }
    std::string description() const override { return gpu_->get().description; }

  private:
    std::shared_ptr<OpenGpu> gpu_;
    double weight_bytes_;
    LoadingStage stage_;
    Allocator allocator_;
};

/** Bytes of a packed weight; see weight_formats.hpp for the quantised ones, whose scales count. */
double weight_bytes_of(const DeviceOptions& options) {
    const std::string dtype = options.dtype == "auto" ? "bf16" : options.dtype;
    const std::string& type = options.weights == "auto" ? dtype : options.weights;
    constexpr double kGroup = 32, kFewInputs = 1024;  // of an output, which has one scale in fp8
    if (type == "f32") return 4;
    if (type == "int8") return 1 + 1 / kGroup;
    if (type == "int4") return 0.5 + 2 / kGroup;
    if (type == "fp8") return 1 + 4 / kFewInputs;
    return 2;
}

vlm_cuda_open_function load_library(const fs::path& path) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char* reason = dlerror();
        throw unavailable("the CUDA compute library " + path.string() +
                          " cannot be loaded: " + (reason != nullptr ? reason : "no reason given") +
                          ". It needs cuBLASLt of the CUDA toolkit that it was built with; install that, or use the "
                          "device \"cpu\"");
    }
    const auto entry = reinterpret_cast<vlm_cuda_open_function>(dlsym(library, VLM_CUDA_LIBRARY_ENTRY));
    if (entry == nullptr)
        throw unavailable(path.string() + " has no function " + VLM_CUDA_LIBRARY_ENTRY +
                          ": it is not the CUDA compute library of this host");
    return entry;
}

}  // namespace

std::optional<int> cuda_ordinal(const std::string& name) {
    if (name == "cuda") return 0;
    const std::string prefix = "cuda:";
    if (!name.starts_with(prefix)) return std::nullopt;
    int ordinal = -1;
    const char* begin = name.data() + prefix.size();
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(begin, end, ordinal);
    if (begin == end || error != std::errc() || stop != end || ordinal < 0 || ordinal > 255)
        throw invalid_argument("device '" + name + "': behind 'cuda:' stands the number of a GPU, 0 to 255");
    return ordinal;
}

std::vector<fs::path> cuda_library_candidates() {
    std::vector<fs::path> candidates;
    const char* wish = getauxval(AT_SECURE) == 0 ? std::getenv("VLM_CUDA_LIBRARY") : nullptr;
    if (wish != nullptr && *wish != '\0') candidates.emplace_back(wish);
    std::error_code error;
    const fs::path program = fs::read_symlink("/proc/self/exe", error);
    if (!error) {
        candidates.push_back(program.parent_path() / kLibraryName);
        candidates.push_back(program.parent_path().parent_path() / "lib" / "vlm" / kLibraryName);
    }
    // Programs in other languages load libvlmhost from its own folder.
    Dl_info mine{};
    if (dladdr(reinterpret_cast<const void*>(&cuda_ordinal), &mine) != 0 && mine.dli_fname != nullptr) {
        const fs::path folder = fs::path(mine.dli_fname).parent_path();
        candidates.push_back(folder / kLibraryName);
        candidates.push_back(folder / "vlm" / kLibraryName);
    }
    candidates.push_back(fs::path(VLM_INSTALL_COMPUTE_DIR) / kLibraryName);
    return candidates;
}

std::shared_ptr<Device> open_cuda_device(int ordinal, const DeviceOptions& options,
                                         const std::vector<fs::path>& candidates) {
    const std::string device = "device 'cuda:" + std::to_string(ordinal) + "': ";
    std::string tried;
    for (const fs::path& path : candidates) {
        std::error_code error;
        if (!fs::is_regular_file(path, error)) {
            tried += (tried.empty() ? "" : ", ") + path.string();
            continue;
        }
        const vlm_cuda_open_function open = load_library(path);
        vlm_cuda_request request{};
        request.revision = VLM_CUDA_LIBRARY_REVISION;
        request.ordinal = ordinal;
        request.dtype = options.dtype.c_str();
        request.weights = options.weights.c_str();
        request.kv = options.kv.c_str();
        request.log = [](int32_t level, const char* message) { log_message(level, "cuda", message); };
        std::vector<const char*> patterns, types;
        for (const WeightRule& rule : options.weight_rules) {
            patterns.push_back(rule.pattern.c_str());
            types.push_back(rule.type.c_str());
        }
        request.rule_patterns = patterns.data();
        request.rule_types = types.data();
        request.rule_count = patterns.size();
        vlm_cuda_device opened{};
        std::array<char, 1024> message{};
        const vlm_status status = open(&request, &opened, message.data(), message.size());
        if (status != VLM_STATUS_OK) throw Error(status, device + message.data());
        if (opened.revision != VLM_CUDA_LIBRARY_REVISION)
            throw unavailable(device + path.string() + " has revision " + std::to_string(opened.revision) +
                              ", this host expects " + std::to_string(VLM_CUDA_LIBRARY_REVISION) +
                              "; install both from the same build");
        return std::make_shared<CudaDevice>(std::make_shared<OpenGpu>(opened), weight_bytes_of(options));
    }
    throw unavailable(device + "this installation has no CUDA compute library; looked for " + tried +
                      ". Build with the CUDA toolkit (VLM_CUDA=on), or use the device \"cpu\"");
}

}  // namespace vlm
