/** @file report.hpp
 *  A result as people read it.
 */
#pragma once
#include "host/pipeline/result.hpp"

namespace vlm::cli {

/** Prints the text (unless it was streamed), a table of drugs when there are any, other members, and one line of times.
 */
void print_report(const Result& result, bool with_text);

}  // namespace vlm::cli
