// SPDX-License-Identifier: Apache-2.0
#include "base/npy.h"

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <limits>
#include <random>

#include "base/file.h"
#include "support/expect_error.h"

namespace tacit {
namespace {

using test::expect_error;

// A file with any header and body.
Bytes make_npy(std::string_view header, ByteView body, std::uint8_t major = 1) {
  ByteWriter writer;
  writer.raw(as_bytes("\x93NUMPY"));
  writer.u8(major);
  writer.u8(0);
  if (major == 1) {
    writer.u16(static_cast<std::uint16_t>(header.size()));
  } else {
    writer.u32(static_cast<std::uint32_t>(header.size()));
  }
  writer.raw(as_bytes(header));
  writer.raw(body);
  return std::move(writer).take();
}

Bytes doubles(std::initializer_list<double> values) {
  ByteWriter writer;
  for (double value : values) writer.f64(value);
  return std::move(writer).take();
}

TEST(Npy, ReadsWhatItWrites) {
  for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{
           {2, 1, 3, 2}, {7}, {}, {0, 4}, std::vector<std::int64_t>(32, 1)}) {
    std::size_t count = 1;
    for (std::int64_t dim : shape) count *= static_cast<std::size_t>(dim);
    std::vector<float> data(count);
    for (std::size_t i = 0; i < count; ++i) data[i] = 0.1f * static_cast<float>(i) - 1;
    Bytes bytes = write_npy(shape, data);
    EXPECT_EQ((bytes.size() - 4 * count) % 64, 0u);
    EXPECT_EQ(bytes[bytes.size() - 4 * count - 1], '\n');
    Result<NpyArray> array = read_npy(bytes);
    ASSERT_TRUE(array.ok()) << array.error().to_line();
    EXPECT_EQ(array->shape, shape);
    EXPECT_EQ(array->data, data);
  }
}

TEST(Npy, KeepsEveryFloat) {
  const float special[] = {std::numeric_limits<float>::infinity(), -0.0f,
                           std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::quiet_NaN()};
  const std::int64_t shape[] = {4};
  Result<NpyArray> array = read_npy(write_npy(shape, special));
  ASSERT_TRUE(array.ok());
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(array->data[i]), std::bit_cast<std::uint32_t>(special[i]));
  }
}

