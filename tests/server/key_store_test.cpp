// SPDX-License-Identifier: Apache-2.0
// The key store on a real state folder, with a check of its own in the place of the cryptographic one.
#include "server/key_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "server/fake_key.h"
#include "server/state/state.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

namespace fs = std::filesystem;

// A head with these fields, and `filler` behind it.
Bytes piece_bytes(std::uint32_t element, std::uint8_t tag = 1, std::uint8_t log_degree = 13,
                  std::string_view filler = "") {
  Bytes bytes = key_head(element, tag, log_degree);
  bytes.insert(bytes.end(), filler.begin(), filler.end());
  return bytes;
}

Result<ckks::KeyHeader> check(ByteView bytes) {
  if (as_text(bytes).ends_with("bad")) return Error{ErrorCode::kResidueOutOfRange, "bad"};
  return ckks::read_key_header(bytes);
}

constexpr std::string_view kTenant = "clinic";

class KeyStoreTest : public testing::Test {
 protected:
  KeyStoreTest() { open(); }
  void open() {
    store_.reset();
    state_.reset();
    auto state = State::open(folder_.path());
    ASSERT_TRUE(state.ok()) << state.error().to_line();
    state_ = std::move(state).value();
    store_.emplace(state_->ledger(), state_->blobs(), check);
    swept_ = state_->sweep().value();
  }
  Digest put(const Bytes& bytes) {
    const Digest digest = blake2b(bytes);
    const auto created = store_->put_piece(kTenant, digest, bytes, 1);
    EXPECT_TRUE(created.ok()) << created.error().to_line();
    return digest;
  }
  std::optional<Piece> find(const Digest& digest) { return *state_->ledger().find_piece(kTenant, digest); }
  Result<KeySet> describe(std::vector<Digest> pieces) {
    return store_->describe_set(kTenant, std::move(pieces), 1);
  }
  // A stored set of these pieces.
  KeySet put_set(std::vector<Digest> pieces) {
    const auto set = describe(std::move(pieces));
    EXPECT_TRUE(set.ok() && state_->ledger().add_set(kTenant, *set).ok());
    return *set;
  }
  std::size_t files() { return state_->blobs().list()->size(); }
  fs::path file_of(const Digest& digest) const {
    return folder_.path() / "blobs" / kTenant / "pieces" / to_hex(digest);
  }

  TemporaryFolder folder_;
  std::unique_ptr<State> state_;
  std::optional<KeyStore> store_;
  std::size_t swept_ = 0;
};

TEST_F(KeyStoreTest, KeepsPiecesUnderTheirDigest) {
  const Bytes bytes = piece_bytes(1);
  const Digest digest = blake2b(bytes);
  EXPECT_FALSE(find(digest).has_value());
  EXPECT_EQ(*store_->put_piece(kTenant, digest, bytes, 1), true);
  EXPECT_EQ(*store_->put_piece(kTenant, digest, bytes, 1), false);
  ASSERT_TRUE(find(digest).has_value());
  EXPECT_EQ(find(digest)->bytes, bytes.size());
  EXPECT_EQ(*store_->read_piece(kTenant, *find(digest)), bytes);
  EXPECT_EQ(files(), 1u);
  EXPECT_FALSE(state_->ledger().find_piece("other", digest)->has_value());
}

TEST_F(KeyStoreTest, StoresNothingThatIsRefused) {
  const Bytes good = piece_bytes(1), bad = piece_bytes(1, 1, 13, "bad");
  EXPECT_EQ(store_->put_piece(kTenant, blake2b(bad), good, 1).error().code, ErrorCode::kKeyDigest);
  EXPECT_EQ(store_->put_piece(kTenant, blake2b(bad), bad, 1).error().code, ErrorCode::kResidueOutOfRange);
  EXPECT_EQ(files(), 0u);
  EXPECT_FALSE(find(blake2b(bad)).has_value());
}

TEST_F(KeyStoreTest, SetsAreNamedByTheirContentWhateverTheOrder) {
  std::vector<Digest> pieces = {put(piece_bytes(1)), put(piece_bytes(3)), put(piece_bytes(9))};
  const auto set = describe(pieces);
  ASSERT_TRUE(set.ok());
  std::ranges::reverse(pieces);
  EXPECT_EQ(describe(pieces)->id, set->id);
  EXPECT_EQ(set->bytes, 3 * 72u);
  EXPECT_EQ(set->log_degree, 13);
  std::ranges::sort(pieces);
  EXPECT_EQ(set->id, key_set_id(pieces));
  Ledger& ledger = state_->ledger();
  EXPECT_EQ(ledger.find_set(kTenant, set->id).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(*ledger.add_set(kTenant, *set), true);
  EXPECT_EQ(*ledger.add_set(kTenant, *set), false);
  EXPECT_EQ(ledger.find_set("other", set->id).error().code, ErrorCode::kKeyUnknown);
  const KeySet found = *ledger.find_set(kTenant, set->id);
  ASSERT_EQ(found.pieces.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found.pieces[i].digest, pieces[i]);
    EXPECT_EQ(found.pieces[i].header.request.element, set->pieces[i].header.request.element);
  }
}

TEST_F(KeyStoreTest, RefusesPiecesThatDoNotBelongTogether) {
  const Digest one = put(piece_bytes(1)), again = put(piece_bytes(1, 1, 13, "x")),
               other_key = put(piece_bytes(3, 2)), other_ring = put(piece_bytes(5, 1, 14));
  auto code = [&](std::vector<Digest> pieces) { return describe(std::move(pieces)).error().code; };
  EXPECT_EQ(code({}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, one}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, again}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, other_key}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, other_ring}), ErrorCode::kKeySetMixed);
  EXPECT_EQ(code({one, Digest{}}), ErrorCode::kKeyMissing);
}

