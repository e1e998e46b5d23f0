/** @file top_logits.cu
 *  The largest logits of a row and the sum of all exponentials. A row is a vocabulary, and decoding one sequence has
 * one of them: a block per row would leave the GPU idle. So blocks take spans of fixed length, which makes what is
 * found independent of how many rows there are, and one block per row joins them. Exponentials are taken and added in
 * f64: probabilities near one are told apart as on the CPU.
 */
#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/select.hpp"

namespace vlm::cuda {

namespace {

constexpr int kThreadsOfSpan = 256;
constexpr int64_t kSpanColumns = 2048;
/** Of candidates or partial sums, one per thread. */
constexpr int64_t kSharedBytes = kThreadsOfSpan * 8;

/** exp(x - top), where nothing is left of -infinity, and of a top that is no finite number NaN. */
VLM_HD double part_of(float x, float top) {
    return x == -infinity() && top == top ? 0.0 : exp(static_cast<double>(x) - static_cast<double>(top));
}

struct TopOfSpans {
    static constexpr int kThreads = kThreadsOfSpan;
    TopRows t;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t span = block.index() % t.spans;
        const float* row = t.rows[block.index() / t.spans];
        const int64_t first = span * t.span_columns;
        const int64_t end = first + t.span_columns < t.columns ? first + t.span_columns : t.columns;
        Candidate* best = t.span_best + block.index() * t.count;
        Candidate last{0.0f, -1};
        float top = 0.0f;
        for (int64_t rank = 0; rank < t.count; ++rank) {
            Candidate mine{0.0f, -1};
            for (int64_t i = first + block.thread(); i < end; i += block.threads()) {
                const Candidate here{row[i], static_cast<int32_t>(i)};
                if (rank > 0 && !better(last, here)) continue;
                if (better(here, mine)) mine = here;
            }
            // Behind the last of a short span all are none, and stay so.
            if (rank == 0 || last.index >= 0) last = best_of(block, mine);
            if (rank == 0) top = last.value;
            if (block.thread() == 0) best[rank] = last;
        }
        double sum = 0.0;
        for (int64_t i = first + block.thread(); i < end; i += block.threads()) sum += part_of(row[i], top);
        sum = sum_of(block, sum);
        if (block.thread() == 0) t.span_sums[block.index()] = sum;
    }
};

struct JoinTops {
    static constexpr int kThreads = kThreadsOfSpan;
    TopRows t;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const Candidate* found = t.span_best + block.index() * t.spans * t.count;
        Candidate* best = t.best + block.index() * t.count;
        Candidate last{0.0f, -1};
        float top = 0.0f;
        for (int64_t rank = 0; rank < t.count; ++rank) {
            Candidate mine{0.0f, -1};
            for (int64_t i = block.thread(); i < t.spans * t.count; i += block.threads()) {
                if (rank > 0 && !better(last, found[i])) continue;
                if (better(found[i], mine)) mine = found[i];
            }
            last = best_of(block, mine);
            if (rank == 0) top = last.value;
            if (block.thread() == 0) best[rank] = rank == 0 && top != top ? Candidate{top, -1} : last;
        }
        double sum = 0.0;
        for (int64_t s = block.thread(); s < t.spans; s += block.threads())
            sum += t.span_sums[block.index() * t.spans + s] * part_of(found[s * t.count].value, top);
        sum = sum_of(block, sum);
        // Of a row without a finite logit nothing is probable; the difference then makes it NaN, as on the CPU.
        if (block.thread() == 0)
            t.log_sums[block.index()] = log(sum) + (static_cast<double>(top) - static_cast<double>(top));
    }
};

}  // namespace

void plan_top_rows(TopRows& top) {
    top.span_columns = kSpanColumns;
    top.spans = divide_up(top.columns, kSpanColumns);
}

void launch_top_rows(const Queue& queue, const TopRows& top) {
    launch(queue, "top_logits", {top.row_count * top.spans, kSharedBytes}, TopOfSpans{top});
    launch(queue, "top_logits", {top.row_count, kSharedBytes}, JoinTops{top});
}

}  // namespace vlm::cuda
