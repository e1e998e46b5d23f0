/** @file safetensors_header_test.cpp
 *  Headers that lie. Each case is the well-formed file with one thing wrong; the message must name the file and the
 * fault.
 */
#include "host/weights/safetensors_header.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vlm/tensor.h>

#include <string>

#include "host/base/error.hpp"
#include "host/weights/dtype.hpp"

namespace vlm {
namespace {

std::string with_length(const std::string& header, const std::string& data) {
    std::string file(8, '\0');
    for (size_t i = 0; i < 8; ++i)
        file[i] = static_cast<char>((static_cast<uint64_t>(header.size()) >> (8 * i)) & 0xff);
    return file + header + data;
}

MappedFile file_of(const std::string& bytes) {
    const int fd = memfd_create("header", MFD_CLOEXEC);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    return MappedFile::adopt(fd, "w.safetensors");
}

SafetensorsHeader read(const std::string& bytes) {
    const MappedFile file = file_of(bytes);
    return read_safetensors_header(file);
}

std::string refusal(const std::string& bytes) {
    try {
        (void)read(bytes);
    } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find("w.safetensors"), 0U) << error.what();
        EXPECT_TRUE(error.code() == VLM_STATUS_DATA_LOSS || error.code() == VLM_STATUS_INVALID_ARGUMENT)
            << error.code();
        return error.what();
    }
    ADD_FAILURE() << "accepted: " << bytes.substr(8, 200);
    return {};
}

void expect_refusal(const std::string& header, size_t data_bytes, const std::string& part) {
    const std::string message = refusal(with_length(header, std::string(data_bytes, 'x')));
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

TEST(SafetensorsHeader, ReadsWhatIsRight) {
    const std::string header = "{\"__metadata__\":{\"format\":\"pt\"}," + tensor("b", "F32", "[2,3]", "[2,26]") + "," +
                               tensor("a", "BF16", "[]", "[0,2]") + "," + tensor("e", "F16", "[0,5]", "[2,2]") + "}   ";
    const SafetensorsHeader found = read(with_length(header, std::string(26, 'x')));
    ASSERT_EQ(found.entries.size(), 3U);
    EXPECT_EQ(found.entries[0].name, "b");
    EXPECT_EQ(found.entries[0].dtype, VLM_DTYPE_F32);
    EXPECT_EQ(found.entries[0].shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(found.entries[0].offset, 8 + header.size() + 2);
    EXPECT_EQ(found.entries[0].nbytes, 24U);
    EXPECT_EQ(found.entries[1].nbytes, 2U);
    EXPECT_EQ(found.entries[2].nbytes, 0U);
    EXPECT_EQ(found.metadata.at(0).second, "pt");
    EXPECT_TRUE(read(with_length("{}", "")).entries.empty());
}

TEST(SafetensorsHeader, KnowsEveryDtypeWithItsSize) {
    for (const DtypeName& d : safetensors_dtypes()) {
        const size_t bytes = dtype_bits(d.dtype);  // eight elements
        const std::string header =
            "{" + tensor("t", std::string(d.name), "[8]", "[0," + std::to_string(bytes) + "]") + "}";
        EXPECT_EQ(read(with_length(header, std::string(bytes, 'x'))).entries.at(0).dtype, d.dtype) << d.name;
        EXPECT_EQ(dtype_name(d.dtype), d.name);
        expect_refusal(header, bytes - 1, "truncated");
    }
    expect_refusal("{" + tensor("t", "F4", "[3]", "[0,1]") + "}", 1, "not the size");
    expect_refusal("{" + tensor("t", "BF61", "[1]", "[0,2]") + "}", 2, "did you mean \"BF16\"");
}

TEST(SafetensorsHeader, RefusesBadLengths) {
    EXPECT_NE(refusal("").find("0 bytes"), std::string::npos);
    EXPECT_NE(refusal("1234567").find("7 bytes"), std::string::npos);
    EXPECT_NE(refusal(std::string("\x05\0\0\0\0\0\0\0{}", 10)).find("only 2 follow"), std::string::npos);
    EXPECT_NE(refusal(std::string(8, '\xff') + "{}").find("at most 100000000"), std::string::npos);
    EXPECT_NE(refusal(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10)).find("at most 100000000"), std::string::npos);
    EXPECT_NE(refusal(std::string(8, '\0')).find("does not begin with"), std::string::npos);
}

TEST(SafetensorsHeader, RefusesWhatIsNoHeader) {
    expect_refusal(" {}", 0, "does not begin with '{'");
    expect_refusal("[]", 0, "does not begin with '{'");
    expect_refusal("{\"a\":}", 0, "not valid JSON");
    expect_refusal("{\"a\":1}", 0, "expected an object");
    expect_refusal("{} x", 0, "not valid JSON");
    expect_refusal(std::string("{}\0\0", 4), 0, "not valid JSON");
    expect_refusal("{\"\xff\":1}", 0, "not valid JSON");
    expect_refusal("{\"__metadata__\":{\"a\":1}}", 0, "expected a string");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "\"data_offsets\" is missing");
    expect_refusal("{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("a", "F32", "[1]", "[4,8]") + "}", 8,
                   "duplicate key");
    expect_refusal("{" + tensor("a", "F32", "[1]", "[0]") + "}", 4, "two offsets");
    expect_refusal("{" + tensor("a", "F32", "[1]", "[0,4,8]") + "}", 4, "two offsets");
    expect_refusal("{" + tensor("a", "F32", "[1]", "{\"a\":0,\"b\":4}") + "}", 4, "two offsets");
    expect_refusal("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offset\":[0,4]}}", 4,
                   "did you mean \"data_offsets\"");
}

