/** @file ignored_keys.hpp
 *  Keys of config.json that change nothing in a decoder's forward pass, beyond those that the SDK knows.
 */
#pragma once
#include <vlm/sdk/config.hpp>

namespace vlm::decoder {

/** Declares the keys of `section` as read that have no effect: training and sampling settings, keys of other stages in
 *  flat files, and switches of features that this decoder lacks when they are off. */
void ignore_harmless(const sdk::Config& section);

}  // namespace vlm::decoder
