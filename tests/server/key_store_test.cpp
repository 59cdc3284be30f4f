// SPDX-License-Identifier: Apache-2.0
// The key store on a real folder, with a check of its own in the place of the cryptographic one.
#include "server/key_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

namespace fs = std::filesystem;

// The fixed head of protocol/bytes.md with these fields, and `filler` behind it.
Bytes piece_bytes(std::uint32_t element, std::uint8_t tag = 1, std::uint8_t log_degree = 13,
                  std::string_view filler = "") {
  ByteWriter out;
  out.raw(as_bytes("TACT"));
  out.u8(3);
  out.u8(1);
  out.u16(0);
  for (int i = 0; i < 16; ++i) out.u8(tag);
  out.u8(log_degree);
  for (int i = 0; i < 3; ++i) out.u8(1);
  out.u32(element);
  out.u64(0);
  for (int i = 0; i < 32; ++i) out.u8(9);
  out.raw(as_bytes(filler));
  return std::move(out).take();
}

Result<ckks::KeyHeader> check(ByteView bytes) {
  if (as_text(bytes).ends_with("bad")) return Error{ErrorCode::kResidueOutOfRange, "bad"};
  return ckks::read_key_header(bytes);
}

class KeyStoreTest : public testing::Test {
 protected:
  std::unique_ptr<KeyStore> open() {
    auto store = KeyStore::open(folder_.path(), check);
    EXPECT_TRUE(store.ok());
    return std::move(store).value();
  }
  Digest put(KeyStore& store, const Bytes& bytes) {
    const Digest digest = blake2b(bytes);
    const auto created = store.put_piece(digest, bytes);
    EXPECT_TRUE(created.ok()) << created.error().to_line();
    return digest;
  }
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
      count += entry.is_regular_file();
    return count;
  }
  TemporaryFolder folder_;
};

TEST_F(KeyStoreTest, KeepsPiecesUnderTheirDigest) {
  const auto store = open();
  const Bytes bytes = piece_bytes(1);
  const Digest digest = blake2b(bytes);
  EXPECT_EQ(store->missing(std::vector{digest}).size(), 1u);
  EXPECT_EQ(*store->put_piece(digest, bytes), true);
  EXPECT_EQ(*store->put_piece(digest, bytes), false);
  EXPECT_TRUE(store->missing(std::vector{digest}).empty());
  EXPECT_EQ(store->find_piece(digest)->bytes, bytes.size());
  EXPECT_EQ(*store->read_piece(digest), bytes);
  EXPECT_EQ(files(), 1u);
}

TEST_F(KeyStoreTest, StoresNothingThatIsRefused) {
  const auto store = open();
  const Bytes good = piece_bytes(1), bad = piece_bytes(1, 1, 13, "bad");
  EXPECT_EQ(store->put_piece(blake2b(bad), good).error().code, ErrorCode::kKeyDigest);
  EXPECT_EQ(store->put_piece(blake2b(bad), bad).error().code, ErrorCode::kResidueOutOfRange);
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(store->find_piece(blake2b(bad)), std::nullopt);
}

TEST_F(KeyStoreTest, SetsAreNamedByTheirContentWhateverTheOrder) {
  const auto store = open();
  std::vector<Digest> pieces = {put(*store, piece_bytes(1)), put(*store, piece_bytes(3)),
                                put(*store, piece_bytes(9))};
  const auto set = store->describe_set(pieces);
  ASSERT_TRUE(set.ok());
  std::ranges::reverse(pieces);
  EXPECT_EQ(store->describe_set(pieces)->id, set->id);
  EXPECT_EQ(set->bytes, 3 * 72u);
  EXPECT_EQ(set->log_degree, 13);
  std::ranges::sort(pieces);
  EXPECT_EQ(set->id, key_set_id(pieces));
  EXPECT_EQ(store->find_set(set->id).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(*store->put_set(*set), true);
  EXPECT_EQ(*store->put_set(*set), false);
  EXPECT_EQ(store->find_set(set->id)->pieces, pieces);
}

TEST_F(KeyStoreTest, RefusesPiecesThatDoNotBelongTogether) {
  const auto store = open();
  const Digest one = put(*store, piece_bytes(1)), again = put(*store, piece_bytes(1, 1, 13, "x")),
               other_key = put(*store, piece_bytes(3, 2)), other_ring = put(*store, piece_bytes(5, 1, 14));
  auto code = [&](std::vector<Digest> pieces) { return store->describe_set(std::move(pieces)).error().code; };
  EXPECT_EQ(code({}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, one}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, again}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, other_key}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, other_ring}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, Digest{}}), ErrorCode::kKeyMissing);
}

