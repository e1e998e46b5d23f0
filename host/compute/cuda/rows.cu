/** @file rows.cu
 *  Norms, softmax and element-wise operations: one block per row, so that a row's sums stay in the block and its second
 * and third pass hit the cache. All arithmetic is f32 whatever the dtype of the rows.
 */
#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/select.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

namespace {

template <class Block, class T>
VLM_HD float sum_of_squares(Block& block, const T* row, int64_t n) {
    float squares = 0.0f;
    for (int64_t i = block.thread(); i < n; i += block.threads()) {
        const float v = to_float(row[i]);
        squares += v * v;
    }
    return block.sum(squares);
}

/** Both norms, eight elements at a time: a decoder's row is then one load per thread, or two, and what a single row
 * takes is the way to memory and back, which others take once per element. Rows that are not `kWhole` are read and
 * written element by element and may end within eight. */
template <class T, bool kMean, bool kWhole>
struct Norm {
    static constexpr int kThreads = 512;
    RowLayout x, y;
    const float* gamma;
    const float* beta;
    float eps, offset;

    /** Where what is read from column `i` on ends: behind whole eights always, which nobody has to compare. */
    VLM_HD int64_t end(int64_t i) const { return kWhole ? i + 8 : x.columns; }

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const T* from = x.row<T>(block.index());
        T* to = y.row<T>(block.index());
        const int64_t columns = x.columns, step = 8 * static_cast<int64_t>(block.threads());
        const auto n = static_cast<float>(columns);
        float v[8], mean = 0.0f;
        if (kMean) {
            float sum = 0.0f;
            for (int64_t i = 8 * block.thread(); i < columns; i += step) {
                load8_of(from, i, end(i), kWhole, v);
                VLM_UNROLL
                for (int k = 0; k < 8; ++k) sum += v[k];
            }
            mean = block.sum(sum) / n;
        }
        float squares = 0.0f;
        for (int64_t i = 8 * block.thread(); i < columns; i += step) {
            load8_of(from, i, end(i), kWhole, v);
            VLM_UNROLL
            for (int k = 0; k < 8; ++k)
                if (i + k < end(i)) squares += (v[k] - mean) * (v[k] - mean);
        }
        const float inverse = 1.0f / sqrtf(block.sum(squares) / n + eps);
        for (int64_t i = 8 * block.thread(); i < columns; i += step) {
            float factor[8] = {}, added[8] = {};
            load8_of(from, i, end(i), kWhole, v);
            if (gamma != nullptr) load8_of(gamma, i, end(i), kWhole, factor);
            if (beta != nullptr) load8_of(beta, i, end(i), kWhole, added);
            VLM_UNROLL
            for (int k = 0; k < 8; ++k) {
                v[k] = (v[k] - mean) * inverse;
                if (gamma != nullptr) v[k] *= offset + factor[k];
                if (beta != nullptr) v[k] += added[k];
            }
            store8_of(to, i, end(i), kWhole, v);
        }
    }
};

template <class T>
struct L2Normalize {
    static constexpr int kThreads = 128;
    RowLayout x, y;
    float eps;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const T* from = x.row<T>(block.index());
        T* to = y.row<T>(block.index());
        const float norm = sqrtf(sum_of_squares(block, from, x.columns));
        const float divisor = norm > eps || norm != norm ? norm : eps;
        for (int64_t i = block.thread(); i < x.columns; i += block.threads())
            from_float(to_float(from[i]) / divisor, to[i]);
    }
};

template <class T>
struct Softmax {
    static constexpr int kThreads = 256;
    RowLayout x, y;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const T* from = x.row<T>(block.index());
        T* to = y.row<T>(block.index());
        float top = -infinity();
        for (int64_t i = block.thread(); i < x.columns; i += block.threads()) top = fmaxf(top, to_float(from[i]));
        const float maximum = block.max(top);
        float sum = 0.0f;
        for (int64_t i = block.thread(); i < x.columns; i += block.threads()) sum += expf(to_float(from[i]) - maximum);
        const float total = block.sum(sum);
        for (int64_t i = block.thread(); i < x.columns; i += block.threads())
            from_float(expf(to_float(from[i]) - maximum) / total, to[i]);
    }
};

template <class T>
struct Activation {
    static constexpr int kThreads = 256;
    RowLayout x, y;
    uint32_t kind;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const T* from = x.row<T>(block.index());
        T* to = y.row<T>(block.index());
        for (int64_t i = block.thread(); i < x.columns; i += block.threads())
            from_float(activate(kind, to_float(from[i])), to[i]);
    }
};

/** `a + scale * b`, or `a * b`. */
template <class T, bool kProduct>
struct Combine {
    static constexpr int kThreads = 256;
    RowLayout a, b, y;
    float scale;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const T* left = a.row<T>(block.index());
        const T* right = b.row<T>(block.index() % b.count);
        T* to = y.row<T>(block.index());
        for (int64_t i = block.thread(); i < a.columns; i += block.threads()) {
            const float l = to_float(left[i]), r = to_float(right[i]);
            from_float(kProduct ? l * r : l + scale * r, to[i]);
        }
    }
};

