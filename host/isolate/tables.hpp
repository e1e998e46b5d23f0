/** @file tables.hpp
 *  The tables of the plugin kinds whose functions call into another process.
 */
#pragma once
#include <string>

namespace vlm::isolate {

/** The table of a kind by interface id; NULL for a kind that this host does not know. */
const void* remote_table(const std::string& kind);

const void* remote_vision_encoder();
const void* remote_connector();
const void* remote_backbone();
const void* remote_token_reducer();
const void* remote_post_processor();

}  // namespace vlm::isolate
