/** @file interpolate_test.cpp
 *  Resampling against values of torch.nn.functional.interpolate.
 */
#include "tests/host/compute/cpu/goldens.hpp"

namespace vlm::test {
namespace {

TEST(Interpolate, EqualsTorch) {
    for_each_isa([](Isa) {
        Device device;
        for (const auto& c : goldens().at("interpolate")) {
            Floats src = floats_of(c.at("src")), expected = floats_of(c.at("dst")), dst(expected.shape);
            const int32_t mode = c.at("mode") == "bicubic" ? VLM_INTERPOLATE_BICUBIC : VLM_INTERPOLATE_BILINEAR;
            EXPECT_OK(device,
                      device->interpolate(device.table(), device.run(), src.abi(), mode,
                                          c.at("align_corners").get<bool>(), c.at("antialias").get<bool>(), dst.abi()));
            EXPECT_LT(relative_error(dst.values, expected.values), 1e-5)
                << c.at("mode") << " align " << c.at("align_corners") << " antialias " << c.at("antialias") << " "
                << c.at("src").at("shape") << " to " << c.at("dst").at("shape");
        }
    });
}

TEST(Interpolate, Refuses) {
    Device device;
    Floats src({2, 2, 3}), dst({4, 4, 3}), other({4, 4, 2}), empty({0, 2, 3});
    const auto call = [&](vlm_tensor* from, int32_t mode, vlm_tensor* to) {
        return device->interpolate(device.table(), device.run(), from, mode, 0, 0, to);
    };
    EXPECT_EQ(call(src.abi(), 7, dst.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(call(src.abi(), VLM_INTERPOLATE_BILINEAR, other.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(call(empty.abi(), VLM_INTERPOLATE_BILINEAR, dst.abi()), VLM_STATUS_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace vlm::test
