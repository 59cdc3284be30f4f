// SPDX-License-Identifier: Apache-2.0
#include "file_bundle.h"

#include <gtest/gtest.h>

#include <random>

#include "instance.h"
#include "support/seed.h"

namespace tacit::fhe_benchmark {
namespace {

using test::kSeed;

class FileBundle : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "fhe-benchmark-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

std::vector<Bytes> random_parts(std::mt19937& random, std::size_t count) {
  std::vector<Bytes> parts(count);
  for (Bytes& part : parts) {
    part.resize(random() % 1000);
    for (std::uint8_t& byte : part) byte = static_cast<std::uint8_t>(random());
  }
  return parts;
}

TEST_F(FileBundle, ComesBackAsItWasWritten) {
  std::printf("seed %lu\n", kSeed);
  std::mt19937 random(kSeed);
  for (std::size_t count : {0, 1, 2, 144}) {
    const std::vector<Bytes> parts = random_parts(random, count);
    ASSERT_TRUE(write_bundle(folder_ / "bundle", parts).ok());
    const auto file = MappedFile::open(folder_ / "bundle");
    ASSERT_TRUE(file.ok()) << file.error().to_line();
    const auto views = read_bundle(file->bytes());
    ASSERT_TRUE(views.ok()) << views.error().to_line();
    ASSERT_EQ(views->size(), count);
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_EQ(Bytes((*views)[i].begin(), (*views)[i].end()), parts[i]) << i;
  }
}

TEST_F(FileBundle, ALongerFileIsReplacedWhole) {
  ASSERT_TRUE(write_bytes(folder_ / "file", Bytes(1000, 1)).ok());
  ASSERT_TRUE(write_bytes(folder_ / "file", Bytes(10, 2)).ok());
  const auto file = MappedFile::open(folder_ / "file");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(Bytes(file->bytes().begin(), file->bytes().end()), Bytes(10, 2));
}

TEST_F(FileBundle, EveryPrefixAndEveryExtensionIsRefused) {
  std::mt19937 random(kSeed);
  ASSERT_TRUE(write_bundle(folder_ / "bundle", random_parts(random, 3)).ok());
  const auto file = MappedFile::open(folder_ / "bundle");
  ASSERT_TRUE(file.ok());
  const ByteView bytes = file->bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(read_bundle(bytes.first(size)).ok()) << size;
  Bytes longer(bytes.begin(), bytes.end());
  longer.push_back(0);
  const auto refused = read_bundle(longer);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kDataTrailing);
}

TEST_F(FileBundle, ACountOrLengthBeyondTheFileAllocatesNothing) {
  Bytes huge(16, 0xff);
  const auto count = read_bundle(huge);
  ASSERT_FALSE(count.ok());
  EXPECT_EQ(count.error().code, ErrorCode::kDataMalformed);
  huge = {1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const auto length = read_bundle(huge);
  ASSERT_FALSE(length.ok());
  EXPECT_EQ(length.error().code, ErrorCode::kDataTruncated);
}

TEST_F(FileBundle, WhatIsNoFileIsAnError) {
  EXPECT_EQ(MappedFile::open(folder_ / "none").error().code, ErrorCode::kFileNotFound);
  EXPECT_EQ(MappedFile::open(folder_).error().code, ErrorCode::kFileUnreadable);
  EXPECT_EQ(write_bytes(folder_ / "none" / "file", Bytes(1)).error().code, ErrorCode::kFileUnwritable);
}

TEST_F(FileBundle, ASizeIsOneDigit) {
  EXPECT_EQ(Instance::create("2", folder_)->upload_set(1),
            folder_ / "io/medium/ciphertexts_upload/set-1.bin");
  EXPECT_EQ(Instance::create("3", folder_)->test_pixels(),
            folder_ / "datasets/large/intermediate/test_pixels.txt");
  for (const char* size : {"", "4", "-1", "00", "single", "0 "})
    EXPECT_EQ(Instance::create(size, folder_).error().code, ErrorCode::kInvalidArgument) << size;
}

}  // namespace
}  // namespace tacit::fhe_benchmark
