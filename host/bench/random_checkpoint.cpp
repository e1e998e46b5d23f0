/** @file random_checkpoint.cpp
 *  See random_checkpoint.hpp. Numbers are made in parallel, a block at a time, and are functions of tensor and place
 *  alone (SplitMix64), so they depend neither on threads nor on blocks.
 */
#include "host/bench/random_checkpoint.hpp"

#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/json/writer.hpp"

namespace vlm::bench {
namespace {

namespace fs = std::filesystem;

/** Goes up whenever what is written changes, so that older folders are not taken for it. */
constexpr int kVersion = 1;
constexpr int64_t kBytesPerWeight = 2;
constexpr int64_t kBlock = int64_t{8} << 20;
/** What has to stay free on the disk beside the checkpoint. */
constexpr uint64_t kSpareBytes = uint64_t{256} << 20;

uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint16_t to_bf16(float value) {
    return static_cast<uint16_t>((std::bit_cast<uint32_t>(value) + 0x8000u) >> 16);
}

/** Half the width of the uniform distribution: deviation 1 / sqrt(inputs) for matrices, small for vectors. */
float width_of(const ShapeTensor& tensor) {
    int64_t inputs = 1;
    for (size_t d = 1; d < tensor.shape.size(); ++d) inputs *= tensor.shape[d];
    constexpr float kVector = 0.02f;
    return tensor.shape.size() < 2 ? kVector : std::sqrt(3.0f / static_cast<float>(inputs));
}

/** Elements [first, first + count) of a tensor; `first` is a multiple of 4, as each random word gives four. */
void fill(const ShapeTensor& tensor, uint64_t seed, int64_t first, int64_t count, uint16_t* out) {
    if (tensor.fill == ShapeTensor::Fill::ones) {
        std::fill_n(out, count, to_bf16(1.0f));
        return;
    }
    constexpr int64_t kPerWord = 4;
    constexpr int64_t kGrain = 65536;
    const float scale = width_of(tensor) / 32768.0f;
    parallel_for(0, (count + kPerWord - 1) / kPerWord, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t w = begin; w < end; ++w) {
            uint64_t word = mix(seed + static_cast<uint64_t>(first / kPerWord + w));
            for (int64_t i = w * kPerWord; i < std::min((w + 1) * kPerWord, count); ++i, word >>= 16)
                out[i] = to_bf16(scale * static_cast<float>(static_cast<int16_t>(word)));
        }
    });
}

std::string header_of(const std::vector<ShapeTensor>& tensors, int64_t& total) {
    json::Writer w;
    w.begin_object().key("__metadata__").begin_object().member("format", "pt").end_object();
    total = 0;
    for (const auto& tensor : tensors) {
        w.key(tensor.name).begin_object().member("dtype", "BF16").key("shape").begin_array();
        for (const int64_t d : tensor.shape) w.value(d);
        w.end_array().key("data_offsets").begin_array().value(total);
        total += tensor.elements() * kBytesPerWeight;
        w.value(total).end_array().end_object();
    }
    std::string text = w.end_object().take();
    text.append((8 - text.size() % 8) % 8, ' ');
    return text;
}

