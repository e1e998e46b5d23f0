/** @file ops.hpp
 *  The compute service in C++: throwing, shape-inferring wrappers over the table of compute.h, and scratch memory that
 * frees itself. The rules of the operations are in compute.h; here stands only what is added.
 *
 *  Many operations come twice: one makes its output, one writes into a given tensor (a Tensor is a view, so outputs are
 * passed by value and may be slices).
 */
#pragma once
#include <vlm/compute.h>

#include <string_view>
#include <utility>

#include "vlm/sdk/run.hpp"

namespace vlm::sdk {

/** A tensor in the scratch memory of one call; freed when it goes out of scope. */
class Scratch : public Tensor {
  public:
    Scratch() = default;
    /** Memory of `shape` in `dtype` that the device gives back at the end of this object. */
    Scratch(const vlm_compute* compute, const vlm_run_context* run,
            void (*destroy)(const vlm_compute*, const vlm_run_context*, vlm_tensor*), vlm_tensor* tensor)
        : Tensor(tensor, "scratch tensor"), compute_(compute), run_(run), destroy_(destroy), handle_(tensor) {}
    /** Takes the memory over. */
    Scratch(Scratch&& other) noexcept { *this = std::move(other); }
    /** Takes the memory over; what was here is given back. */
    Scratch& operator=(Scratch&& other) noexcept {
        if (this == &other) return *this;
        release();
        static_cast<Tensor&>(*this) = other;
        compute_ = other.compute_;
        run_ = other.run_;
        destroy_ = other.destroy_;
        handle_ = std::exchange(other.handle_, nullptr);
        static_cast<Tensor&>(other) = Tensor();
        return *this;
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { release(); }

  private:
    void release() noexcept {
        if (handle_ != nullptr && destroy_ != nullptr) destroy_(compute_, run_, handle_);
        handle_ = nullptr;
    }
    const vlm_compute* compute_ = nullptr;
    const vlm_run_context* run_ = nullptr;
    void (*destroy_)(const vlm_compute*, const vlm_run_context*, vlm_tensor*) = nullptr;
    vlm_tensor* handle_ = nullptr;
};

/** A packed linear layer; belongs to the component. Empty until loaded. */
class Linear {
  public:
    Linear() = default;
    /** Takes over what `linear_pack` made, `[in]` to `[out]`. */
    Linear(const vlm_compute* compute, vlm_linear* handle, int64_t in, int64_t out)
        : compute_(compute), handle_(handle), in_(in), out_(out) {}
    /** Takes the layer over. */
    Linear(Linear&& other) noexcept { *this = std::move(other); }
    /** Takes the layer over; what was here is freed. */
    Linear& operator=(Linear&& other) noexcept {
        std::swap(compute_, other.compute_);
        std::swap(handle_, other.handle_);
        std::swap(in_, other.in_);
        std::swap(out_, other.out_);
        return *this;
    }
    ~Linear() {
        if (handle_ != nullptr) compute_->linear_release(compute_, handle_);
    }
    /** Whether there is a layer. */
    explicit operator bool() const { return handle_ != nullptr; }
    /** The handle; stays this object's. */
    const vlm_linear* get() const { return handle_; }
    /** Columns of the input and of the output (all parts together). */
    int64_t in() const { return in_; }
    /** Output width. */
    int64_t out() const { return out_; }

