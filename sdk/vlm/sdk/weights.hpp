/** @file weights.hpp
 *  Reads a component's tensors and hands them to the device: what `load` consists of.
 */
#pragma once
#include <vlm/compute.h>
#include <vlm/weights.h>

#include <optional>
#include <string>
#include <vector>

#include "vlm/sdk/ops.hpp"

namespace vlm::sdk {

/** The tensors of a component under a prefix, and the compute service that packs them. Valid during `load`. */
class Weights {
  public:
    /** The weights service of a load. */
    Weights(const Run& run, const vlm_weights* weights) : run_(&run), table_(read_struct(weights, "weights service")) {}

    /** The same weights seen from `prefix` on: `under("encoder.layers.0.")`. */
    Weights under(const std::string& prefix) const {
        Weights scoped(*this);
        scoped.prefix_ += prefix;
        return scoped;
    }
    /** What stands in front of all names. */
    const std::string& prefix() const { return prefix_; }
    /** The run that loading belongs to. */
    const Run& run() const { return *run_; }

    /** The tensor as the file has it (CPU, dtype of the file), or nothing. Lives as long as the model. */
    std::optional<Tensor> find(const std::string& name) const {
        const vlm_tensor* tensor = nullptr;
        const std::string full = prefix_ + name;
        const vlm_status status = table_.find(table_.host, full.c_str(), &tensor);
        if (status == VLM_STATUS_NOT_FOUND) return std::nullopt;
        check_host(status, "reading a weight");
        return Tensor(tensor, full.c_str());
    }
    /** Whether there is a tensor `prefix + name`. */
    bool has(const std::string& name) const { return find(name).has_value(); }
    /** The tensor; throws NOT_FOUND with its name. */
    Tensor at(const std::string& name) const {
        if (auto tensor = find(name)) return *tensor;
        throw not_found("weight '" + prefix_ + name +
                        "' is missing from the checkpoint; check that the checkpoint is complete and that the recipe's "
                        "prefixes fit it");
    }
    /** The tensor, whose shape must be `shape` (-1: any size). Throws INVALID_ARGUMENT otherwise. */
    Tensor at(const std::string& name, std::initializer_list<int64_t> shape) const {
        const Tensor tensor = at(name);
        tensor.expect_shape(shape, ("weight '" + prefix_ + name + "'").c_str());
        return tensor;
    }
    /** The first of `names` that exists: spellings of one tensor. Throws NOT_FOUND with the first name. */
    std::string first_of(std::initializer_list<std::string> names) const {
        for (const auto& name : names)
            if (has(name)) return name;
        at(*names.begin());
        return {};
    }

    /** A vector or table kept on the device in `dtype` (f32: norm weights, biases, positions). */
    Kept keep(const Tensor& tensor, uint32_t dtype = VLM_DTYPE_F32) const {
        const vlm_compute* compute = run_->compute();
        vlm_tensor* kept = nullptr;
        check_host(compute->keep(compute, tensor.get(), dtype, &kept), "keep");
        return {compute, kept};
    }
    /** As above, by name. */
    Kept keep(const std::string& name, uint32_t dtype = VLM_DTYPE_F32) const { return keep(at(name), dtype); }
    /** A norm weight of `size` elements. */
    Kept vector(const std::string& name, int64_t size) const { return keep(at(name, {size})); }
    /** As `vector`; empty when the checkpoint has none. */
    Kept optional_vector(const std::string& name, int64_t size) const {
        return has(name) ? vector(name, size) : Kept();
    }

