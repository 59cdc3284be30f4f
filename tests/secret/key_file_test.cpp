// SPDX-License-Identifier: Apache-2.0
#include "secret/key_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "ring/random.h"

namespace tacit::secret {
namespace {

namespace fs = std::filesystem;

// One pass over the least memory: for tests only, which open the file thousands of times.
constexpr KdfCost kCheap{1, 8192};
constexpr std::size_t kOperationsAt = 12, kMemoryAt = 16, kFileBytes = 108;

class KeyFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tacit-key-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ / "secret-12.key";
  }
  void TearDown() override { fs::remove_all(folder_); }

  SecretKey make_key(int log_degree = 12) {
    auto key = SecretKey::generate(log_degree);
    EXPECT_TRUE(key.ok());
    return std::move(key).value();
  }
  Bytes saved(std::string_view passphrase = "correct horse") {
    EXPECT_TRUE(save_key(make_key(), passphrase, path_, kCheap).ok());
    auto bytes = read_file(path_, 4096);
    EXPECT_TRUE(bytes.ok());
    return std::move(bytes).value();
  }
  // The error that opening a file of these bytes gives, or kInternal where it opens.
  ErrorCode open_error(ByteView bytes, std::string_view passphrase = "correct horse") {
    fs::path other = folder_ / "altered.key";
    std::ofstream(other, std::ios::binary)
        .write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
    auto key = load_key(other, passphrase);
    return key.ok() ? ErrorCode::kInternal : key.error().code;
  }

  fs::path folder_, path_;
};

TEST_F(KeyFile, OpensToTheSameKey) {
  for (int log_degree : {12, 15}) {
    SecretKey key = make_key(log_degree);
    fs::path path = folder_ / std::to_string(log_degree);
    ASSERT_TRUE(save_key(key, "p", path, kCheap).ok());
    auto again = load_key(path, "p");
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->log_degree(), log_degree);
    EXPECT_EQ(again->tag(), key.tag());
    EXPECT_TRUE(std::ranges::equal(again->coefficients(), key.coefficients()));
  }
}

TEST_F(KeyFile, DefaultCostOpens) {
  SecretKey key = make_key();
  ASSERT_TRUE(save_key(key, "p", path_).ok());
  auto again = load_key(path_, "p");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->tag(), key.tag());
}

TEST_F(KeyFile, HasModeOwnerOnlyWhateverTheUmask) {
  mode_t before = ::umask(0);
  Bytes bytes = saved();
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(bytes.size(), kFileBytes);
  EXPECT_EQ(info.st_nlink, 1u);
}

TEST_F(KeyFile, NeverOverwritesAndLeavesNoTemporary) {
  Bytes first = saved();
  Status second = save_key(make_key(), "p", path_, kCheap);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kFileUnwritable);
  EXPECT_EQ(read_file(path_, 4096).value(), first);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(KeyFile, AFolderThatIsNotThereIsAnErrorAndNothingIsLeft) {
  Status status = save_key(make_key(), "p", folder_ / "missing" / "k", kCheap);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kFileUnwritable);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(KeyFile, TwoFilesOfOneKeyShareNothingBehindTheCost) {
  SecretKey key = make_key();
  ASSERT_TRUE(save_key(key, "p", folder_ / "a", kCheap).ok());
  ASSERT_TRUE(save_key(key, "p", folder_ / "b", kCheap).ok());
  Bytes a = read_file(folder_ / "a", 4096).value(), b = read_file(folder_ / "b", 4096).value();
  auto part = [](const Bytes& bytes, std::size_t from, std::size_t to) {
    return Bytes(&bytes[from], &bytes[to]);
  };
  EXPECT_EQ(part(a, 0, 20), part(b, 0, 20));
  EXPECT_NE(part(a, 20, 36), part(b, 20, 36)) << "salt";
  EXPECT_NE(part(a, 36, 60), part(b, 36, 60)) << "nonce";
  EXPECT_NE(part(a, 60, 92), part(b, 60, 92)) << "sealed seed";
}