  private:
    const vlm_compute* compute_ = nullptr;
    vlm_linear* handle_ = nullptr;
    int64_t in_ = 0;
    int64_t out_ = 0;
};

/** A tensor on the device that lives as long as the component: norm weights, tables. Empty until loaded. */
class Kept : public Tensor {
  public:
    Kept() = default;
    /** Takes over what `keep` made. */
    Kept(const vlm_compute* compute, vlm_tensor* handle)
        : Tensor(handle, "kept tensor"), compute_(compute), handle_(handle) {}
    /** Takes the tensor over. */
    Kept(Kept&& other) noexcept { *this = std::move(other); }
    /** Takes the tensor over; what was here is freed. */
    Kept& operator=(Kept&& other) noexcept {
        const Tensor mine = *this;
        static_cast<Tensor&>(*this) = other;
        static_cast<Tensor&>(other) = mine;
        std::swap(compute_, other.compute_);
        std::swap(handle_, other.handle_);
        return *this;
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    ~Kept() {
        if (handle_ != nullptr) compute_->release(compute_, handle_);
    }

  private:
    const vlm_compute* compute_ = nullptr;
    vlm_tensor* handle_ = nullptr;
};

/** VLM_ACT_* of a `hidden_act` of transformers. Throws INVALID_ARGUMENT for an unknown one; `path` is for the message.
 */
inline uint32_t activation_of(std::string_view name, const std::string& path) {
    static constexpr std::pair<std::string_view, uint32_t> kNames[] = {{"gelu", VLM_ACT_GELU},
                                                                       {"gelu_python", VLM_ACT_GELU},
                                                                       {"gelu_new", VLM_ACT_GELU_TANH},
                                                                       {"gelu_fast", VLM_ACT_GELU_TANH},
                                                                       {"gelu_pytorch_tanh", VLM_ACT_GELU_TANH},
                                                                       {"gelu_accurate", VLM_ACT_GELU_TANH},
                                                                       {"quick_gelu", VLM_ACT_QUICK_GELU},
                                                                       {"relu", VLM_ACT_RELU},
                                                                       {"relu2", VLM_ACT_RELU2},
                                                                       {"silu", VLM_ACT_SILU},
                                                                       {"swish", VLM_ACT_SILU},
                                                                       {"tanh", VLM_ACT_TANH},
                                                                       {"sigmoid", VLM_ACT_SIGMOID},
                                                                       {"linear", VLM_ACT_NONE}};
    std::string known;
    for (const auto& [text, value] : kNames) {
        if (text == name) return value;
        known += (known.empty() ? "" : ", ") + std::string(text);
    }
    throw invalid_argument(path + ": activation '" + std::string(name) + "' is not supported; known are " + known);
}

/** What follows a linear layer; see vlm_epilogue. Empty tensors mean: not asked for. */
struct Epilogue {
    uint32_t activation = VLM_ACT_NONE;  ///< VLM_ACT_*.
    bool gated = false;                  ///< Output is act(first half) * second half, of half the width.
    Tensor residual{};                   ///< Added to the output, of its shape; empty: nothing.
    Tensor scale{};                      ///< `[out]` factor of the output before the residual; empty: 1.
};

/** Arguments of an attention call; see vlm_attention. Empty tensors mean NULL. */
struct Attention {
    Tensor q{};                          ///< `[rows, heads, head_dim]`.
    Tensor k{};                          ///< `[keys, kv_heads, head_dim]`, new keys with a cache.
    Tensor v{};                          ///< `[keys, kv_heads, value_dim]`.
    float scale = 1.F;                   ///< Of q k^T.
    uint32_t mask_rule = VLM_MASK_FULL;  ///< VLM_MASK_*.
    Tensor key_begin{};                  ///< `[rows]` i32 first key that a row sees, with VLM_MASK_RANGES; empty: 0.
    Tensor key_end{};                    ///< `[rows]` i32 end of the keys that a row sees, with VLM_MASK_RANGES.
    Tensor mask{};                       ///< `[rows, keys]` u8, 1 where a row sees a key, with VLM_MASK_DENSE.
    Tensor key_bias{};                   ///< `[keys]` f32 added to the logits (log sizes of merged tokens).
    float logit_softcap = 0.F;           ///< c tanh(logit / c) before the mask; 0: off.
    vlm_kv_cache* cache = nullptr;       ///< Earlier keys and values; NULL: none.
    int32_t layer = 0;                   ///< Layer of the cache.
    Tensor key_rows{};                   ///< `[keys]` i32 cached row of each virtual key; empty: key j is row j.
    Tensor key_cos{};  ///< `[keys, rotary_dim / 2]` f32 rotation of each key inside the kernel; empty: rotated already.
    Tensor key_sin{};  ///< As key_cos.
    Tensor last_row_scores{};  ///< `[keys]` f32 out: probabilities of the last row, mean over heads; empty: not wanted.
    Tensor weights{};          ///< `[rows, keys]` f32 out: all probabilities, mean over heads; empty: not wanted.
};

/** The operations of the device that this call runs on. Valid for the call. */
class Ops {
  public:
    /** The compute service of a run. */
    explicit Ops(const Run& run) : run_(run), self_(run.compute()), table_(read_struct(self_, "compute service")) {}

    /** The run that operations belong to. */
    const Run& run() const { return run_; }
    /** Where tensors live. */
    vlm_device device() const { return table_.device; }
    /** Whether tensors can be read by this process. */
    bool on_cpu() const { return table_.device.device_type == VLM_DEVICE_CPU; }
    /** What activations are stored in: VLM_DTYPE_F32 or VLM_DTYPE_BF16. */
    uint32_t activation_dtype() const { return table_.activation_dtype; }

