/** @file bench.hpp
 *  The ways in which `vlmhost bench` measures.
 */
#pragma once
#include "host/bench/machine_peak.hpp"
#include "host/bench/report.hpp"
#include "host/cli/options.hpp"

namespace vlm::cli {

/** Whole answers of a pipeline, stage by stage as they come: any kind of pipeline. */
int bench_answers(const po::variables_map& values);

/** Answers with and without tokens guessed ahead (prompt lookup), in turns: time, how many guesses were right, and
 *  whether the answers are equal. `arguments` of --lookup are the most tokens to guess. */
int bench_lookup(const po::variables_map& values);

/** Each stage alone at a given prompt length, as shares of the machine's peak. `arguments` are those of the command. */
int bench_stages(const Arguments& arguments, const po::variables_map& values);

/** Time against prompt length, image size, batch and threads. */
int bench_scaling(const po::variables_map& values);

/** Answers requests on standard input, one JSON object a line, until it ends: {"stage": "encode" | "prefill" | "first
 *  token" | "decode" | …, "runs": n (0: one call that nothing precedes), "batch": n, "steps": n} with {"ms": [...],
 * "flops", "bytes", "peak_mb"}, and
 *  {"stage": "machine"} with what the machine can do now. The first line that it prints tells about itself.
 *  @throws Error INVALID_ARGUMENT for a request that it does not understand. */
int bench_serve(const po::variables_map& values);

/** Opens the pipeline, makes one token, and prints the times as JSON: what bench_stages starts as a process of its own.
 */
int bench_first_token(const po::variables_map& values);

/** Starts `vlmhost bench --first-token` with the arguments of this process `count` times, one after the other.
 *  @throws Error UNAVAILABLE when a process cannot be started or fails. */
bench::StartTimes measure_start(const Arguments& arguments, int count);

/** What `--shape` or `--model` or `--manifest` name. */
struct Subject {
    std::string name;
    Manifest manifest;
};

/** Writes the checkpoint of `--shape` when it is not there yet. */
Subject subject_of(const po::variables_map& values);

/** The image of `--image`, or a drawn page that every encoder can take. */
Image bench_image(const po::variables_map& values, const Manifest& manifest);

/** A light page with dark bars. */
Image test_page(int width, int height);

/** The arithmetic that a manifest's dtype and weights mean. */
bench::PeakType peak_type(const Manifest& manifest);

/** Numbers of a list "1,4,8". @throws Error INVALID_ARGUMENT unless all are positive whole numbers. */
std::vector<int64_t> number_list(const std::string& option, const std::string& text);

}  // namespace vlm::cli