TEST(Npy, WritesTheBytesOfNumPy) {
  const std::int64_t shape[] = {2};
  const float data[] = {1, -2};
  Bytes bytes = write_npy(shape, data);
  ASSERT_EQ(bytes.size(), 136u);
  std::string_view text = as_text(bytes);
  EXPECT_EQ(text.substr(0, 10), std::string_view("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(text.substr(10, 61), "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }    ");
  EXPECT_EQ(text.substr(128), std::string_view("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8));
}

TEST(Npy, ReadsOtherTypesAndVersionTwo) {
  Result<NpyArray> array = read_npy(
      make_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", doubles({0.5, -3, 1e-300}), 2));
  ASSERT_TRUE(array.ok()) << array.error().to_line();
  EXPECT_EQ(array->data, (std::vector<float>{0.5f, -3, 0}));

  const std::uint8_t pixels[] = {0, 128, 255, 7};
  array = read_npy(make_npy("{\"shape\": (2, 2), \"fortran_order\": False, \"descr\": \"|u1\"}", pixels));
  ASSERT_TRUE(array.ok()) << array.error().to_line();
  EXPECT_EQ(array->shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(array->data, (std::vector<float>{0, 128, 255, 7}));
}

TEST(Npy, ReadsIntegersOfEverySize) {
  const std::uint8_t ff[8] = {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F};
  const std::pair<const char*, std::int64_t> cases[] = {{"|u1", 0xFE},
                                                        {"|i1", -2},
                                                        {"<u2", 0xFFFE},
                                                        {"<i2", -2},
                                                        {"<u4", 0xFFFFFFFE},
                                                        {"<i4", -2},
                                                        {"<u8", 0x7FFFFFFFFFFFFFFE},
                                                        {"<i8", 0x7FFFFFFFFFFFFFFE}};
  for (const auto& [type, value] : cases) {
    SCOPED_TRACE(type);
    const auto width = static_cast<std::size_t>(type[2] - '0');
    const std::string header =
        std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': (1,), }\n";
    const Result<NpyIntegers> array = read_npy_integers(make_npy(header, ByteView(ff).first(width)));
    ASSERT_TRUE(array.ok()) << array.error().to_line();
    EXPECT_EQ(array->shape, std::vector<std::int64_t>{1});
    EXPECT_EQ(array->data, std::vector<std::int64_t>{value});
  }
}

TEST(Npy, RefusesWhatAreNoIntegers) {
  const std::uint8_t high[8] = {0, 0, 0, 0, 0, 0, 0, 0x80};
  const auto of_type = [&](std::string type) {
    return read_npy_integers(
        make_npy("{'descr': '" + type + "', 'fortran_order': False, 'shape': (1,), }", high));
  };
  EXPECT_EQ(of_type("<i8")->data.front(), std::numeric_limits<std::int64_t>::min());
  expect_error(of_type("<u8"), ErrorCode::kValueOutOfRange);
  for (const char* type : {"<f8", ">i8", "|b1", "|S8", "<i16"})
    expect_error(of_type(type), ErrorCode::kDataMalformed);
  expect_error(of_type("<i4"), ErrorCode::kDataTrailing);
  expect_error(load_npy_integers("/nonexistent/labels.npy"), ErrorCode::kFileNotFound);
}

TEST(Npy, RefusesWhatItIsNot) {
  const std::uint8_t eight[8] = {};
  expect_error(read_npy({}), ErrorCode::kDataTruncated);
  expect_error(read_npy(as_bytes("PK\x03\x04 this is an .npz file")), ErrorCode::kDataMalformed);
  expect_error(read_npy(make_npy("{}", eight, 3)), ErrorCode::kDataVersion);
  for (const char* header : {
           "",
           "{",
           "{}",
           "descr",
           "{'descr': '<f4', 'fortran_order': False}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
           "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}",
           "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}",
           "{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}",
           "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}",
           "{'descr': '<i4', 'fortran_order': False, 'shape': (2,)}",
           "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2)}",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}",
       }) {
    SCOPED_TRACE(header);
    expect_error(read_npy(make_npy(header, eight)), ErrorCode::kDataMalformed);
  }
  const char* two = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
  EXPECT_TRUE(read_npy(make_npy(two, eight)).ok());
  expect_error(read_npy(make_npy(two, ByteView(eight).first(7))), ErrorCode::kDataTruncated);
  expect_error(read_npy(make_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", eight)),
               ErrorCode::kDataTrailing);
  expect_error(read_npy(make_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}", eight)),
               ErrorCode::kDataTruncated);
  expect_error(
      read_npy(make_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", doubles({1e300}))),
      ErrorCode::kValueOutOfRange);
}

TEST(Npy, FindsEveryPrefixTooShort) {
  const std::int64_t shape[] = {2, 3};
  const float data[6] = {};
  Bytes bytes = write_npy(shape, data);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    expect_error(read_npy(ByteView(bytes).first(length)), ErrorCode::kDataTruncated);
  }
}

TEST(Npy, AnswersFlippedBytesWithAResult) {
  const std::int64_t shape[] = {2, 3};
  const float data[6] = {};
  const Bytes original = write_npy(shape, data);
  std::mt19937 random(11);
  std::size_t refused = 0;
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes = original;
    bytes[random() % 70] ^= static_cast<std::uint8_t>(1 + random() % 255);
    Result<NpyArray> array = read_npy(bytes);
    if (array.ok()) {
      EXPECT_EQ(array->data.size(), 6u);
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000u);
}

TEST(Npy, SavesAndLoadsFiles) {
  std::filesystem::path path = std::filesystem::temp_directory_path() / "tacit_npy_test.npy";
  const std::int64_t shape[] = {1, 2};
  const float data[] = {3, 4};
  ASSERT_TRUE(save_npy(path, shape, data).ok());
  Result<NpyArray> array = load_npy(path);
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array->data, (std::vector<float>{3, 4}));
  expect_error(load_npy(path, 100), ErrorCode::kDataTooLarge);
  ASSERT_TRUE(write_file_atomic(path, as_bytes("garbage, not an array")).ok());
  Result<NpyArray> garbage = load_npy(path);
  expect_error(garbage, ErrorCode::kDataMalformed);
  EXPECT_NE(garbage.error().message.find(path.string()), std::string::npos);
  std::filesystem::remove(path);
  expect_error(load_npy(path), ErrorCode::kFileNotFound);
}

}  // namespace
}  // namespace tacit