    /* ---- memory ---- */

    /** Uninitialised scratch; `dtype` 0 is the activation dtype. */
    Scratch create(std::span<const int64_t> shape, uint32_t dtype = 0) const {
        vlm_tensor* tensor = nullptr;
        const uint32_t type = dtype == 0 ? table_.activation_dtype : dtype;
        call("create", table_.create, type, static_cast<int32_t>(shape.size()), shape.data(), &tensor);
        return {self_, run_.get(), table_.destroy, tensor};
    }
    /** Uninitialised memory; `dtype` 0: the activation dtype. */
    Scratch create(std::initializer_list<int64_t> shape, uint32_t dtype = 0) const {
        return create(std::span<const int64_t>(shape.begin(), shape.size()), dtype);
    }
    /** Uninitialised memory of the shape and dtype of `x`. */
    Scratch like(const Tensor& x) const { return create(x.shape(), x.dtype()); }
    /** Copies and casts; shapes must be equal, devices may differ. */
    void copy(const Tensor& from, Tensor to) const { call("copy", table_.copy, from.get(), to.get()); }
    /** A compact copy in `dtype` (0: the activation dtype) on the device: uploads and casts. */
    Scratch copied(const Tensor& from, uint32_t dtype = 0) const {
        Scratch to = create(from.shape(), dtype);
        copy(from, to);
        return to;
    }
    /** The elements as f32 or i32 on the CPU. Waits for the device: never between layers. */
    template <typename T = float>
    std::vector<T> download(const Tensor& from) const {
        HostTensor<T> to(Shape(from.shape().begin(), from.shape().end()));
        copy(from, to.view());
        return std::move(to.data());
    }
    /** Sets all elements. */
    void fill(Tensor to, double value) const { call("fill", table_.fill, to.get(), value); }

    /* ---- dense ---- */

    /** `y[rows, out] = epilogue(x[rows, in] W^T + b)`. */
    void linear(const Linear& layer, const Tensor& x, const Epilogue& epilogue, Tensor y) const {
        auto e = make_struct<vlm_epilogue>();
        e.activation = epilogue.activation;
        e.gated = epilogue.gated ? 1 : 0;
        e.residual = epilogue.residual.get();
        e.scale = epilogue.scale.get();
        call("linear", table_.linear, layer.get(), x.get(), static_cast<const vlm_epilogue*>(&e), y.get());
    }
    /** `[rows, out]`, or `[rows, out / 2]` when gated. */
    Scratch linear(const Linear& layer, const Tensor& x, const Epilogue& epilogue = {}) const {
        Scratch y = create({x.size(0), epilogue.gated ? layer.out() / 2 : layer.out()});
        linear(layer, x, epilogue, y);
        return y;
    }
    /** `c = alpha a b`, or `alpha a b^T`; batched over leading dimensions. */
    void matmul(const Tensor& a, const Tensor& b, bool transpose_b, float alpha, Tensor c) const {
        call("matmul", table_.matmul, a.get(), b.get(), transpose_b ? 1 : 0, alpha, c.get());
    }
    /** `out[rows, heads, value_dim]`; see vlm_attention in abi/vlm/attention.h. */
    void attention(const Attention& a, Tensor out) const {
        auto args = make_struct<vlm_attention>();
        args.q = a.q.get();
        args.k = a.k.get();
        args.v = a.v.get();
        args.out = out.get();
        args.scale = a.scale;
        args.logit_softcap = a.logit_softcap;
        args.mask_rule = a.mask_rule;
        args.layer = a.layer;
        args.key_begin = a.key_begin.get();
        args.key_end = a.key_end.get();
        args.mask = a.mask.get();
        args.key_bias = a.key_bias.get();
        args.cache = a.cache;
        args.key_rows = a.key_rows.get();
        args.key_cos = a.key_cos.get();
        args.key_sin = a.key_sin.get();
        Tensor scores = a.last_row_scores, weights = a.weights;
        args.last_row_scores = scores.get();
        args.weights = weights.get();
        call("attention", table_.attention, static_cast<const vlm_attention*>(&args));
    }

    /* ---- positions ---- */

