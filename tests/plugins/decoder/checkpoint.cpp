/** @file checkpoint.cpp
 *  See checkpoint.hpp.
 */
#include "checkpoint.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <vlm/sdk/structs.hpp>

namespace vlm::test {
namespace {

/** A vector as a tensor. */
template <typename T>
struct Buffer {
    std::vector<T> values;
    std::vector<int64_t> shape;
    vlm_tensor tensor = sdk::make_struct<vlm_tensor>();

    Buffer(std::vector<T> v, std::vector<int64_t> s, uint32_t dtype) : values(std::move(v)), shape(std::move(s)) {
        tensor.view.data = values.data();
        tensor.view.device = {VLM_DEVICE_CPU, 0};
        tensor.view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xff), 1};
        tensor.view.ndim = static_cast<int32_t>(shape.size());
        tensor.view.shape = shape.data();
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
};

/** Elements of a f32 or i32 CPU tensor, strided or not. */
Captured capture(const vlm_tensor& tensor) {
    Captured c;
    const vlm_tensor_view& v = tensor.view;
    int64_t count = 1;
    for (int32_t d = 0; d < v.ndim; ++d) {
        c.shape.push_back(v.shape[d]);
        count *= v.shape[d];
    }
    const char* data = static_cast<const char*>(v.data) + v.byte_offset;
    for (int64_t i = 0; i < count; ++i) {
        int64_t rest = i;
        int64_t offset = 0;
        int64_t stride = 1;
        for (int32_t d = v.ndim - 1; d >= 0; --d) {
            offset += rest % v.shape[d] * (v.strides != nullptr ? v.strides[d] : stride);
            rest /= v.shape[d];
            stride *= v.shape[d];
        }
        if (v.dtype.code == VLM_TYPE_INT) {
            c.values.push_back(static_cast<float>(reinterpret_cast<const int32_t*>(data)[offset]));
        } else {
            c.values.push_back(reinterpret_cast<const float*>(data)[offset]);
        }
    }
    return c;
}

const vlm_backbone* load_plugin() {
    std::string path = std::string(VLM_PLUGIN_DIR) + "/libvlm_decoder.so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    auto entry = reinterpret_cast<vlm_plugin_entry_fn>(dlsym(library, VLM_PLUGIN_ENTRY_SYMBOL));
    static vlm_host_info host = sdk::make_struct<vlm_host_info>();
    host.abi_version_min = VLM_ABI_VERSION_MIN;
    host.abi_version_max = VLM_ABI_VERSION;
    host.log = [](void*, const char*, int32_t, const char* message) { std::fprintf(stderr, "log: %s\n", message); };
    const vlm_plugin* plugin = nullptr;
    char reason[256] = "";
    if (entry(&host, &plugin, reason, sizeof(reason)) != VLM_STATUS_OK) throw std::runtime_error(reason);
    return static_cast<const vlm_backbone*>(plugin->get_interface(VLM_KIND_BACKBONE));
}

nlohmann::json read_json(const std::filesystem::path& path) {
    std::ifstream file(path);
    return nlohmann::json::parse(file);
}

/** Everything that the pointers of one ABI request point to. */
struct RequestStorage {
    std::vector<std::unique_ptr<Buffer<float>>> tokens;
    std::vector<std::unique_ptr<Buffer<int32_t>>> maps;
    std::vector<vlm_token_block> blocks;
    std::vector<const vlm_token_block*> block_pointers;
    std::vector<vlm_token_layout> layouts;
    std::vector<vlm_visual_input> images;
    std::vector<const vlm_visual_input*> image_pointers;
    std::vector<vlm_segment> segments;
    std::vector<const vlm_segment*> segment_pointers;
    vlm_backbone_request request = sdk::make_struct<vlm_backbone_request>();

