/** @file command.hpp
 *  The commands of `vlmhost`. Each lives in a file of its own: it reads its options, works, and returns the exit
 * status.
 */
#pragma once
#include <string>
#include <vector>

namespace vlm::cli {

/** Exit statuses: what a script can tell apart. */
constexpr int kSuccess = 0;
constexpr int kFailure = 1;      ///< Something went wrong, and the message says what.
constexpr int kUsage = 2;        ///< The command line is wrong.
constexpr int kCancelled = 130;  ///< Ctrl-C, as shells report it.

using Arguments = std::vector<std::string>;

int run_command(const Arguments& arguments);         ///< The main job: answer about images.
int plugins_command(const Arguments& arguments);     ///< List plugins.
int check_command(const Arguments& arguments);       ///< Check a plugin against the contract.
int bench_command(const Arguments& arguments);       ///< Measure.
int new_plugin_command(const Arguments& arguments);  ///< Write a plugin project that builds and passes the checker.
int keygen_command(const Arguments& arguments);      ///< Make a key to sign plugins with.
int sign_command(const Arguments& arguments);        ///< Write and sign the manifest beside a plugin.
int verify_command(const Arguments& arguments);      ///< Is a plugin the one that was signed?
int chat_command(const Arguments& arguments);        ///< A conversation in the terminal.
int estimate_command(const Arguments& arguments);    ///< Predict tokens, work, memory and time.
int parity_command(const Arguments& arguments);      ///< Compare with reference tensors.
int calibrate_command(const Arguments& arguments);   ///< Find a reducer's settings on pictures.
int quality_command(const Arguments& arguments);     ///< Compare quantised weights with f32.

}  // namespace vlm::cli