    /** `cos` and `sin` `[n, frequencies]` f32 of `positions` `[axes, n]` (i32 or f32, CPU or device). */
    std::pair<Scratch, Scratch> rope_table(const vlm_rope_spec& spec, const Tensor& positions) const {
        Scratch cos = create({positions.size(-1), spec.frequencies}, VLM_DTYPE_F32);
        Scratch sin = like(cos);
        call("rope_table", table_.rope_table, &spec, positions.get(), cos.get(), sin.get());
        return {std::move(cos), std::move(sin)};
    }
    /** Rotates the first 2 * frequencies elements of each head of `x[rows, heads, head_dim]` in place by `cos` and
     * `sin` `[rows, frequencies]`; `interleaved`: pairs are neighbours. */
    void rope(Tensor x, const Tensor& cos, const Tensor& sin, bool interleaved = false) const {
        call("rope", table_.rope, x.get(), cos.get(), sin.get(), interleaved ? 1 : 0);
    }
    /** `[height, width, dim]` resampled to `[new_height, new_width, dim]`, f32. `mode` is VLM_INTERPOLATE_*. */
    Scratch interpolate(const Tensor& src, int64_t height, int64_t width, int32_t mode, bool align_corners,
                        bool antialias) const {
        Scratch dst = create({height, width, src.size(2)}, VLM_DTYPE_F32);
        call("interpolate", table_.interpolate, src.get(), mode, align_corners ? 1 : 0, antialias ? 1 : 0, dst.get());
        return dst;
    }

    /* ---- row-wise; `beta` and `gamma` may be empty ---- */

    /** `y = (x - mean) / sqrt(variance + eps) * gamma + beta` over the last dimension; empty gamma: 1, empty beta: 0.
     */
    void layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps, Tensor y) const {
        call("layer_norm", table_.layer_norm, x.get(), gamma.get(), beta.get(), eps, y.get());
    }
    /** As above into new memory. */
    Scratch layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) const {
        Scratch y = like(x);
        layer_norm(x, gamma, beta, eps, y);
        return y;
    }
    /** `y = x / sqrt(mean(x^2) + eps) * (gamma + offset)` over the last dimension. */
    void rms_norm(const Tensor& x, const Tensor& gamma, float eps, Tensor y, float offset = 0.F) const {
        call("rms_norm", table_.rms_norm, x.get(), gamma.get(), eps, offset, y.get());
    }
    /** As above into new memory. */
    Scratch rms_norm(const Tensor& x, const Tensor& gamma, float eps, float offset = 0.F) const {
        Scratch y = like(x);
        rms_norm(x, gamma, eps, y, offset);
        return y;
    }
    /** `y = x / max(|x|, eps)` over the last dimension. */
    void l2_normalize(const Tensor& x, float eps, Tensor y) const {
        call("l2_normalize", table_.l2_normalize, x.get(), eps, y.get());
    }
    /** Over the last dimension. */
    void softmax(const Tensor& x, Tensor y) const { call("softmax", table_.softmax, x.get(), y.get()); }
    /** Element by element; `kind` is VLM_ACT_*. */
    void activation(const Tensor& x, uint32_t kind, Tensor y) const {
        call("activation", table_.activation, x.get(), kind, y.get());
    }
    /** `y = a + scale b`; `b` may be one row. */
    void add(const Tensor& a, const Tensor& b, Tensor y, float scale = 1.F) const {
        call("add", table_.add, a.get(), b.get(), scale, y.get());
    }
    /** `y = a b`; `b` may be one row. */
    void multiply(const Tensor& a, const Tensor& b, Tensor y) const {
        call("multiply", table_.multiply, a.get(), b.get(), y.get());
    }

    /* ---- rows in and out ---- */

