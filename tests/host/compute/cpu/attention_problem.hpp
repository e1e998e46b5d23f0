/** @file attention_problem.hpp
 *  One attention problem with its answer by a loop in double, for all tests of attention.
 */
#pragma once
#include <functional>
#include <limits>

#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {

/** One attention problem with all its tensors. */
struct Problem {
    int64_t rows, keys, heads, kv_heads, dim, value_dim;
    Floats q, k, v, out;
    vlm_attention args{};
    std::vector<std::vector<bool>> visible;
    std::vector<float> bias;

    Problem(int64_t r, int64_t n, int64_t h, int64_t kv, int64_t d, int64_t vd, uint32_t seed)
        : rows(r),
          keys(n),
          heads(h),
          kv_heads(kv),
          dim(d),
          value_dim(vd),
          q(random_floats({r, h, d}, seed)),
          k(random_floats({n, kv, d}, seed + 1)),
          v(random_floats({n, kv, vd}, seed + 2)),
          out({r, h, vd}) {
        args.struct_size = sizeof(args);
        args.abi_version = VLM_ABI_VERSION;
        args.scale = 1.0f / std::sqrt(static_cast<float>(d));
        visible.assign(static_cast<size_t>(r), std::vector<bool>(static_cast<size_t>(n), true));
    }
    vlm_attention* bind() {
        args.q = q.abi();
        args.k = k.abi();
        args.v = v.abi();
        args.out = out.abi();
        return &args;
    }
    double logit(int64_t row, int64_t head, int64_t key) const {
        const int64_t kv = head / (heads / kv_heads);
        double sum = 0;
        for (int64_t d = 0; d < dim; ++d)
            sum += static_cast<double>(q[(row * heads + head) * dim + d]) * k[(key * kv_heads + kv) * dim + d];
        sum *= args.scale;
        if (args.logit_softcap != 0) sum = args.logit_softcap * std::tanh(sum / args.logit_softcap);
        return sum + (bias.empty() ? 0.0 : bias[static_cast<size_t>(key)]);
    }
    /** Softmax weights of one row and head; all zero when nothing is visible. */
    std::vector<double> weights(int64_t row, int64_t head) const {
        std::vector<double> w(static_cast<size_t>(keys), 0.0);
        double best = -std::numeric_limits<double>::infinity(), total = 0;
        for (int64_t j = 0; j < keys; ++j)
            if (visible[static_cast<size_t>(row)][static_cast<size_t>(j)]) best = std::max(best, logit(row, head, j));
        for (int64_t j = 0; j < keys; ++j) {
            if (!visible[static_cast<size_t>(row)][static_cast<size_t>(j)]) continue;
            w[static_cast<size_t>(j)] = std::exp(logit(row, head, j) - best);
            total += w[static_cast<size_t>(j)];
        }
        for (double& x : w) x = total > 0 ? x / total : 0;
        return w;
    }
    std::vector<double> expected() const {
        std::vector<double> y(static_cast<size_t>(rows * heads * value_dim), 0.0);
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t h = 0; h < heads; ++h) {
                const auto w = weights(r, h);
                const int64_t kv = h / (heads / kv_heads);
                for (int64_t j = 0; j < keys; ++j)
                    for (int64_t d = 0; d < value_dim; ++d)
                        y[static_cast<size_t>((r * heads + h) * value_dim + d)] +=
                            w[static_cast<size_t>(j)] * v[(j * kv_heads + kv) * value_dim + d];
            }
        return y;
    }
    std::vector<double> mean_weights(int64_t row) const {
        std::vector<double> mean(static_cast<size_t>(keys), 0.0);
        for (int64_t h = 0; h < heads; ++h) {
            const auto w = weights(row, h);
            for (size_t j = 0; j < w.size(); ++j) mean[j] += w[j] / static_cast<double>(heads);
        }
        return mean;
    }
    void causal() {
        args.mask_rule = VLM_MASK_CAUSAL;
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t j = 0; j < keys; ++j)
                visible[static_cast<size_t>(r)][static_cast<size_t>(j)] = j <= keys - rows + r;
    }
};

inline std::unique_ptr<vlm_kv_cache, std::function<void(vlm_kv_cache*)>> make_cache(Device& device, int32_t layers,
                                                                                    int32_t heads, int32_t dim,
                                                                                    int64_t capacity) {
    vlm_kv_spec spec{sizeof(vlm_kv_spec), VLM_ABI_VERSION, layers, heads, dim, 0, capacity};
    vlm_kv_cache* cache = nullptr;
    EXPECT_EQ(device->kv_create(device.table(), &spec, &cache), VLM_STATUS_OK) << CpuCompute::load_error();
    const vlm_compute* table = device.table();
    return {cache, [table](vlm_kv_cache* c) { table->kv_destroy(table, c); }};
}

}  // namespace vlm::test