    /** Packs matrices that read the same input as parts of one layer. `biases` is empty or has an entry (maybe an empty
     *  Tensor) per weight. `name` is for messages. */
    Linear pack(const std::vector<Tensor>& weights, const std::vector<Tensor>& biases, const std::string& name,
                uint32_t flags = 0) const {
        if (weights.empty() || (!biases.empty() && biases.size() != weights.size()))
            throw internal("pack: wrong parts");
        std::vector<const vlm_tensor*> w, b;
        int64_t out = 0, in = 0;
        const bool transposed = (flags & VLM_LINEAR_TRANSPOSED) != 0;
        for (size_t i = 0; i < weights.size(); ++i) {
            const Tensor& weight = weights[i];
            if (weight.ndim() < 2 || weight.size(0) < 1)
                throw invalid_argument("weight '" + prefix_ + name + "': has shape " + to_string(weight.shape()) +
                                       ", expected a matrix");
            const int64_t columns = weight.elements() / weight.size(0);
            const int64_t rows = weight.size(0);
            if (in != 0 && in != (transposed ? rows : columns))
                throw invalid_argument("weight '" + prefix_ + name + "': its parts have different input widths");
            in = transposed ? rows : columns;
            out += transposed ? columns : rows;
            w.push_back(weight.get());
            if (!biases.empty()) {
                if (biases[i])
                    biases[i].expect_shape({transposed ? columns : rows}, ("bias '" + prefix_ + name + "'").c_str());
                b.push_back(biases[i].get());
            }
        }
        const std::string full = prefix_ + name;
        auto spec = make_struct<vlm_linear_spec>();
        spec.part_count = static_cast<uint32_t>(w.size());
        spec.flags = flags;
        spec.weights = w.data();
        spec.biases = b.empty() ? nullptr : b.data();
        spec.name = full.c_str();
        const vlm_compute* compute = run_->compute();
        vlm_linear* linear = nullptr;
        check_host(compute->linear_pack(compute, &spec, &linear), "linear_pack");
        return {compute, linear, in, out};
    }
    /** Packs `<name>.weight` (and `<name>.bias` where there is one) of each name as parts of one layer. */
    Linear linear(std::initializer_list<std::string> names, uint32_t flags = 0) const {
        std::vector<Tensor> weights, biases;
        for (const auto& name : names) {
            weights.push_back(at(name + ".weight"));
            biases.push_back(find(name + ".bias").value_or(Tensor()));
        }
        return pack(weights, biases, *names.begin(), flags);
    }
    /** As above, for one name. */
    Linear linear(const std::string& name, uint32_t flags = 0) const { return linear({name}, flags); }
    /** As `linear`, and its matrix must be `[out, in]`. */
    Linear linear(const std::string& name, int64_t out, int64_t in) const {
        const Tensor weight = at(name + ".weight");
        if (weight.ndim() < 2 || weight.size(0) != out || weight.elements() != out * in)
            throw invalid_argument("weight '" + prefix_ + name + ".weight': has shape " + to_string(weight.shape()) +
                                   ", the configuration says " + std::to_string(out) + " x " + std::to_string(in));
        return linear({name});
    }
    /** Text of a small file beside the checkpoint, or nothing. */
    std::optional<std::string> read_file(const std::string& path) const {
        vlm_string text{};
        const vlm_status status = table_.read_file(table_.host, path.c_str(), &text);
        if (status == VLM_STATUS_NOT_FOUND) return std::nullopt;
        check_host(status, "reading a file beside the checkpoint");
        return std::string(text.data != nullptr ? text.data : "", text.size);
    }
    /** The `host` member, for the text service. */
    void* host() const { return table_.host; }

  private:
    const Run* run_;
    vlm_weights table_;
    std::string prefix_;
};

/** Elements of a float tensor of a file (f32, f16, bf16, f64) as f32 on the CPU: for tables that a plugin works on
 * itself. */
inline std::vector<float> to_floats(const Tensor& tensor) {
    const auto raw = reinterpret_cast<const char*>(tensor.get()->view.data) + tensor.get()->view.byte_offset;
    if (!tensor.on_cpu() || !tensor.compact()) throw internal("to_floats: needs compact CPU memory");
    std::vector<float> out(static_cast<size_t>(tensor.elements()));
    const auto half = [](uint16_t h) {
        const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16, exponent = (h >> 10) & 31u,
                       mantissa = h & 1023u;
        if (exponent == 0) return (sign != 0 ? -1.F : 1.F) * static_cast<float>(mantissa) * 0x1p-24F;
        const uint32_t bits = sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | mantissa << 13;
        float f;
        std::memcpy(&f, &bits, 4);
        return f;
    };
    for (size_t i = 0; i < out.size(); ++i) {
        uint16_t h;
        switch (tensor.dtype()) {
            case VLM_DTYPE_F32:
                std::memcpy(&out[i], raw + 4 * i, 4);
                break;
            case VLM_DTYPE_F64: {
                double d;
                std::memcpy(&d, raw + 8 * i, 8);
                out[i] = static_cast<float>(d);
                break;
            }
            case VLM_DTYPE_BF16: {
                std::memcpy(&h, raw + 2 * i, 2);
                const uint32_t bits = static_cast<uint32_t>(h) << 16;
                std::memcpy(&out[i], &bits, 4);
                break;
            }
            case VLM_DTYPE_F16:
                std::memcpy(&h, raw + 2 * i, 2);
                out[i] = half(h);
                break;
            default:
                throw invalid_argument(std::string(tensor.name()) + ": expected a float tensor");
        }
    }
    return out;
}

}  // namespace vlm::sdk
