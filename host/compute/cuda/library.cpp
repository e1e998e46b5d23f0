/** @file library.cpp
 *  The exported function: an open GPU with its table filled. See library.h.
 */
#include "host/compute/cuda/library.h"

#include <algorithm>
#include <cstring>

#include "host/compute/cuda/driver_errors.hpp"
#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/self_check.hpp"
#include "host/compute/cuda/table.hpp"
#include "host/compute/cuda/top_logits_ops.hpp"

namespace vlm::cuda {

namespace {

/** What `impl` of vlm_cuda_device points to. */
struct OpenDevice {
    OpenDevice(std::unique_ptr<Runtime> runtime, const Options& options, const vlm_cuda_request& request)
        : state(std::move(runtime), options, request.ordinal, request.log) {}

    State state;
    vlm_compute table{};
    std::mutex mutex;
    std::unordered_map<void*, int64_t> host_blocks;
};

OpenDevice& device_of(void* impl) {
    return *static_cast<OpenDevice*>(impl);
}

void fill_table(OpenDevice& device) {
    vlm_compute& t = device.table;
    t.struct_size = sizeof(t);
    t.abi_version = VLM_ABI_VERSION;
    t.impl = &device.state;
    t.device = device.state.device;
    t.activation_dtype = device.state.options.activation_dtype;
    fill_operations(t);
}

void say(const std::string& text, char* message, uint64_t size) noexcept {
    if (message == nullptr || size == 0) return;
    const size_t length = std::min<size_t>(text.size(), size - 1);
    std::memcpy(message, text.data(), length);
    message[length] = '\0';
}

/** Runs `fn`; turns what it throws into a status and a message. */
template <class Fn>
vlm_status edge(char* message, uint64_t size, Fn&& fn) noexcept {
    try {
        fn();
        return VLM_STATUS_OK;
    } catch (const Error& error) {
        say(error.what(), message, size);
        return error.code();
    } catch (const std::exception& error) {
        say(error.what(), message, size);
        return VLM_STATUS_INTERNAL;
    } catch (...) {
        say("a foreign exception", message, size);
        return VLM_STATUS_UNKNOWN;
    }
}

void* allocate_host_tensor(void* impl, int64_t bytes, char* message, uint64_t size) {
    void* memory = nullptr;
    const vlm_status status = edge(message, size, [&] {
        OpenDevice& device = device_of(impl);
        const Queue queue = device.state.queue(nullptr);
        void* block = device.state.allocate(queue, bytes, Purpose::host);
        try {
            if (bytes > 0) queue.runtime.clear(block, bytes, queue.stream);
            const std::scoped_lock lock(device.mutex);
            device.host_blocks[block] = bytes;
        } catch (...) {
            device.state.release(queue, block, bytes, Purpose::host);
            throw;
        }
        memory = block;
    });
    return status == VLM_STATUS_OK ? memory : nullptr;
}

void release_host_tensor(void* impl, void* memory) {
    edge(nullptr, 0, [&] {
        OpenDevice& device = device_of(impl);
        int64_t bytes = 0;
        {
            const std::scoped_lock lock(device.mutex);
            const auto found = device.host_blocks.find(memory);
            if (found == device.host_blocks.end()) return;
            bytes = found->second;
            device.host_blocks.erase(found);
        }
        device.state.release(device.state.queue(nullptr), memory, bytes, Purpose::host);
    });
}

void read_counters(void* impl, vlm_cuda_counters* counters) {
    const State& state = device_of(impl).state;
    counters->flops = static_cast<double>(state.flops.load());
    counters->weight_bytes = state.bytes(Purpose::weights) + state.bytes(Purpose::kept);
    counters->peak_bytes = state.peak_scratch();
    counters->synchronizations = state.synchronizations();
    counters->downloaded_bytes = state.downloaded_bytes();
    counters->graph_launches = state.steps.graph_launches();
    counters->graph_builds = state.steps.graph_builds();
}

vlm_status find_top(void* impl, const vlm_run_context* run, const vlm_tensor* const* tensors, uint64_t tensor_count,
                    int64_t count, vlm_cuda_candidate* best, double* log_sums, char* message, uint64_t size) {
    State& state = device_of(impl).state;
    if (!state.top_logits_work) return VLM_STATUS_UNIMPLEMENTED;
    return edge(message, size, [&] {
        const TopFound found = top_logits(state, state.queue(run), {tensors, static_cast<size_t>(tensor_count)}, count);
        std::transform(found.best.begin(), found.best.end(), best, [](const Candidate& c) {
            return vlm_cuda_candidate{c.value, c.index};
        });
        std::copy(found.log_sums.begin(), found.log_sums.end(), log_sums);
    });
}

void close(void* impl) {
    edge(nullptr, 0, [&] {
        const std::unique_ptr<OpenDevice> device(static_cast<OpenDevice*>(impl));
        free_all_tensors(device->state);
        const Queue queue = device->state.queue(nullptr);
        queue.runtime.synchronize(queue.stream);
    });
}

}  // namespace

}  // namespace vlm::cuda

