// SPDX-License-Identifier: Apache-2.0
#include "base/idx.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "support/expect_error.h"

namespace tacit {
namespace {

using test::expect_error;

Bytes gzip(ByteView content) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes packed(deflateBound(&stream, content.size()) + 64);
  stream.next_in = const_cast<Bytef*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

Bytes images_file(std::uint8_t count, std::uint8_t height, std::uint8_t width, std::size_t pixels) {
  Bytes bytes = {0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, height, 0, 0, 0, width};
  for (std::size_t i = 0; i < pixels; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  return bytes;
}

// A file that is removed at the end.
struct TemporaryFile {
  explicit TemporaryFile(ByteView bytes) { EXPECT_TRUE(write_file_atomic(path, bytes).ok()); }
  ~TemporaryFile() { std::filesystem::remove(path); }
  std::filesystem::path path = std::filesystem::temp_directory_path() / "tacit_idx_test";
};

TEST(Idx, ReadsImages) {
  Result<IdxImages> images = read_idx_images(images_file(3, 2, 4, 24));
  ASSERT_TRUE(images.ok()) << images.error().to_line();
  EXPECT_EQ(images->count, 3u);
  EXPECT_EQ(images->height, 2u);
  EXPECT_EQ(images->width, 4u);
  ASSERT_EQ(images->pixels.size(), 24u);
  EXPECT_EQ(images->pixels[23], 23);
  EXPECT_EQ(read_idx_images(images_file(0, 2, 4, 0))->count, 0u);
}

TEST(Idx, ReadsLabels) {
  const Bytes file = {0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 5};
  EXPECT_EQ(*read_idx_labels(file), (Bytes{9, 0, 5}));
}

TEST(Idx, RefusesOtherFiles) {
  expect_error(read_idx_images(images_file(3, 2, 4, 23)), ErrorCode::kDataTruncated);
  expect_error(read_idx_images(images_file(3, 2, 4, 25)), ErrorCode::kDataTrailing);
  expect_error(read_idx_images(images_file(3, 0, 4, 0)), ErrorCode::kDataMalformed);
  expect_error(read_idx_images({}), ErrorCode::kDataTruncated);
  expect_error(read_idx_images(as_bytes("P5 28 28 255 ...........")), ErrorCode::kDataMalformed);
  expect_error(read_idx_images(Bytes{0, 0, 8, 1, 0, 0, 0, 0}), ErrorCode::kDataMalformed);
  expect_error(read_idx_labels(images_file(3, 2, 4, 24)), ErrorCode::kDataMalformed);
  expect_error(read_idx_images(Bytes{0, 0, 13, 3, 0, 0, 0, 0}), ErrorCode::kDataMalformed);
  Bytes huge = images_file(1, 1, 1, 1);
  std::fill(huge.begin() + 4, huge.begin() + 16, 0xFF);
  expect_error(read_idx_images(huge), ErrorCode::kDataMalformed);
  huge[4] = 0;
  huge[5] = 0;
  huge[6] = 0;
  expect_error(read_idx_images(huge), ErrorCode::kDataMalformed);
  std::fill(huge.begin() + 8, huge.begin() + 12, 0);
  huge[11] = 1;
  expect_error(read_idx_images(huge), ErrorCode::kDataTruncated);
}

TEST(Idx, LoadsPlainAndCompressedFiles) {
  Bytes plain = images_file(3, 2, 4, 24);
  for (const Bytes& bytes : {plain, gzip(plain)}) {
    TemporaryFile file(bytes);
    Result<IdxImages> images = load_idx_images(file.path);
    ASSERT_TRUE(images.ok()) << images.error().to_line();
    EXPECT_EQ(images->pixels, Bytes(plain.begin() + 16, plain.end()));
  }
  TemporaryFile labels(gzip(Bytes{0, 0, 8, 1, 0, 0, 0, 1, 7}));
  EXPECT_EQ(*load_idx_labels(labels.path), Bytes{7});
  Result<IdxImages> wrong = load_idx_images(labels.path);
  expect_error(wrong, ErrorCode::kDataMalformed);
  EXPECT_TRUE(wrong.error().message.starts_with(labels.path.string()));
  expect_error(load_idx_labels("/nonexistent/labels"), ErrorCode::kFileNotFound);
}

TEST(Gunzip, GivesBackEveryLength) {
  std::mt19937 random(3);
  // Around the size of its buffer, and long runs that expand a lot.
  for (std::size_t length : {0u, 1u, 65535u, 65536u, 65537u, 131072u, 1000000u}) {
    Bytes noise(length), zeros(length, 0);
    for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random());
    for (const Bytes& content : {noise, zeros}) {
      Result<Bytes> found = gunzip(gzip(content), length, "test");
      ASSERT_TRUE(found.ok()) << length << ": " << found.error().to_line();
      EXPECT_TRUE(*found == content) << length;
      if (length > 0) expect_error(gunzip(gzip(content), length - 1, "test"), ErrorCode::kDataTooLarge);
    }
  }
}

TEST(Gunzip, ReadsSeveralMembers) {
  Bytes packed = gzip(as_bytes("first, ")), second = gzip(as_bytes("second"));
  packed.insert(packed.end(), second.begin(), second.end());
  EXPECT_EQ(as_text(*gunzip(packed, 100, "test")), "first, second");
  packed.push_back('x');
  EXPECT_FALSE(gunzip(packed, 100, "test").ok());
}

TEST(Gunzip, RefusesDamage) {
  Bytes content(5000);
  std::mt19937 random(4);
  for (std::uint8_t& byte : content) byte = static_cast<std::uint8_t>(random() % 7);
  const Bytes packed = gzip(content);
  for (std::size_t length = 0; length < packed.size(); ++length) {
    expect_error(gunzip(ByteView(packed).first(length), 10000, "test"), ErrorCode::kDataTruncated);
  }
  // A flipped bit may point a repetition at an equal one elsewhere, which does no damage; that is rare.
  std::size_t refused = 0;
  for (std::size_t at = 10; at < packed.size(); ++at) {  // behind the header, whose fields may vary
    Bytes damaged = packed;
    damaged[at] ^= 0x10;
    Result<Bytes> found = gunzip(damaged, 10000, "test");
    refused += !found.ok();
    EXPECT_TRUE(!found.ok() || *found == content) << at;
  }
  EXPECT_GT(refused, packed.size() * 9 / 10);
  expect_error(gunzip(as_bytes("plain text"), 100, "test"), ErrorCode::kDataMalformed);
}

}  // namespace
}  // namespace tacit
