/** @file wire_test.cpp
 *  What is written is read; what a hostile process writes is refused.
 */
#include "host/isolate/wire.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "host/base/error.hpp"
#include "host/isolate/channel.hpp"

namespace vlm::isolate {
namespace {

TEST(Wire, WhatIsWrittenIsRead) {
    vlm_token_block block{sizeof(block), VLM_ABI_VERSION, VLM_BLOCK_GRID, 0, 0, 6, 2, 3, 0, 0, {0, 0, 1, 1}};
    const vlm_token_block* blocks[] = {&block};
    const vlm_token_layout layout{sizeof(layout), VLM_ABI_VERSION, 6, 1, 0, blocks};
    Writer writer;
    writer.put<int32_t>(-7);
    writer.text(std::string("a\0b", 3));
    writer.layout(&layout);
    writer.layout(nullptr);
    writer.put(0.5);
    Reader reader(writer.bytes());
    EXPECT_EQ(reader.get<int32_t>(), -7);
    EXPECT_EQ(reader.text(), std::string("a\0b", 3));
    OwnedLayout read;
    ASSERT_TRUE(reader.layout(read));
    EXPECT_EQ(read.abi.tokens, 6);
    ASSERT_EQ(read.abi.block_count, 1u);
    EXPECT_EQ(read.abi.blocks[0]->columns, 3);
    EXPECT_FALSE(reader.layout(read));
    EXPECT_EQ(reader.get<double>(), 0.5);
    EXPECT_THROW(reader.get<uint8_t>(), Error);
}

TEST(Wire, SizesThatAreNotThereAreRefusedBeforeMemoryIsTaken) {
    Writer text;
    text.put(UINT64_MAX);
    EXPECT_THROW(Reader(text.bytes()).text(), Error);
    Writer layout;
    layout.put<uint8_t>(1);
    layout.put<int64_t>(1);
    layout.put(UINT32_MAX);
    OwnedLayout read;
    EXPECT_THROW(Reader(layout.bytes()).layout(read), Error);
    Writer count;
    count.put(UINT32_MAX);
    EXPECT_THROW(Reader(count.bytes()).count(1), Error);
}

TEST(Wire, TensorsOfTheArenaAreNamedOthersAreBroughtThereAndBack) {
    const auto arena = SharedArena::create();
    Tensor shared(VLM_DTYPE_F32, {2, 3}, arena->allocator());
    Tensor input(VLM_DTYPE_I32, {4});
    std::iota(input.span<int32_t>().begin(), input.span<int32_t>().end(), 1);
    Tensor output(VLM_DTYPE_F32, {5});
    Writer writer;
    TensorSender sender(*arena);
    sender.output(writer, shared.abi());
    EXPECT_EQ(arena->counters().copied_bytes, 0u);
    sender.input(writer, input.abi());
    EXPECT_EQ(arena->counters().copied_bytes, 16u);
    sender.output(writer, output.abi());
    EXPECT_EQ(arena->counters().copied_bytes, 16u + 40u) << "there and back";
    sender.input(writer, nullptr);

    TensorReceiver receiver(arena->mapping());
    Reader reader(writer.bytes());
    const vlm_tensor* first = receiver.take(reader);
    EXPECT_EQ(first->view.data, shared.data<void>());
    EXPECT_EQ(first->view.ndim, 2);
    EXPECT_EQ(first->view.shape[1], 3);
    const vlm_tensor* second = receiver.take(reader);
    EXPECT_EQ(static_cast<const int32_t*>(second->view.data)[3], 4);
    vlm_tensor* third = receiver.take(reader);
    static_cast<float*>(third->view.data)[4] = 2.5F;
    EXPECT_EQ(receiver.take(reader), nullptr);
    sender.finish();
    EXPECT_EQ(output.data<float>()[4], 2.5F);
}

TEST(Wire, InputsThatAreNotCompactAreGatheredOutputsRefused) {
    const auto arena = SharedArena::create();
    Tensor matrix(VLM_DTYPE_I32, {3, 4}, arena->allocator());
    std::iota(matrix.span<int32_t>().begin(), matrix.span<int32_t>().end(), 0);
    vlm_tensor columns = *matrix.abi();  // two columns of it, transposed
    int64_t shape[] = {2, 3};
    int64_t strides[] = {1, 4};
    columns.view.shape = shape;
    columns.view.strides = strides;
    columns.view.byte_offset = sizeof(int32_t);
    Writer writer;
    TensorSender sender(*arena);
    sender.input(writer, &columns);
    TensorReceiver receiver(arena->mapping());
    Reader reader(writer.bytes());
    const auto* taken = static_cast<const int32_t*>(receiver.take(reader)->view.data);
    EXPECT_EQ(std::vector<int32_t>(taken, taken + 6), (std::vector<int32_t>{1, 5, 9, 2, 6, 10}));
    EXPECT_THROW(sender.output(writer, &columns), Error);
}

TEST(Wire, TensorsOutsideTheSharedMemoryAreRefused) {
    const auto mapping = SharedMapping::create("test", 4096);
    const auto taken = [&](uint64_t place, int64_t size) {
        Writer writer;
        writer.put<uint8_t>(1);
        writer.put(place);
        writer.put(VLM_DTYPE_F32);
        writer.put<uint32_t>(1);
        writer.put(size);
        TensorReceiver receiver(mapping);
        Reader reader(writer.bytes());
        receiver.take(reader);
    };
    EXPECT_NO_THROW(taken(4032, 16));
    EXPECT_THROW(taken(4032, 17), Error);
    EXPECT_THROW(taken(UINT64_MAX, 1), Error);
    EXPECT_THROW(taken(0, INT64_MAX), Error);
    EXPECT_THROW(taken(0, int64_t{1} << 62), Error) << "its bytes are more than a number can say";
    EXPECT_THROW(taken(0, -1), Error);
}

TEST(Channel, LongMessagesArriveWholeAndTheEndIsSeen) {
    auto [a, b] = Channel::pair();
    Channel here(std::move(a));
    auto there = std::make_unique<Channel>(std::move(b));
    Message sent{Kind::call, 1, -5, std::string(100'000, 'x')};
    sent.body[99'999] = 'y';
    ASSERT_TRUE(here.send(sent));
    ASSERT_TRUE(here.send({Kind::progress, 0, 0, ""}));
    Message received;
    ASSERT_TRUE(there->receive(received));
    EXPECT_EQ(received.body, sent.body);
    EXPECT_EQ(received.code, -5);
    ASSERT_TRUE(there->receive(received));
    EXPECT_EQ(received.kind, Kind::progress);
    EXPECT_EQ(received.body, "");
    there.reset();
    EXPECT_FALSE(here.receive(received));
    EXPECT_FALSE(here.send(sent));
}

TEST(Channel, PatienceEndsAWait) {
    auto [a, b] = Channel::pair();
    Channel here(std::move(a));
    Message received;
    int asked = 0;
    EXPECT_THROW(here.receive(received,
                              [&] {
                                  if (++asked == 2) throw Error(VLM_STATUS_CANCELLED, "enough");
                              }),
                 Error);
    EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace vlm::isolate