TEST_F(KeyStoreTest, EverythingAcknowledgedIsThereAfterARestart) {
  Digest id{}, one{};
  {
    const auto store = open();
    one = put(*store, piece_bytes(1));
    const auto set = store->describe_set({one, put(*store, piece_bytes(3))});
    ASSERT_TRUE(set.ok() && store->put_set(*set).ok());
    id = set->id;
  }
  const auto store = open();
  ASSERT_TRUE(store->find_set(id).ok());
  EXPECT_EQ(store->find_set(id)->pieces.size(), 2u);
  EXPECT_EQ(store->find_piece(one)->header.request.element, 1u);
  EXPECT_EQ(*store->read_piece(one), piece_bytes(1));
}

TEST_F(KeyStoreTest, AStartRemovesWhatAnInterruptedWriteLeft) {
  open();
  for (const char* name : {"blobs/.ab12.Xy12zz", "keysets/.ab.json.Xy12zz"}) {
    std::ofstream(folder_.path() / name) << "half";
  }
  EXPECT_EQ(files(), 2u);
  open();
  EXPECT_EQ(files(), 0u);
}

TEST_F(KeyStoreTest, DamagedFilesAreLeftOutAndNeverServed) {
  Digest damaged{}, id{};
  {
    const auto store = open();
    damaged = put(*store, piece_bytes(1, 1, 13, "tail"));
    const auto set = store->describe_set({damaged});
    ASSERT_TRUE(set.ok() && store->put_set(*set).ok());
    id = set->id;
  }
  std::ofstream(folder_.path() / "blobs" / to_hex(blake2b(as_bytes("x")))) << "not a key";
  std::ofstream(folder_.path() / "blobs" / "README") << "hello";
  std::ofstream(folder_.path() / "keysets" / "0000.json") << "{\"version\":1,\"pieces\":[\"zz\"]}";
  std::ofstream(folder_.path() / "keysets" / "1111.json") << "[1,2";
  {
    // The head stays as it was, so only the digest tells.
    std::fstream file(folder_.path() / "blobs" / to_hex(damaged), std::ios::in | std::ios::out);
    file.seekp(73);
    file.put('T');
  }
  const auto store = open();
  EXPECT_EQ(store->find_piece(blake2b(as_bytes("x"))), std::nullopt);
  ASSERT_TRUE(store->find_set(id).ok());
  EXPECT_EQ(store->read_piece(damaged).error().code, ErrorCode::kKeyMissing);
  // Clients are asked to upload it again, and can.
  EXPECT_EQ(store->missing(std::vector{damaged}).size(), 1u);
  EXPECT_EQ(store->find_set(id).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(*store->put_piece(damaged, piece_bytes(1, 1, 13, "tail")), true);
  EXPECT_TRUE(store->read_piece(damaged).ok());
}

TEST_F(KeyStoreTest, ManyThreadsMayUploadTheSame) {
  const auto store = open();
  std::vector<std::thread> threads;
  std::atomic<int> created = 0, failed = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint32_t i = 0; i < 20; ++i) {
        const Bytes bytes = piece_bytes(2 * i + 1);
        const auto result = store->put_piece(blake2b(bytes), bytes);
        failed += !result.ok();
        created += result.ok() && *result;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(created, 20);
  EXPECT_EQ(files(), 20u);
}

TEST_F(KeyStoreTest, AFolderThatCannotBeMadeIsAnError) {
  std::ofstream(folder_.path() / "file") << "x";
  EXPECT_EQ(KeyStore::open(folder_.path() / "file", check).error().code, ErrorCode::kFileUnwritable);
}

}  // namespace
}  // namespace tacit::server
