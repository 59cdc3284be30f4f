// SPDX-License-Identifier: Apache-2.0
// The end of one tenant, on a real state folder beside which another goes on.
#include <gtest/gtest.h>

#include "server/fake_key.h"
#include "server/state/state.h"
#include "server/temporary_folder.h"
#include "support/ckks_fixture.h"

namespace tacit::server {
namespace {

using test::unwrap;

constexpr std::chrono::milliseconds kNoWait{0};

// A valid token and a revoked one, a key set, a loose part, and a job with its input.
void move_in(State& state, const std::string& tenant) {
  const Digest name = blake2b(as_bytes(tenant));
  Ledger& ledger = state.ledger();
  ASSERT_TRUE(ledger.add_token({tenant + "-1", tenant, name, kScopeInfer, "", 1, {}, {}}).ok());
  ASSERT_TRUE(ledger.add_token({tenant + "-2", tenant, name, kScopeInfer, "", 1, {}, 2}).ok());
  const Bytes key = key_head(5);
  const Digest piece = blake2b(key);
  ASSERT_TRUE(state.blobs().put(piece_blob(tenant, piece), key).ok());
  ASSERT_TRUE(ledger.add_piece(tenant, piece, key, key.size(), 1).ok());
  KeySet set;
  set.id = name;
  set.pieces = {{piece, {}, key.size()}};
  set.bytes = key.size();
  ASSERT_TRUE(ledger.add_set(tenant, set).ok());
  const Part part{name, 0, piece, key.size(), 2 * key.size()};
  ASSERT_TRUE(state.blobs().put(part_blob(tenant, part), key).ok());
  ASSERT_TRUE(ledger.put_part(tenant, part, 1).ok());
  ASSERT_TRUE(ledger.count_inferences(tenant, 1, 9, 1).ok());
  Job job;
  job.id = to_hex(name).substr(0, 32);
  job.tenant = tenant;
  job.model = "lenet";
  job.key_id = name;
  job.input = piece;
  ASSERT_TRUE(state.blobs().put(input_blob(job), key).ok());
  ASSERT_TRUE(state.queue().submit(job, Idempotency{"key", name}).ok());
}

TEST(Tenants, AreListedAndDeletedWhole) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "state";
  {
    const auto state = unwrap(State::open(path));
    move_in(*state, "clinic");
    move_in(*state, "other");
  }
  const std::vector<TenantUse> before = unwrap(tenants_of_state(path, 5));
  ASSERT_EQ(before.size(), 2u);
  EXPECT_EQ(before[0].name, "clinic");
  EXPECT_EQ(before[0].tokens, 1u);
  EXPECT_EQ(before[0].key_sets, 1u);
  EXPECT_EQ(before[0].jobs, 1u);
  EXPECT_GT(before[0].key_bytes, 0u);

  EXPECT_EQ(delete_tenant(path, "nobody", 5, kNoWait).error().code, ErrorCode::kFileNotFound);
  EXPECT_EQ(unwrap(delete_tenant(path, "clinic", 5, kNoWait)).jobs, 1u);
  const std::vector<TenantUse> after = unwrap(tenants_of_state(path, 5));
  ASSERT_EQ(after.size(), 2u) << "its tokens stay, revoked";
  EXPECT_EQ(after[0].tokens + after[0].key_sets + after[0].jobs + after[0].key_bytes, 0u);
  EXPECT_EQ(after[1].tokens, 1u);
  EXPECT_EQ(after[1].key_sets, 1u);
  EXPECT_EQ(after[1].jobs, 1u);

  const auto state = unwrap(State::open(path));
  EXPECT_TRUE(unwrap(state->check()).empty());
  for (const BlobName& name : unwrap(state->blobs().list())) EXPECT_EQ(name.tenant, "other");
  for (const Token& token : unwrap(state->ledger().tokens()))
    EXPECT_EQ(token.revoked.has_value(), token.tenant == "clinic" || token.id == "other-2") << token.id;
  EXPECT_FALSE(unwrap(state->ledger().count_inferences("clinic", 9, 9, 5)).has_value())
      << "nothing is counted";
}

}  // namespace
}  // namespace tacit::server
