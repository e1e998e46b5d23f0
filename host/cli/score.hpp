/** @file score.hpp
 *  `--score`: what given answers cost, for people and as JSON.
 */
#pragma once
#include <string>
#include <vector>

#include "host/pipeline/score.hpp"

namespace vlm::cli {

/** The answers of `--score`: a text, or the content of a file where it begins with '@' (the line break at its end is no
 * part of it). Throws NOT_FOUND for a file that cannot be read. */
std::vector<std::string> given_answers(const std::vector<std::string>& values);

/** Prints the scores of one question, best first for people, in the given order as one JSON line. */
void print_scores(const Request& request, std::vector<Score> scores, bool json);

}  // namespace vlm::cli