TEST_F(KeyStoreTest, EverythingAcknowledgedIsThereAfterARestart) {
  const Digest one = put(piece_bytes(1));
  const KeySet set = put_set({one, put(piece_bytes(3))});
  open();
  ASSERT_TRUE(state_->ledger().find_set(kTenant, set.id).ok());
  EXPECT_EQ(state_->ledger().find_set(kTenant, set.id)->pieces.size(), 2u);
  EXPECT_EQ(*store_->read_piece(kTenant, *find(one)), piece_bytes(1));
  EXPECT_EQ(swept_, 0u);
  EXPECT_TRUE(state_->check()->empty());
}

TEST_F(KeyStoreTest, AStartRemovesWhatWasNeverAcknowledged) {
  put(piece_bytes(1));
  // A crash before the rename, and one before the row.
  std::ofstream(file_of(blake2b(as_bytes("x"))).parent_path() / ".ab12.Xy12zz") << "half";
  ASSERT_TRUE(
      state_->blobs().put({std::string(kTenant), BlobKind::kPiece, std::string(64, 'a')}, Bytes{1}).ok());
  EXPECT_EQ(state_->check()->size(), 1u);
  open();
  EXPECT_EQ(swept_, 1u);
  EXPECT_EQ(files(), 1u);
  EXPECT_TRUE(state_->check()->empty());
}

TEST_F(KeyStoreTest, DamagedFilesAreNeverServed) {
  const Bytes bytes = piece_bytes(1, 1, 13, "tail");
  const Digest damaged = put(bytes), lost = put(piece_bytes(3));
  const KeySet set = put_set({damaged, lost});
  {
    // The head stays as it was, so only the digest tells.
    std::fstream file(file_of(damaged), std::ios::in | std::ios::out);
    file.seekp(73);
    file.put('T');
  }
  fs::remove(file_of(lost));
  EXPECT_EQ(state_->check()->size(), 2u);
  open();
  ASSERT_TRUE(state_->ledger().find_set(kTenant, set.id).ok());
  EXPECT_EQ(store_->read_piece(kTenant, *find(damaged)).error().code, ErrorCode::kKeyMissing);
  EXPECT_EQ(store_->read_piece(kTenant, *find(lost)).error().code, ErrorCode::kKeyMissing);
  // Clients are asked to upload it again, and can.
  EXPECT_FALSE(find(damaged).has_value());
  EXPECT_EQ(state_->ledger().find_set(kTenant, set.id).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(*store_->put_piece(kTenant, damaged, bytes, 1), true);
  EXPECT_TRUE(store_->read_piece(kTenant, *find(damaged)).ok());
}

TEST_F(KeyStoreTest, RemovingASetKeepsWhatOthersShare) {
  const Digest shared = put(piece_bytes(1)), alone = put(piece_bytes(3)), third = put(piece_bytes(5));
  const KeySet one = put_set({shared, alone}), two = put_set({shared, third});
  ASSERT_TRUE(store_->remove_set(kTenant, one.id).ok());
  EXPECT_FALSE(find(alone).has_value());
  EXPECT_FALSE(fs::exists(file_of(alone)));
  EXPECT_TRUE(store_->read_piece(kTenant, *find(shared)).ok());
  EXPECT_EQ(store_->remove_set(kTenant, one.id).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(store_->remove_set("other", two.id).error().code, ErrorCode::kKeyUnknown);
  ASSERT_TRUE(store_->remove_set(kTenant, two.id).ok());
  EXPECT_EQ(files(), 0u);
}

TEST_F(KeyStoreTest, ManyThreadsMayUploadTheSame) {
  std::vector<std::thread> threads;
  std::atomic<int> created = 0, failed = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::uint32_t i = 0; i < 20; ++i) {
        const Bytes bytes = piece_bytes(2 * i + 1);
        const auto result = store_->put_piece(kTenant, blake2b(bytes), bytes, 1);
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

TEST_F(KeyStoreTest, ABackupIsWhole) {
  const Digest piece = put(piece_bytes(1));
  const KeySet set = put_set({piece});
  const fs::path copy = folder_.path() / "copy";
  ASSERT_TRUE(back_up_state(folder_.path(), copy).ok());
  EXPECT_EQ(back_up_state(folder_.path(), copy).error().code, ErrorCode::kFileUnwritable);
  EXPECT_EQ(back_up_state(folder_.path() / "nothing", copy).error().code, ErrorCode::kFileNotFound);
  const auto state = State::open(copy);
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE((*state)->check()->empty());
  EXPECT_EQ((*state)->ledger().find_set(kTenant, set.id)->bytes, set.bytes);
}

// As if it had been deleted between the copy of the rows and that of the bytes.
TEST_F(KeyStoreTest, ABackupLeavesOutWhatWasDeletedMeanwhile) {
  const Digest gone = put(piece_bytes(1)), kept = put(piece_bytes(3));
  put_set({gone, kept});
  fs::remove(file_of(gone));
  const fs::path copy = folder_.path() / "copy";
  ASSERT_TRUE(back_up_state(folder_.path(), copy).ok());
  const auto state = State::open(copy);
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE((*state)->check()->empty());
  EXPECT_TRUE((*state)->ledger().find_piece(kTenant, kept)->has_value());
  EXPECT_TRUE((*state)->ledger().sets(kTenant)->empty());
}

TEST_F(KeyStoreTest, OneProcessHasTheFolder) {
  EXPECT_EQ(State::open(folder_.path()).error().code, ErrorCode::kStateInUse);
}

TEST(StateFolder, ThatCannotBeMadeIsAnError) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_EQ(State::open(folder.path() / "file").error().code, ErrorCode::kFileUnwritable);
}

}  // namespace
}  // namespace tacit::server
