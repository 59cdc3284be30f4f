// SPDX-License-Identifier: Apache-2.0
#include "client/key_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "client/temporary_folder.h"

namespace tacit::client {
namespace {

namespace fs = std::filesystem;

class KeyFolderTest : public testing::Test {
 protected:
  KeyFolderTest() : keys_(folder_.path() / "some" / "where") {
    passphrase_.file = folder_.write("passphrase", as_bytes("open sesame\n"));
    passphrase_.terminal = folder_.path() / "no-terminal";
  }
  test::TemporaryFolder folder_;
  KeyFolder keys_;
  secret::PassphraseSource passphrase_;
};

// Sets an environment variable, or unsets it, until the end of the scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST(DefaultKeyFolder, FollowsTheEnvironment) {
  Variable home("HOME", "/home/someone"), data("XDG_DATA_HOME", "/data"), tacit("TACIT_HOME", "/keys");
  EXPECT_EQ(KeyFolder::default_folder()->path(), "/keys");
  Variable no_tacit("TACIT_HOME", nullptr);
  EXPECT_EQ(KeyFolder::default_folder()->path(), "/data/tacit");
  Variable relative("XDG_DATA_HOME", "not/absolute");
  EXPECT_EQ(KeyFolder::default_folder()->path(), "/home/someone/.local/share/tacit");
  Variable no_home("HOME", nullptr);
  auto none = KeyFolder::default_folder();
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("--keys"), std::string::npos);
}

TEST_F(KeyFolderTest, MakesAKeyOnceAndOpensItAfterwards) {
  EXPECT_FALSE(keys_.has_key(12));
  EXPECT_TRUE(keys_.ring_sizes().empty());
  EXPECT_EQ(keys_.open(12, passphrase_).error().code, ErrorCode::kFileNotFound);
  auto made = keys_.open_or_create(12, passphrase_);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_TRUE(made->created);
  EXPECT_TRUE(keys_.has_key(12));
  auto opened = keys_.open_or_create(12, passphrase_);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_FALSE(opened->created);
  EXPECT_EQ(opened->key.tag(), made->key.tag());
  EXPECT_EQ(keys_.create(12, passphrase_).error().code, ErrorCode::kFileUnwritable);
  EXPECT_EQ(keys_.ring_sizes(), std::vector<int>{12});

  struct stat info {};
  ASSERT_EQ(::stat(keys_.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u) << "a folder that it makes is the owner's";
}

TEST_F(KeyFolderTest, EachRingSizeHasItsOwnKey) {
  auto small = keys_.create(12, passphrase_), large = keys_.create(13, passphrase_);
  ASSERT_TRUE(small.ok() && large.ok());
  EXPECT_NE(small->tag(), large->tag());
  EXPECT_EQ(keys_.ring_sizes(), (std::vector<int>{12, 13}));
  fs::rename(keys_.key_file(13), keys_.key_file(14));
  EXPECT_EQ(keys_.open(14, passphrase_).error().code, ErrorCode::kKeyFileMalformed)
      << "under another size's name";
}

TEST_F(KeyFolderTest, NothingIsMadeWithoutAPassphrase) {
  ::unsetenv(secret::kPassphraseVariable);
  passphrase_.file.clear();
  auto made = keys_.open_or_create(12, passphrase_);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kPassphraseMissing);
  EXPECT_FALSE(fs::exists(keys_.path()));
}

TEST_F(KeyFolderTest, TheWrongPassphraseOpensNothing) {
  ASSERT_TRUE(keys_.create(12, passphrase_).ok());
  passphrase_.file = folder_.write("other", as_bytes("open barley"));
  EXPECT_EQ(keys_.open_or_create(12, passphrase_).error().code, ErrorCode::kKeyFilePassphrase);
}

class PieceCacheTest : public testing::Test {
 protected:
  PieceCacheTest() : keys_(folder_.path()), cache_(keys_, ckks::KeyTag{1, 2, 3}) {}
  test::TemporaryFolder folder_;
  KeyFolder keys_;
  PieceCache cache_;
  const ckks::KeyRequest request_{3, {4, 2, 1}};
  const Digest basis_ = blake2b(as_bytes("basis"));
};

TEST_F(PieceCacheTest, FindsExactlyWhatWasStored) {
  EXPECT_FALSE(cache_.find(request_, basis_).has_value());
  Bytes bytes{1, 2, 3, 4};
  auto stored = cache_.store(request_, basis_, bytes);
  ASSERT_TRUE(stored.ok()) << stored.error().message;
  EXPECT_EQ(*stored, blake2b(bytes));
  EXPECT_EQ(cache_.find(request_, basis_), *stored);
  EXPECT_EQ(*cache_.load(*stored), bytes);

  for (ckks::KeyRequest other : {ckks::KeyRequest{5, {4, 2, 1}}, ckks::KeyRequest{3, {5, 2, 1}},
                                 ckks::KeyRequest{3, {4, 1, 1}}, ckks::KeyRequest{3, {4, 2, 2}}}) {
    EXPECT_FALSE(cache_.find(other, basis_).has_value());
  }
  EXPECT_FALSE(cache_.find(request_, blake2b(as_bytes("other basis"))).has_value());
  EXPECT_FALSE(PieceCache(keys_, ckks::KeyTag{1, 2, 4}).find(request_, basis_).has_value())
      << "another secret key";
}

TEST_F(PieceCacheTest, ADamagedPieceIsForgotten) {
  Digest digest = *cache_.store(request_, basis_, Bytes{1, 2, 3, 4});
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    if (entry.path().filename() == to_hex(digest)) std::ofstream(entry.path()) << "damaged";
  }
  auto loaded = cache_.load(digest);
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::kDataMalformed);
  EXPECT_FALSE(cache_.find(request_, basis_).has_value());
}

TEST_F(PieceCacheTest, ADamagedIndexIsAsIfThereWereNone) {
  ASSERT_TRUE(cache_.store(request_, basis_, Bytes{1}).ok());
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    if (entry.path().parent_path().filename() == "index") std::ofstream(entry.path()) << "no digest";
  }
  EXPECT_FALSE(cache_.find(request_, basis_).has_value());
}

}  // namespace
}  // namespace tacit::client
