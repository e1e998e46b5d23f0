/** @file identity.hpp
 *  What names, versions and licences of plugins look like: one judge for the checker and for `vlmhost new-plugin`.
 */
#pragma once
#include <string>

namespace vlm {

/** Reverse-DNS form with at least three parts, "com.example.plugin". */
bool is_plugin_id(const std::string& text);
/** Semantic version, "1.2.0" or "1.2.0-rc.1+build5". */
bool is_semantic_version(const std::string& text);
/** An SPDX licence expression: "Apache-2.0", "LicenseRef-Vendor", "(MIT OR BSD-3-Clause)". Form only: whether the
 * licence is on the SPDX list is not looked up. */
bool is_spdx_expression(const std::string& text);

}  // namespace vlm
