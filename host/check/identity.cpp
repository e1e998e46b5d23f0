/** @file identity.cpp
 *  See identity.hpp.
 */
#include "host/check/identity.hpp"

#include <regex>

namespace vlm {

bool is_plugin_id(const std::string& text) {
    static const std::regex reverse_dns(R"([a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*){2,})");
    return std::regex_match(text, reverse_dns);
}

bool is_semantic_version(const std::string& text) {
    static const std::regex semantic(
        R"((0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)");
    return std::regex_match(text, semantic);
}

bool is_spdx_expression(const std::string& text) {
    static const std::regex spdx(
        R"(\(*(LicenseRef-)?[A-Za-z0-9][A-Za-z0-9.+-]*\)*( (AND|OR|WITH) \(*(LicenseRef-)?[A-Za-z0-9][A-Za-z0-9.+-]*\)*)*)");
    return std::regex_match(text, spdx);
}

}  // namespace vlm
