/** @file parity_numbers.hpp
 *  Numbers of a reference folder and of our own run, brought to one form and compared.
 */
#pragma once
#include <vlm/tensor.h>

#include <string>
#include <vector>

#include "host/cli/parity_case.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm::cli {

/** Numbers of one captured or expected tensor, whatever its dtype. */
struct Numbers {
    std::vector<double> values;
    bool integer = false;
    size_t row_width = 0;  ///< Size of the last dimension.
};

/** Appends the elements of a CPU tensor, strides respected. Throws UNIMPLEMENTED for a dtype that no reference has. */
void append(Numbers& numbers, const vlm_tensor& tensor);

/** The elements of a tensor of expected.safetensors. */
Numbers read_expected(const TensorView& tensor);

/** Compares in order of elements: integers must be equal; others may differ by `tolerance`, or by 2e-5 of the largest
 * expected value. A different number of elements, and NaN on one side only, fail. */
Comparison compare(const std::string& name, const Numbers& expected, const Numbers& found, double tolerance);

}  // namespace vlm::cli