    /** `y[i] = x[rows[i]]`. */
    void gather(const Tensor& x, const Tensor& rows, Tensor y) const {
        call("gather", table_.gather, x.get(), rows.get(), y.get());
    }
    /** Rows of `x` named by `rows` `[m]` i32, in the activation dtype. */
    Scratch gather(const Tensor& x, const Tensor& rows) const {
        Shape shape(x.shape().begin(), x.shape().end());
        shape.at(0) = rows.size(0);
        Scratch y = create(shape);
        gather(x, rows, y);
        return y;
    }
    /** `y[g]` = mean of the rows of group g, weighted by `weights[rows]`; negative groups are dropped. */
    void scatter_mean(const Tensor& x, const Tensor& groups, const Tensor& weights, Tensor y) const {
        call("scatter_mean", table_.scatter_mean, x.get(), groups.get(), weights.get(), y.get());
    }
    /** Dimension d of the result is dimension `axes[d]` of `x`. */
    Scratch permute(const Tensor& x, std::initializer_list<int32_t> axes) const {
        Shape shape;
        for (const int32_t axis : axes) shape.push_back(x.size(axis));
        Scratch y = create(shape, x.dtype());
        call("permute", table_.permute, x.get(), axes.begin(), y.get());
        return y;
    }
    /** Patches of `pixels` `[images, channels, height, width]` as rows; `order` is VLM_PATCH_*. */
    Scratch patches(const Tensor& pixels, int32_t patch_height, int32_t patch_width,
                    int32_t order = VLM_PATCH_CHANNEL_FIRST) const {
        const int64_t rows = pixels.size(0) * (pixels.size(2) / patch_height) * (pixels.size(3) / patch_width);
        Scratch y = create({rows, pixels.size(1) * patch_height * patch_width});
        call("patches", table_.patches, pixels.get(), patch_height, patch_width, order, y.get());
        return y;
    }
    /** Mean along `axis`, which `y` lacks. */
    void mean(const Tensor& x, int32_t axis, Tensor y) const { call("mean", table_.mean, x.get(), axis, y.get()); }

    /* ---- selection and token maps ---- */

    /** Largest element of each row and its index. */
    void argmax(const Tensor& x, Tensor values, Tensor indices) const {
        call("argmax", table_.argmax, x.get(), values.get(), indices.get());
    }
    /** The k largest elements of each row, largest first, and their indices. */
    void top_k(const Tensor& x, int32_t k, Tensor values, Tensor indices) const {
        call("top_k", table_.top_k, x.get(), k, values.get(), indices.get());
    }
    /** Number of groups; fills `groups`. */
    int64_t merge_map(const Tensor& scores, const Tensor& partners, float threshold, int64_t limit,
                      int64_t protected_tokens, Tensor groups) const {
        int64_t count = 0;
        call("merge_map", table_.merge_map, scores.get(), partners.get(), threshold, limit, protected_tokens,
             groups.get(), &count);
        return count;
    }
    /** `groups[i]`: rank of row i among those kept, -1 for the dropped: of `droppable` rows the `keep` with the largest
     * scores stay. */
    void keep_map(const Tensor& scores, const Tensor& droppable, int64_t keep, Tensor groups) const {
        call("keep_map", table_.keep_map, scores.get(), droppable.get(), keep, groups.get());
    }

    /** See compute.h; `sizes` and `origins` are empty before the first map. */
    void carry_map(const Tensor& groups, const Tensor& sizes, const Tensor& origins, Tensor row_of_position,
                   Tensor new_sizes, Tensor log_sizes, Tensor new_origins) const {
        call("carry_map", table_.carry_map, groups.get(), sizes.get(), origins.get(), row_of_position.get(),
             new_sizes.get(), log_sizes.get(), new_origins.get());
    }

    /* ---- key/value cache ---- */

    /** A cache; free it with the `kv_destroy` of the compute service. */
    vlm_kv_cache* kv_create(const vlm_kv_spec& spec) const {
        if (table_.kv_create == nullptr) throw missing("kv_create");
        vlm_kv_cache* cache = nullptr;
        check_host(table_.kv_create(self_, &spec, &cache), "kv_create");
        return cache;
    }

    /** Cache bytes of one position over all layers; a host that cannot tell stores them in the activation dtype. */
    int64_t kv_token_bytes(const vlm_kv_spec& spec) const {
        if (table_.kv_token_bytes != nullptr) return table_.kv_token_bytes(self_, &spec);
        return 2 * int64_t{spec.layers} * spec.kv_heads * spec.head_dim *
               static_cast<int64_t>(dtype_size(activation_dtype()));
    }

    /** Calls a slot of the table; throws UNIMPLEMENTED when this host is too old to have it. */
    template <typename... Formal, typename... Actual>
    void call(const char* name, vlm_status (*slot)(const vlm_compute*, const vlm_run_context*, Formal...),
              Actual&&... args) const {
        if (slot == nullptr) throw missing(name);
        check_host(slot(self_, run_.get(), std::forward<Actual>(args)...), name);
    }

  private:
    static Error missing(const char* name) {
        return unimplemented(std::string("the compute service of this host lacks '") + name + "'; use a newer host");
    }

    const Run& run_;
    const vlm_compute* self_;
    vlm_compute table_;
};

}  // namespace vlm::sdk
