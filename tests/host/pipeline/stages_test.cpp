/** @file stages_test.cpp
 *  Plugins that say one thing and do another, where a pipeline meets them: the error names plugin and rule, and the
 * host goes on.
 */
#include "host/pipeline/stages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/compute/device.hpp"

namespace vlm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Stages : public testing::Test {
  protected:
    static std::shared_ptr<const Plugin> torture(const std::string& name) {
        return Plugin::open(std::string(VLM_BINARY_DIR) + "/torture/" + name + ".so");
    }
    static Features features() {
        Features f;
        f.rows = Tensor(VLM_DTYPE_F32, {4, 4});
        vlm_token_block block{sizeof(block), VLM_ABI_VERSION, VLM_BLOCK_GRID, 0, 0, 4, 2, 2, 0, 0, {0, 0, 1, 1}};
        const vlm_token_block* blocks[] = {&block};
        const vlm_token_layout layout{sizeof(layout), VLM_ABI_VERSION, 4, 1, 0, blocks};
        f.layout = TokenLayout(layout, "test");
        f.width = f.height = 16;
        return f;
    }
    template <typename Body>
    static void expect_named(const std::string& rule, Body&& body) {
        try {
            body();
            ADD_FAILURE() << "the host did not notice; expected " << rule;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_INTERNAL);
            EXPECT_THAT(error.what(), AllOf(HasSubstr("org.vlmhost.torture"), HasSubstr(rule)));
        }
    }
    std::shared_ptr<Device> device_ = open_device("cpu", {"f32", "f32", 1});
    Listeners quiet_;
    vlm::Run run_{device_->compute(), &quiet_};
};

TEST_F(Stages, EncodersThatBreakTheirPlanAreNamed) {
    const VisionEncoder sound(torture("sound_encoder"), {});
    const Image page = make_image(32, 16, 3);
    const auto encode = [&](const VisionEncoder& encoder) {
        const auto plan = encoder.plan(page.width, page.height);
        const Tensor pixels = encoder.preprocess(run_, page, "page", plan);
        return encoder.encode(run_, {&pixels, 1}, {&plan, 1}, Allocator::cpu());
    };
    EXPECT_EQ(encode(sound).at(0).rows.dim(0), 8);
    const VisionEncoder rows(torture("encoder_wrong_rows"), {});
    expect_named("VLM-P-17", [&] { encode(rows); });
    const VisionEncoder layout(torture("encoder_bad_layout"), {});
    expect_named("VLM-P-18", [&] { encode(layout); });
    EXPECT_EQ(encode(sound).at(0).rows.dim(0), 8) << "the host goes on";
}

TEST_F(Stages, ConnectorsThatBreakTheirPlanAreNamed) {
    const Connector sound(torture("sound_connector"), {});
    EXPECT_EQ(sound.connect(run_, features(), "", Allocator::cpu()).rows.dim(0), 4);
    const Connector rows(torture("connector_wrong_rows"), {});
    expect_named("VLM-P-17", [&] { rows.connect(run_, features(), "", Allocator::cpu()); });
    const Connector layout(torture("connector_bad_layout"), {});
    expect_named("VLM-P-18", [&] { layout.connect(run_, features(), "", Allocator::cpu()); });
    EXPECT_EQ(sound.connect(run_, features(), "", Allocator::cpu()).rows.dim(0), 4) << "the host goes on";
}

}  // namespace
}  // namespace vlm