extern "C" __attribute__((visibility("default"))) vlm_status vlm_compute_cuda_open(const vlm_cuda_request* request,
                                                                                   vlm_cuda_device* device,
                                                                                   char* message, uint64_t size) {
    using namespace vlm::cuda;
    return edge(message, size, [&] {
        if (request == nullptr || device == nullptr) throw vlm::invalid_argument("request or device is NULL");
        if (request->revision != VLM_CUDA_LIBRARY_REVISION)
            throw vlm::failed_precondition("the CUDA compute library has revision " +
                                           std::to_string(VLM_CUDA_LIBRARY_REVISION) + ", the host expects " +
                                           std::to_string(request->revision) + "; install both from the same build");
        Options options = parse_options(request->dtype, request->weights, request->kv);
        for (uint64_t i = 0; i < request->rule_count; ++i) {
            weight_type_of(request->rule_types[i]);
            options.rules.push_back({request->rule_patterns[i], request->rule_types[i]});
        }
        auto open = std::make_unique<OpenDevice>(open_runtime(request->ordinal), options, *request);
        if (options.wants_fp8()) {
            const Runtime& gpu = open->state.runtime();
            const std::string reason = why_no_fp8(gpu.name(), gpu.compute_capability());
            if (!reason.empty()) throw vlm::Error(VLM_STATUS_UNAVAILABLE, reason);
        }
        check_products(open->state);
        check_attention(open->state);
        check_top_logits(open->state);
        check_graphs(open->state);
        fill_table(*open);
        *device = {};
        device->revision = VLM_CUDA_LIBRARY_REVISION;
        device->compute = &open->table;
        device->stream = open->state.runtime().stream();
        device->description = open->state.description.c_str();
        device->allocate = allocate_host_tensor;
        device->release = release_host_tensor;
        device->end_run = [](void* impl, const vlm_run_context* run) {
            edge(nullptr, 0, [&] { free_run_tensors(device_of(impl).state, run); });
        };
        device->counters = read_counters;
        device->memory = [](void* impl, int64_t* free, int64_t* total) {
            return edge(nullptr, 0, [&] {
                State& state = device_of(impl).state;
                const MemoryInfo info = state.queue(nullptr).runtime.memory();
                *free = info.free;
                *total = info.total;
            });
        };
        device->begin_stage = [](void* impl, const char* stage, void (*loaded)(void*, uint64_t), void* host) {
            edge(nullptr, 0, [&] {
                State& state = device_of(impl).state;
                state.stage = stage;
                state.loaded = loaded;
                state.loaded_host = host;
            });
        };
        device->wait = [](void* impl, char* text, uint64_t room) {
            return edge(text, room, [&] { device_of(impl).state.synchronize(device_of(impl).state.queue(nullptr)); });
        };
        device->top_logits = find_top;
        device->begin_step = [](void* impl, int64_t rows, void** stream, char* text, uint64_t room) {
            return edge(text, room, [&] { *stream = device_of(impl).state.steps.begin(rows); });
        };
        device->end_step = [](void* impl) { return int32_t{device_of(impl).state.steps.end()}; };
        device->close = vlm::cuda::close;
        device->impl = open.release();
    });
}