TEST_F(KeyFile, DoesNotContainTheSeed) {
  SecretKey key = make_key();
  ASSERT_TRUE(save_key(key, "p", path_, kCheap).ok());
  Bytes bytes = read_file(path_, 4096).value();
  ASSERT_EQ(key.seed().size(), 32u);
  auto seed = key.seed();
  for (std::size_t i = 0; i + 8 <= seed.size(); i += 8) {
    EXPECT_EQ(std::search(bytes.begin(), bytes.end(), &seed[i], &seed[i] + 8), bytes.end());
  }
}

TEST_F(KeyFile, AWrongPassphraseIsRefused) {
  Bytes bytes = saved();
  for (std::string_view wrong : {"", "correct hors", "correct horse ", "Correct horse"}) {
    EXPECT_EQ(open_error(bytes, wrong), ErrorCode::kKeyFilePassphrase) << wrong;
  }
  EXPECT_EQ(open_error(bytes), ErrorCode::kInternal) << "the right one opens";
}

TEST_F(KeyFile, EveryFlippedBitIsRefused) {
  Bytes bytes = saved();
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    ErrorCode code = open_error(bytes);
    EXPECT_TRUE(code == ErrorCode::kKeyFilePassphrase || code == ErrorCode::kKeyFileMalformed)
        << "bit " << bit << ": " << to_string(code);
    if (bit / 8 < 10) {
      EXPECT_EQ(code, ErrorCode::kKeyFileMalformed) << "magic, version, derivation: bit " << bit;
    } else if (bit / 8 >= 20) {
      EXPECT_EQ(code, ErrorCode::kKeyFilePassphrase) << "salt, nonce, sealed seed: bit " << bit;
    }
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
  }
  EXPECT_EQ(open_error(bytes), ErrorCode::kInternal) << "unaltered, it opens";
}

TEST_F(KeyFile, EveryOtherLengthIsMalformed) {
  Bytes bytes = saved();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(open_error(ByteView(bytes).first(length)), ErrorCode::kKeyFileMalformed) << length;
  }
  bytes.push_back(0);
  EXPECT_EQ(open_error(bytes), ErrorCode::kKeyFileMalformed);
  bytes.resize(10000);
  EXPECT_EQ(open_error(bytes), ErrorCode::kKeyFileMalformed);
}

TEST_F(KeyFile, ACostBeyondTheLimitsIsRefusedBeforeItIsSpent) {
  Bytes bytes = saved();
  auto with = [&](std::size_t at, std::uint32_t value) {
    Bytes changed = bytes;
    for (int i = 0; i < 4; ++i) changed[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
    return open_error(changed);
  };
  for (std::uint32_t operations : {0u, 11u, 0x80000000u, 0xFFFFFFFFu}) {
    EXPECT_EQ(with(kOperationsAt, operations), ErrorCode::kKeyFileMalformed) << operations;
  }
  for (std::uint32_t memory : {0u, 8191u, (1u << 30) + 1, 0xFFFFFFFFu}) {
    EXPECT_EQ(with(kMemoryAt, memory), ErrorCode::kKeyFileMalformed) << memory;
  }
  EXPECT_EQ(with(kOperationsAt, 10), ErrorCode::kKeyFilePassphrase) << "allowed, but another key";
}

TEST_F(KeyFile, SavingRefusesACostThatCouldNotBeOpened) {
  SecretKey key = make_key();
  for (KdfCost cost : {KdfCost{0, 8192}, KdfCost{11, 8192}, KdfCost{1, 8191}, KdfCost{1, (1u << 30) + 1}}) {
    Status status = save_key(key, "p", path_, cost);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(KeyFile, AKeyWithoutASeedCannotBeSaved) {
  std::vector<std::int8_t> coefficients(4096, 1);
  auto key = SecretKey::from_coefficients(coefficients);
  ASSERT_TRUE(key.ok());
  Status status = save_key(*key, "p", path_, kCheap);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(KeyFile, AMissingFileIsNotFound) {
  auto key = load_key(path_, "p");
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.error().code, ErrorCode::kFileNotFound);
}

}  // namespace
}  // namespace tacit::secret
