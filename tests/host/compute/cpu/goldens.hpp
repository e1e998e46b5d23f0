/** @file goldens.hpp
 *  Reads tests/data/compute/goldens.json, made by tests/tools/make_compute_goldens.py with PyTorch.
 */
#pragma once
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {

inline const nlohmann::json& goldens() {
    static const nlohmann::json all = [] {
        std::ifstream file(std::string(VLM_TEST_DATA) + "/compute/goldens.json");
        return nlohmann::json::parse(file);
    }();
    return all;
}

inline Floats floats_of(const nlohmann::json& j) {
    return Floats(j.at("shape").get<std::vector<int64_t>>(), j.at("values").get<std::vector<float>>());
}

}  // namespace vlm::test