TEST(SafetensorsHeader, RefusesShapesAndOffsetsThatDoNotFit) {
    expect_refusal("{" + tensor("a", "F32", "[-1]", "[0,4]") + "}", 4, "found -1");
    expect_refusal("{" + tensor("a", "F32", "[1.5]", "[0,4]") + "}", 4, "found 1.5");
    expect_refusal("{" + tensor("a", "F32", "[1]", "[-4,0]") + "}", 4, "found -4");
    expect_refusal("{" + tensor("a", "F32", "[2]", "[0,4]") + "}", 4, "not the size of F32 with shape [2]");
    expect_refusal("{" + tensor("a", "F16", "[1]", "[0,4]") + "}", 4, "not the size of F16");
    expect_refusal("{" + tensor("a", "F32", "[1]", "[4,0]") + "}", 4, "ends before");
    expect_refusal("{" + tensor("a", "F32", "[2]", "[0,8]") + "}", 4, "truncated");
    expect_refusal("{" + tensor("a", "F32", "[1]", "[18446744073709551612,18446744073709551615]") + "}", 4,
                   "truncated");
    expect_refusal("{" + tensor("a", "F32", "[1]", "[0,18446744073709551616]") + "}", 4, "expected an integer");
    // 2^62 · 4 bytes wraps to 0, and 2^33 · 2^33 to 4.
    expect_refusal("{" + tensor("a", "F32", "[4611686018427387904]", "[0,0]") + "}", 0, "not the size");
    expect_refusal("{" + tensor("a", "U8", "[8589934592,8589934592]", "[0,0]") + "}", 0, "not the size");
    expect_refusal("{" + tensor("a", "F32", "[9223372036854775808]", "[0,4]") + "}", 4, "expected an integer");
    expect_refusal("{" + tensor("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1, "9 dimensions");
    EXPECT_EQ(
        read(with_length("{" + tensor("a", "F32", "[4611686018427387904,4611686018427387904,0]", "[0,0]") + "}", ""))
            .entries.size(),
        1U);
}

TEST(SafetensorsHeader, RefusesOverlapsHolesAndLeftovers) {
    const auto two = [](const std::string& first, const std::string& second) {
        return "{" + tensor("a", "U8", "[4]", first) + "," + tensor("b", "U8", "[4]", second) + "}";
    };
    EXPECT_NO_THROW(read(with_length(two("[4,8]", "[0,4]"), std::string(8, 'x'))));
    expect_refusal(two("[0,4]", "[3,7]"), 7, "overlaps tensor \"a\"");
    expect_refusal(two("[0,4]", "[0,4]"), 4, "overlaps");
    expect_refusal(two("[0,4]", "[5,9]"), 9, "hole of 1 bytes");
    expect_refusal(two("[1,5]", "[5,9]"), 9, "hole of 1 bytes");
    expect_refusal(two("[0,4]", "[4,8]"), 10, "2 bytes after the last tensor");
    expect_refusal("{}", 1, "1 bytes after the last tensor");
}

TEST(SafetensorsHeader, EveryChangedByteIsReadOrRefused) {
    const std::string good =
        with_length("{" + tensor("a", "F32", "[2,1]", "[0,8]") + "," + tensor("b", "I8", "[3]", "[8,11]") + "}",
                    std::string(11, 'x'));
    int refused = 0;
    for (size_t place = 0; place < good.size() - 11; ++place) {
        for (int byte = 0; byte < 256; byte += 3) {
            std::string changed = good;
            changed[place] = static_cast<char>(byte);
            try {
                for (const SafetensorsEntry& entry : read(changed).entries) {
                    ASSERT_LE(entry.offset, changed.size());
                    ASSERT_LE(entry.nbytes, changed.size() - entry.offset);
                }
            } catch (const Error&) {
                ++refused;
            }
        }
    }
    EXPECT_GT(refused, 1000);
    for (size_t length = 0; length < good.size(); ++length) (void)refusal(good.substr(0, length));
}

}  // namespace
}  // namespace vlm