    explicit RequestStorage(const TestRequest& source) {
        size_t count = source.prompt.images.size();
        blocks.resize(count);
        block_pointers.resize(count);
        layouts.resize(count);
        images.resize(count);
        for (size_t i = 0; i < count; ++i) add_image(i, source.prompt.images[i]);
        for (const TestSegment& s : source.prompt.segments) {
            auto segment = sdk::make_struct<vlm_segment>();
            segment.kind = s.image < 0 ? VLM_SEGMENT_TEXT : VLM_SEGMENT_IMAGE;
            segment.image = s.image;
            segment.first = s.first;
            segment.count = s.image < 0 ? static_cast<int64_t>(s.ids.size()) : s.count;
            segment.ids = s.image < 0 ? s.ids.data() : nullptr;
            segments.push_back(segment);
        }
        for (const auto& s : segments) segment_pointers.push_back(&s);
        for (const auto& v : images) image_pointers.push_back(&v);
        request.context = source.context;
        request.segment_count = static_cast<uint32_t>(segments.size());
        request.image_count = static_cast<uint32_t>(count);
        request.segments = segment_pointers.data();
        request.images = image_pointers.data();
        request.logits = source.logits;
        request.confidence = -1;
    }

    void add_image(size_t i, const TestImage& image) {
        int64_t width = image.rows > 0 ? static_cast<int64_t>(image.tokens.size()) / image.rows : 0;
        tokens.push_back(
            std::make_unique<Buffer<float>>(image.tokens, std::vector<int64_t>{image.rows, width}, VLM_DTYPE_F32));
        blocks[i] = sdk::make_struct<vlm_token_block>();
        blocks[i].kind = image.grid_rows > 0 ? VLM_BLOCK_GRID : VLM_BLOCK_LATENT;
        blocks[i].tokens = image.positions;
        blocks[i].rows = static_cast<int32_t>(image.grid_rows > 0 ? image.grid_rows : 1);
        blocks[i].columns = static_cast<int32_t>(image.grid_rows > 0 ? image.grid_columns : image.positions);
        block_pointers[i] = &blocks[i];
        layouts[i] = sdk::make_struct<vlm_token_layout>();
        layouts[i].tokens = image.positions;
        layouts[i].block_count = 1;
        layouts[i].blocks = &block_pointers[i];
        images[i] = sdk::make_struct<vlm_visual_input>();
        images[i].tokens = &tokens.back()->tensor;
        images[i].layout = &layouts[i];
        if (!image.row_of_position.empty()) {
            maps.push_back(std::make_unique<Buffer<int32_t>>(image.row_of_position,
                                                             std::vector<int64_t>{image.positions}, VLM_DTYPE_I32));
            images[i].row_of_position = &maps.back()->tensor;
        }
    }
};

}  // namespace

TestPrompt TestPrompt::text(std::vector<int32_t> ids) {
    TestPrompt prompt;
    prompt.segments.push_back({std::move(ids), -1, 0, 0});
    return prompt;
}

