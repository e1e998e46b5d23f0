/** @file weight_view_test.cpp
 *  The same plugin names against two spellings of a checkpoint.
 */
#include "host/weights/weight_view.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace vlm {
namespace {

std::shared_ptr<const WeightStore> store_of(const std::vector<std::string>& names) {
    std::string header = "{";
    for (size_t i = 0; i < names.size(); ++i) {
        header += (i > 0 ? ",\"" : "\"") + names[i] + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" +
                  std::to_string(i) + "," + std::to_string(i + 1) + "]}";
    }
    header += "}";
    std::string bytes(8, '\0');
    const uint64_t size = header.size();
    std::memcpy(bytes.data(), &size, sizeof size);
    bytes += header + std::string(names.size(), 'x');
    const int fd = memfd_create("weights", MFD_CLOEXEC);
    EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return WeightStore::adopt({{fd, "w"}});
}

const std::vector<WeightView::Rule> kVision = {{"vision_tower.vision_model.", ""}, {"model.vision_tower.", ""}};

TEST(WeightView, ResolvesBothSpellings) {
    const WeightView hub(store_of({"vision_tower.vision_model.encoder.w", "language_model.w"}), kVision);
    const WeightView newer(store_of({"model.vision_tower.encoder.w", "lm_head.w"}), kVision);
    EXPECT_EQ(hub.at("encoder.w").name, "vision_tower.vision_model.encoder.w");
    EXPECT_EQ(newer.at("encoder.w").name, "model.vision_tower.encoder.w");
    EXPECT_EQ(hub.names(), std::vector<std::string>{"encoder.w"});
    EXPECT_EQ(hub.find("language_model.w"), nullptr);
    EXPECT_FALSE(hub.contains(""));
    EXPECT_EQ(newer.resolve("encoder.w"), "model.vision_tower.encoder.w");
    EXPECT_EQ(newer.resolve("decoder.w"), "");
}

TEST(WeightView, EarlierRuleCounts) {
    const auto store = store_of({"b.w", "a.w"});
    EXPECT_EQ(WeightView(store, {{"a.", ""}, {"b.", ""}}).at("w").name, "a.w");
    EXPECT_EQ(WeightView(store, {{"b.", ""}, {"a.", ""}}).at("w").name, "b.w");
    EXPECT_EQ(WeightView(store, {{"b.", ""}, {"a.", ""}}).names(), std::vector<std::string>{"w"});
}

TEST(WeightView, RulesMayGiveAnotherPrefix) {
    const WeightView view(store_of({"language_model.model.embed.w", "language_model.lm_head.w", "x"}),
                          {{"language_model.model.", "model."}, {"language_model.lm_head.", "lm_head."}});
    EXPECT_EQ(view.at("model.embed.w").name, "language_model.model.embed.w");
    EXPECT_EQ(view.at("lm_head.w").name, "language_model.lm_head.w");
    EXPECT_EQ(view.names(), (std::vector<std::string>{"lm_head.w", "model.embed.w"}));
    EXPECT_EQ(view.find("embed.w"), nullptr);
}

TEST(WeightView, WithoutRulesNamesAreThoseOfTheFile) {
    const WeightView view(store_of({"a", "b"}));
    EXPECT_EQ(view.at("a").name, "a");
    EXPECT_EQ(view.names().size(), 2U);
    EXPECT_EQ(view.unused(), std::vector<std::string>{"b"});
}

TEST(WeightView, UnusedAreThoseThatTheViewShows) {
    const WeightView view(store_of({"model.vision_tower.a", "model.vision_tower.b", "lm_head"}), kVision);
    EXPECT_TRUE(view.contains("a"));
    EXPECT_EQ(view.unused().size(), 2U);
    (void)view.find("a");
    EXPECT_EQ(view.unused(), std::vector<std::string>{"model.vision_tower.b"});
    EXPECT_EQ(view.store().unused(), (std::vector<std::string_view>{"lm_head", "model.vision_tower.b"}));
}

TEST(WeightView, MissingTensorSaysWhatWasTried) {
    const auto message = [](const WeightView& view, const char* name) {
        try {
            (void)view.at(name);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_NOT_FOUND);
            return std::string(error.what());
        }
        return std::string("found");
    };
    const WeightView view(store_of({"model.vision_tower.encoder.layer.weight", "x"}), kVision);
    EXPECT_EQ(message(view, "encoder.layers.weight"),
              "the checkpoint holds no tensor \"encoder.layers.weight\"; looked for "
              "\"vision_tower.vision_model.encoder.layers.weight\", \"model.vision_tower.encoder.layers.weight\"; "
              "nearest names "
              "here: \"encoder.layer.weight\"");
    EXPECT_NE(message(WeightView(store_of({"x"}), kVision), "a").find("no tensor of the checkpoint has one"),
              std::string::npos);
    EXPECT_NE(message(WeightView(store_of({"x"}), {{"x", "y."}}), "a").find("no prefix rule covers it"),
              std::string::npos);
    EXPECT_NE(message(WeightView(store_of({"weight"})), "wieght").find("nearest names: \"weight\""), std::string::npos);
}

}  // namespace
}  // namespace vlm
