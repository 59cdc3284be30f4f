// SPDX-License-Identifier: Apache-2.0
// Pieces that arrive in parts: in any order, twice, wrong, over restarts, with files between.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "server/fake_key.h"
#include "server/key_store.h"
#include "server/state/state.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

constexpr std::string_view kTenant = "clinic";

// A header and then filler, two and a half parts in all.
Bytes make_piece() {
  Bytes bytes = key_head(5, 7);
  for (std::size_t i = bytes.size(); i < 2 * kPartBytes + kPartBytes / 2; ++i)
    bytes.push_back(static_cast<std::uint8_t>(i * i >> 7));
  return bytes;
}

Result<ckks::KeyHeader> check(ByteView bytes) {
  if (bytes.back() == 0xbb) return Error{ErrorCode::kResidueOutOfRange, "bad"};
  return ckks::read_key_header(bytes);
}

class KeyPartsTest : public testing::Test {
 protected:
  KeyPartsTest() { open(); }
  void open() {
    store_.reset();
    state_.reset();
    state_ = std::move(State::open(folder_.path())).value();
    EXPECT_EQ(*state_->sweep(), 0u);
    store_.emplace(state_->ledger(), state_->blobs(), check, quota_);
  }
  static Part part(const Bytes& piece, std::uint32_t number) {
    const ByteView bytes = bytes_of(piece, number);
    return {blake2b(piece), number, blake2b(bytes), bytes.size(), piece.size()};
  }
  static ByteView bytes_of(const Bytes& piece, std::uint32_t number) {
    const std::size_t start = kPartBytes * number;
    return ByteView(piece).subspan(start, std::min<std::size_t>(kPartBytes, piece.size() - start));
  }
  Result<PartsState> put(const Bytes& piece, std::uint32_t number) {
    return store_->put_part(kTenant, part(piece, number), bytes_of(piece, number), 10);
  }
  std::size_t files() { return state_->blobs().list()->size(); }

  TemporaryFolder folder_;
  Quota quota_;
  std::unique_ptr<State> state_;
  std::optional<KeyStore> store_;
};

TEST_F(KeyPartsTest, MakeAPieceInAnyOrderAndOverRestarts) {
  const Bytes piece = make_piece();
  const Digest digest = blake2b(piece);
  EXPECT_EQ(store_->parts(kTenant, digest).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(put(piece, 2)->received, std::vector<std::uint32_t>{2});
  EXPECT_EQ(put(piece, 2)->received, std::vector<std::uint32_t>{2});
  open();
  EXPECT_EQ(put(piece, 0)->received, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(store_->parts("other", digest).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(state_->ledger().usage(kTenant)->key_bytes, kPartBytes + kPartBytes / 2);
  const auto last = put(piece, 1);
  ASSERT_TRUE(last.ok()) << last.error().to_line();
  EXPECT_TRUE(last->complete);
  EXPECT_EQ(files(), 1u);
  open();
  EXPECT_TRUE(store_->parts(kTenant, digest)->complete);
  EXPECT_TRUE(put(piece, 1)->complete) << "what is there need not be sent again";
  const auto stored = *state_->ledger().find_piece(kTenant, digest);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(*store_->read_piece(kTenant, *stored), piece);
  EXPECT_EQ(state_->ledger().usage(kTenant)->key_bytes, piece.size());
  EXPECT_TRUE(state_->check()->empty());
}

// Whatever happens after a piece has its row, its parts count no more.
TEST_F(KeyPartsTest, GoWithThePieceThatTheyMake) {
  const Bytes piece = make_piece();
  EXPECT_TRUE(put(piece, 0).ok());
  ASSERT_TRUE(store_->put_piece(kTenant, blake2b(piece), piece, 10).ok());
  EXPECT_TRUE(store_->parts(kTenant, blake2b(piece))->complete);
  EXPECT_EQ(state_->ledger().usage(kTenant)->key_bytes, piece.size());
  EXPECT_TRUE(state_->ledger().parts(kTenant, blake2b(piece))->empty());
}

TEST_F(KeyPartsTest, WrongPartsAndWrongWholesAreRefused) {
  Bytes piece = make_piece();
  Part wrong = part(piece, 0);
  EXPECT_EQ(store_->put_part(kTenant, wrong, bytes_of(piece, 1), 1).error().code, ErrorCode::kKeyDigest);
  EXPECT_EQ(files(), 0u);
  ASSERT_TRUE(put(piece, 0).ok());
  wrong = part(piece, 1);
  wrong.piece_bytes += 1;
  EXPECT_EQ(store_->put_part(kTenant, wrong, bytes_of(piece, 1), 1).error().code, ErrorCode::kUploadMismatch);
  // Parts that are what they say, of a whole that is not.
  ASSERT_TRUE(put(piece, 1).ok());
  Part last = part(piece, 2);
  Bytes other(bytes_of(piece, 2).begin(), bytes_of(piece, 2).end());
  other[5] ^= 1;
  last.digest = blake2b(other);
  EXPECT_EQ(store_->put_part(kTenant, last, other, 1).error().code, ErrorCode::kKeyDigest);
  EXPECT_EQ(files(), 0u);
  // A whole that the check refuses.
  piece.back() = 0xbb;
  for (std::uint32_t number : {0u, 1u}) ASSERT_TRUE(put(piece, number).ok());
  EXPECT_EQ(put(piece, 2).error().code, ErrorCode::kResidueOutOfRange);
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(state_->ledger().usage(kTenant)->key_bytes, 0u);
}

TEST_F(KeyPartsTest, CountForTheQuotaAndCanBeGivenUp) {
  const Bytes piece = make_piece();
  quota_.key_bytes = kPartBytes + 10;
  open();
  ASSERT_TRUE(put(piece, 0).ok());
  EXPECT_EQ(put(piece, 1).error().code, ErrorCode::kQuota);
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(state_->ledger().abandoned_parts(10)->size(), 0u);
  EXPECT_EQ(state_->ledger().abandoned_parts(11)->size(), 1u);
  ASSERT_TRUE(store_->remove_parts(kTenant, blake2b(piece)).ok());
  ASSERT_TRUE(store_->remove_parts(kTenant, blake2b(piece)).ok());
  EXPECT_EQ(files(), 0u);
}

}  // namespace
}  // namespace tacit::server