std::vector<int32_t> keep_best(const vlm_token_view& view, int64_t keep) {
    auto scores = static_cast<const float*>(view.scores->view.data);
    auto images = static_cast<const int32_t*>(view.images->view.data);
    std::vector<size_t> visual;
    for (size_t i = 0; i < static_cast<size_t>(view.tokens); ++i) {
        if (images[i] >= 0) visual.push_back(i);
    }
    std::stable_sort(visual.begin(), visual.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    std::vector<bool> dropped(static_cast<size_t>(view.tokens), false);
    for (size_t i = static_cast<size_t>(keep); i < visual.size(); ++i) dropped[visual[i]] = true;
    std::vector<int32_t> groups;
    int32_t next = 0;
    for (bool drop : dropped) groups.push_back(drop ? -1 : next++);
    return groups;
}

// ------------------------------------------------------------------------------------------------------------- model

Model::Model(const std::filesystem::path& folder, const nlohmann::json& options) {
    device_ = open_device("cpu", {"f32", "f32", 1});
    store_ = WeightStore::open(folder);
    nlohmann::json whole = read_json(folder / "config.json");
    nlohmann::json section = whole.contains("text_config") ? whole["text_config"] : whole;
    section.update(options);
    std::string section_text = section.dump();
    std::string whole_text = whole.dump();
    api_ = load_plugin();
    char reason[512] = "";
    auto config = sdk::make_struct<vlm_component_config>();
    config.config = {section_text.data(), section_text.size()};
    config.model = {whole_text.data(), whole_text.size()};
    config.preprocessor = {"{}", 2};
    config.reason = reason;
    config.reason_size = sizeof(reason);
    if (api_->base.create(&config, &component_) != VLM_STATUS_OK) throw std::runtime_error(reason);
    description_ = sdk::make_struct<vlm_backbone_description>();
    api_->describe(component_, &description_);

    auto weights = sdk::make_struct<vlm_weights>();
    weights.host = this;
    weights.find = [](void* host, const char* name, const vlm_tensor** tensor) -> vlm_status {
        auto& self = *static_cast<Model*>(host);
        *tensor = nullptr;
        const TensorView* found = self.store_->find(name);
        if (found == nullptr) return VLM_STATUS_NOT_FOUND;
        auto& slot = self.found_[name];
        if (slot == nullptr) {
            slot = std::make_unique<vlm_tensor>(sdk::make_struct<vlm_tensor>());
            slot->view.data = const_cast<void*>(found->data);
            slot->view.device = {VLM_DEVICE_CPU, 0};
            slot->view.ndim = static_cast<int32_t>(found->shape.size());
            slot->view.dtype = {static_cast<uint8_t>(found->dtype >> 16), static_cast<uint8_t>(found->dtype & 0xff), 1};
            slot->view.shape = const_cast<int64_t*>(found->shape.data());
        }
        *tensor = slot.get();
        return VLM_STATUS_OK;
    };
    vlm_run_context run = context();
    vlm_status status = api_->base.load(component_, &run, &weights);
    device_->end_run(&run);
    if (status != VLM_STATUS_OK) throw std::runtime_error("load: " + error_);
}

Model::~Model() {
    if (component_ != nullptr) api_->base.destroy(component_);
}

vlm_run_context Model::context() {
    auto run = sdk::make_struct<vlm_run_context>();
    run.host = this;
    run.compute = device_->compute();
    error_.clear();
    run.is_cancelled = [](void* host) -> int32_t { return static_cast<Model*>(host)->cancel ? 1 : 0; };
    run.error = [](void* host, vlm_status, const char* message) { static_cast<Model*>(host)->error_ = message; };
    if (listen) {
        run.tap = [](void* host, const char* name, const vlm_tensor* tensor) -> vlm_status {
            static_cast<Model*>(host)->taps[name] = capture(*tensor);
            return VLM_STATUS_OK;
        };
    }
    if (hook != nullptr) {
        hooks_ = sdk::make_struct<vlm_hooks>();
        hooks_.host = this;
        hooks_.needs = [](void* host, uint32_t site, int32_t layer, int32_t) -> uint32_t {
            bool here = site == VLM_SITE_BACKBONE_LAYER && layer == static_cast<Model*>(host)->hook->layer;
            return here ? VLM_NEED_SCORES | VLM_NEED_HIDDEN | VLM_NEED_KEYS : 0;
        };
        hooks_.reduce = [](void* host, const vlm_run_context*, const vlm_token_view* view,
                           const vlm_token_map** map) -> vlm_status {
            PruneHook& hook = *static_cast<Model*>(host)->hook;
            *map = nullptr;
            hook.groups = hook.decide(*view);
            if (hook.groups.empty()) return VLM_STATUS_OK;
            hook.shape[0] = static_cast<int64_t>(hook.groups.size());
            hook.tensor = sdk::make_struct<vlm_tensor>();
            hook.tensor.view.data = hook.groups.data();
            hook.tensor.view.device = {VLM_DEVICE_CPU, 0};
            hook.tensor.view.ndim = 1;
            hook.tensor.view.dtype = {VLM_TYPE_INT, 32, 1};
            hook.tensor.view.shape = hook.shape;
            hook.map = sdk::make_struct<vlm_token_map>();
            hook.map.groups = &hook.tensor;
            hook.map.group_count = *std::max_element(hook.groups.begin(), hook.groups.end()) + 1;
            *map = &hook.map;
            return VLM_STATUS_OK;
        };
        run.hooks = &hooks_;
    }
    return run;
}

vlm_backbone_context* Model::make_context(int64_t tokens) {
    vlm_run_context run = context();
    vlm_backbone_context* made_context = nullptr;
    if (api_->context_create(component_, &run, tokens, &made_context) != VLM_STATUS_OK)
        throw std::runtime_error(error_);
    return made_context;
}

void Model::destroy_context(vlm_backbone_context* handle) {
    api_->context_destroy(component_, handle);
}

vlm_status Model::truncate(vlm_backbone_context* handle, int64_t tokens) {
    return api_->context_truncate(component_, handle, tokens);
}

vlm_backbone_state Model::state(vlm_backbone_context* handle) const {
    auto state = sdk::make_struct<vlm_backbone_state>();
    api_->context_state(component_, handle, &state);
    return state;
}

std::vector<TestOutput> Model::run(const std::vector<TestRequest>& requests) {
    std::vector<std::unique_ptr<RequestStorage>> storage;
    std::vector<std::unique_ptr<Buffer<float>>> outputs;
    std::vector<std::unique_ptr<Buffer<int32_t>>> rows;
    std::vector<std::unique_ptr<Buffer<float>>> hidden;
    std::vector<vlm_backbone_request*> pointers;
    for (const TestRequest& r : requests) {
        storage.push_back(std::make_unique<RequestStorage>(r));
        vlm_backbone_request& request = storage.back()->request;
        int64_t planned = 0;
        int64_t workspace = 0;
        if (api_->plan(component_, &request, &planned, &workspace) != VLM_STATUS_OK)
            throw std::runtime_error("plan failed");
        auto size = static_cast<size_t>(planned * description_.output_size);
        outputs.push_back(std::make_unique<Buffer<float>>(
            std::vector<float>(size), std::vector<int64_t>{planned, description_.output_size}, VLM_DTYPE_F32));
        rows.push_back(std::make_unique<Buffer<int32_t>>(std::vector<int32_t>(static_cast<size_t>(planned), -7),
                                                         std::vector<int64_t>{planned}, VLM_DTYPE_I32));
        if (planned > 0) {
            request.output = &outputs.back()->tensor;
            request.row_of_output = &rows.back()->tensor;
        }
        request.confidence = -1;
        auto width = static_cast<size_t>(description_.hidden_size);
        hidden.push_back(std::make_unique<Buffer<float>>(
            std::vector<float>(width), std::vector<int64_t>{1, description_.hidden_size}, VLM_DTYPE_F32));
        if (r.hidden) request.hidden = &hidden.back()->tensor;
        pointers.push_back(&request);
    }
    vlm_run_context run = context();
    vlm_status status = api_->run(component_, &run, static_cast<uint32_t>(pointers.size()), pointers.data());
    device_->end_run(&run);
    if (status != VLM_STATUS_OK) throw std::runtime_error("status " + std::to_string(status) + ": " + error_);
    std::vector<TestOutput> results;
    for (size_t i = 0; i < requests.size(); ++i) {
        TestOutput result;
        result.rows = pointers[i]->output_rows;
        result.logits = outputs[i]->values;
        result.logits.resize(static_cast<size_t>(result.rows * description_.output_size));
        result.input_rows = rows[i]->values;
        result.input_rows.resize(static_cast<size_t>(result.rows));
        result.hidden = hidden[i]->values;
        result.confidence = pointers[i]->confidence;
        results.push_back(std::move(result));
    }
    return results;
}

TestOutput Model::run(vlm_backbone_context* handle, const TestPrompt& prompt, uint32_t logits) {
    return run(std::vector<TestRequest>{{handle, prompt, logits, false}})[0];
}

std::vector<int64_t> Model::greedy(vlm_backbone_context* handle, std::vector<float> logits, size_t count) {
    std::vector<int64_t> ids;
    while (true) {
        auto best = std::max_element(logits.end() - description_.output_size, logits.end());
        ids.push_back(best - (logits.end() - description_.output_size));
        if (ids.size() == count) return ids;
        logits = run(handle, TestPrompt::text({static_cast<int32_t>(ids.back())})).logits;
    }
}

void add_tensors(const std::filesystem::path& file, const std::map<std::string, Captured>& tensors) {
    std::ifstream in(file, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(in), {}};
    in.close();
    uint64_t length = 0;
    std::memcpy(&length, all.data(), sizeof length);
    auto header = nlohmann::json::parse(all.substr(sizeof length, length));
    std::string data = all.substr(sizeof length + length);
    for (const auto& [name, tensor] : tensors) {
        const size_t begin = data.size();
        data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
        header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    length = text.size();
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out << text << data;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
    if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
    double largest = 0.0;
    for (size_t i = 0; i < a.size(); ++i) {
        double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        largest = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(largest, d);
    }
    return largest;
}

}  // namespace vlm::test