/** A file that disappears unless it is kept. */
class NewFile {
  public:
    explicit NewFile(fs::path target)
        : target_(std::move(target)), temporary_(target_.string() + "." + std::to_string(getpid()) + ".part") {
        file_.reset(std::fopen(temporary_.c_str(), "wb"));
        if (!file_) throw Error(VLM_STATUS_PERMISSION_DENIED, temporary_.string() + ": cannot be written");
    }
    ~NewFile() {
        file_.reset();
        std::error_code ignored;
        fs::remove(temporary_, ignored);
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    void write(const void* data, size_t bytes) {
        if (std::fwrite(data, 1, bytes, file_.get()) != bytes)
            throw resource_exhausted(temporary_.string() + ": writing failed; is the disk full?");
    }
    void keep() {
        if (std::fflush(file_.get()) != 0)
            throw resource_exhausted(temporary_.string() + ": writing failed; is the disk full?");
        file_.reset();
        fs::rename(temporary_, target_);
    }

  private:
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    fs::path target_, temporary_;
    std::unique_ptr<std::FILE, Close> file_;
};

void write_text(const fs::path& path, const std::string& text) {
    NewFile file(path);
    file.write(text.data(), text.size());
    file.keep();
}

void write_configuration(const ModelShape& shape, const fs::path& folder) {
    write_text(folder / "config.json", config_json(shape));
    write_text(folder / "preprocessor_config.json", preprocessor_json(shape));
    write_text(folder / "tokenizer.json", tokenizer_json(shape));
}

void write_weights(const fs::path& path, const std::vector<ShapeTensor>& tensors, const std::string& header,
                   int64_t total, const WriteProgress& progress, const std::function<bool()>& cancelled) {
    NewFile file(path);
    const uint64_t header_bytes = header.size();
    file.write(&header_bytes, sizeof(header_bytes));
    file.write(header.data(), header.size());
    std::vector<uint16_t> block(static_cast<size_t>(kBlock));
    uint64_t done = 0, index = 0;
    for (const auto& tensor : tensors) {
        const uint64_t seed = mix(++index);
        for (int64_t first = 0; first < tensor.elements(); first += kBlock) {
            if (cancelled && cancelled()) throw Error(VLM_STATUS_CANCELLED, "cancelled while writing random weights");
            const int64_t count = std::min(kBlock, tensor.elements() - first);
            fill(tensor, seed, first, count, block.data());
            file.write(block.data(), static_cast<size_t>(count * kBytesPerWeight));
            done += static_cast<uint64_t>(count * kBytesPerWeight);
            if (progress) progress(done, static_cast<uint64_t>(total));
        }
    }
    file.keep();
}

}  // namespace

fs::path ensure_checkpoint(const ModelShape& shape, const fs::path& parent, const WriteProgress& progress,
                           const std::function<bool()>& cancelled) {
    fs::path folder = parent / (shape.name + "-v" + std::to_string(kVersion + shape.revision));
    const auto tensors = tensors_of(shape);
    int64_t total = 0;
    const std::string header = header_of(tensors, total);
    const uint64_t bytes = sizeof(uint64_t) + header.size() + static_cast<uint64_t>(total);
    const fs::path weights = folder / "model.safetensors";
    std::error_code error;
    if (fs::file_size(weights, error) == bytes && !error) return folder;

    fs::create_directories(folder, error);
    if (error)
        throw Error(VLM_STATUS_PERMISSION_DENIED, folder.string() + ": cannot be made (" + error.message() +
                                                      "); choose another folder with --checkpoints");
    const fs::space_info space = fs::space(folder, error);
    if (!error && space.available < bytes + kSpareBytes)
        throw resource_exhausted(folder.string() + ": " + shape.name + " takes " + std::to_string(bytes >> 20) +
                                 " MiB and the disk has " + std::to_string(space.available >> 20) +
                                 " MiB left; choose another folder with --checkpoints or a smaller shape");
    write_configuration(shape, folder);
    write_weights(weights, tensors, header, total, progress, cancelled);
    return folder;
}

void write_hollow_checkpoint(const ModelShape& shape, const fs::path& folder) {
    int64_t total = 0;
    const std::string header = header_of(tensors_of(shape), total);
    const uint64_t header_bytes = header.size();
    write_configuration(shape, folder);
    const fs::path weights = folder / "model.safetensors";
    NewFile file(weights);
    file.write(&header_bytes, sizeof(header_bytes));
    file.write(header.data(), header.size());
    file.keep();
    std::error_code error;
    fs::resize_file(weights, sizeof(header_bytes) + header_bytes + static_cast<uint64_t>(total), error);
    if (error)
        throw resource_exhausted(weights.string() + ": a hole of " + std::to_string(total >> 20) +
                                 " MiB cannot be made here (" + error.message() + ")");
}

}  // namespace vlm::bench
