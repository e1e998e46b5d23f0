/** @file ranking.hpp
 *  Arithmetic of late fusion and of rankings. The vectors are few and short, so it is done here in double and needs no
 * device.
 */
#pragma once
#include <cstdint>
#include <vector>

namespace vlm::similarity {

/** Rows of equal width. */
struct Matrix {
    int64_t columns = 0;
    std::vector<float> values;
    int64_t rows() const { return columns == 0 ? 0 : static_cast<int64_t>(values.size()) / columns; }
    const float* row(int64_t i) const { return values.data() + i * columns; }
};

/** Divides every row by its Euclidean length; a zero row stays zero. */
void normalize_rows(Matrix& m);

/** `scale * a b^T`: `[a.rows, b.rows]`. Both must have the same number of columns. */
Matrix products(const Matrix& a, const Matrix& b, double scale);

/** The transpose of `m`. */
Matrix transposed(const Matrix& m);

/** Softmax of `count` scores. */
std::vector<double> softmax(const float* scores, int64_t count);
/** `1 / (1 + exp(-x))` of `count` scores. */
std::vector<double> sigmoid(const float* scores, int64_t count);

/** Indices of the `most` largest scores, best first; ties: lower index first. NaN ranks last. */
std::vector<int64_t> best(const float* scores, int64_t count, int64_t most);

}  // namespace vlm::similarity
