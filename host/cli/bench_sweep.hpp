/** @file bench_sweep.hpp
 *  `vlmhost bench --sweep reducers`: the curve that a manifest's `budget` chooses from.
 */
#pragma once
#include "host/cli/options.hpp"

namespace vlm::cli {

/** `--sweep`, `--thresholds`, `--text-tokens`, `--out`. */
void add_sweep_options(po::options_description& options);

/** Measures reducers on the model or shape of `values`, prints a table and writes the curve. */
int bench_sweep(const po::variables_map& values);

}  // namespace vlm::cli