/** The k best of a row, one after another: each is the best of those that come behind the one before. */
template <class T>
struct Select {
    static constexpr int kThreads = 512;
    RowLayout x;
    int64_t k;
    float* values;
    int32_t* indices;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const T* row = x.row<T>(block.index());
        Candidate last{0.0f, -1};
        for (int64_t rank = 0; rank < k; ++rank) {
            Candidate mine{0.0f, -1};
            for (int64_t i = block.thread(); i < x.columns; i += block.threads()) {
                const Candidate here{to_float(row[i]), static_cast<int32_t>(i)};
                if (rank > 0 && !better(last, here)) continue;
                if (better(here, mine)) mine = here;
            }
            last = best_of(block, mine);
            if (block.thread() == 0) {
                const int64_t place = block.index() * k + rank;
                if (values != nullptr) values[place] = last.value;
                if (indices != nullptr) indices[place] = last.index;
            }
        }
    }
};

/** The k best of a short row at once: an element's rank is the number of better ones. */
template <class T>
struct Rank {
    static constexpr int kThreads = 512;
    RowLayout x;
    int64_t k;
    float* values;
    int32_t* indices;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const T* row = x.row<T>(block.index());
        for (int64_t i = block.thread(); i < x.columns; i += block.threads()) {
            const Candidate mine{to_float(row[i]), static_cast<int32_t>(i)};
            int64_t rank = 0;
            for (int64_t j = 0; j < x.columns; ++j)
                rank += better({to_float(row[j]), static_cast<int32_t>(j)}, mine) ? 1 : 0;
            if (rank >= k) continue;
            if (values != nullptr) values[block.index() * k + rank] = mine.value;
            if (indices != nullptr) indices[block.index() * k + rank] = mine.index;
        }
    }
};

/** Rows up to this length are ranked; longer ones (vocabularies) are selected from. */
constexpr int64_t kRankColumns = 8192;

/** Calls `fn` with a value of the activation type. */
template <class Fn>
void with_type(uint32_t dtype, const Fn& fn) {
    if (dtype == VLM_DTYPE_BF16) {
        fn(Bf16{});
    } else {
        fn(float{});
    }
}

template <bool kMean>
void launch_norm(const Queue& queue, const char* name, uint32_t dtype, const RowLayout& x, const float* gamma,
                 const float* beta, float eps, float offset, const RowLayout& y) {
    with_type(dtype, [&](auto tag) {
        using T = decltype(tag);
        if (in_vectors(x, sizeof(T)) && in_vectors(y, sizeof(T)) && in_vectors(gamma, 0, sizeof(float)) &&
            in_vectors(beta, 0, sizeof(float))) {
            launch(queue, name, {x.count}, Norm<T, kMean, true>{x, y, gamma, beta, eps, offset});
        } else {
            launch(queue, name, {x.count}, Norm<T, kMean, false>{x, y, gamma, beta, eps, offset});
        }
    });
}

}  // namespace

void launch_layer_norm(const Queue& queue, uint32_t dtype, const RowLayout& x, const float* gamma, const float* beta,
                       float eps, const RowLayout& y) {
    launch_norm<true>(queue, "layer_norm", dtype, x, gamma, beta, eps, 0.0f, y);
}

void launch_rms_norm(const Queue& queue, uint32_t dtype, const RowLayout& x, const float* gamma, float eps,
                     float offset, const RowLayout& y) {
    launch_norm<false>(queue, "rms_norm", dtype, x, gamma, nullptr, eps, offset, y);
}

void launch_l2_normalize(const Queue& queue, uint32_t dtype, const RowLayout& x, float eps, const RowLayout& y) {
    with_type(dtype, [&](auto tag) {
        launch(queue, "l2_normalize", {x.count}, L2Normalize<decltype(tag)>{x, y, eps});
    });
}

void launch_softmax(const Queue& queue, uint32_t dtype, const RowLayout& x, const RowLayout& y) {
    with_type(dtype, [&](auto tag) { launch(queue, "softmax", {x.count}, Softmax<decltype(tag)>{x, y}); });
}

void launch_activation(const Queue& queue, uint32_t dtype, const RowLayout& x, uint32_t kind, const RowLayout& y) {
    with_type(dtype, [&](auto tag) { launch(queue, "activation", {x.count}, Activation<decltype(tag)>{x, y, kind}); });
}

void launch_add(const Queue& queue, uint32_t dtype, const RowLayout& a, const RowLayout& b, float scale,
                const RowLayout& y) {
    with_type(dtype, [&](auto tag) { launch(queue, "add", {a.count}, Combine<decltype(tag), false>{a, b, y, scale}); });
}

void launch_multiply(const Queue& queue, uint32_t dtype, const RowLayout& a, const RowLayout& b, const RowLayout& y) {
    with_type(dtype, [&](auto tag) {
        launch(queue, "multiply", {a.count}, Combine<decltype(tag), true>{a, b, y, 1.0f});
    });
}

void launch_argmax(const Queue& queue, uint32_t dtype, const RowLayout& x, float* values, int32_t* indices) {
    with_type(dtype, [&](auto tag) {
        using Body = Select<decltype(tag)>;
        launch(queue, "argmax", {x.count, Body::kThreads * static_cast<int64_t>(sizeof(Candidate))},
               Body{x, 1, values, indices});
    });
}

void launch_top_k(const Queue& queue, uint32_t dtype, const RowLayout& x, int64_t k, float* values, int32_t* indices) {
    if (k == 0) return;
    with_type(dtype, [&](auto tag) {
        using Type = decltype(tag);
        if (x.columns <= kRankColumns) {
            launch(queue, "top_k", {x.count}, Rank<Type>{x, k, values, indices});
        } else {
            using Body = Select<Type>;
            launch(queue, "top_k", {x.count, Body::kThreads * static_cast<int64_t>(sizeof(Candidate))},
                   Body{x, k, values, indices});
        }
    });
}

}  // namespace vlm::cuda
