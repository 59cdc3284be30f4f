// SPDX-License-Identifier: Apache-2.0
// Ledger, queue and blobs beside maps that do the same in memory, with the folder opened anew again and again.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>

#include "server/fake_key.h"
#include "server/state/database.h"
#include "server/state/folder_blobs.h"
#include "server/state/sqlite_ledger.h"
#include "server/state/sqlite_queue.h"
#include "server/temporary_folder.h"
#include "support/seed.h"

namespace tacit::server {
namespace {

using test::kSeed;

Digest digest_of(std::uint64_t number) {
  ByteWriter out;
  out.u64(number);
  return blake2b(std::move(out).take());
}

std::vector<Piece> pieces_of(const std::vector<Digest>& digests) {
  std::vector<Piece> pieces;
  for (const Digest& digest : digests) pieces.push_back({digest, {}, 0});
  return pieces;
}

std::vector<Digest> digests_of(const KeySet& set) {
  std::vector<Digest> digests;
  for (const Piece& piece : set.pieces) digests.push_back(piece.digest);
  return digests;
}

class StateTest : public testing::Test {
 protected:
  StateTest() { open(); }
  void open() {
    queue_.reset();
    ledger_.reset();
    database_.reset();
    auto database = Database::open(folder_.path() / "tacit.db");
    ASSERT_TRUE(database.ok()) << database.error().to_line();
    database_ = std::move(database).value();
    ledger_ = make_sqlite_ledger(database_);
    queue_ = make_sqlite_queue(database_);
  }
  template <class T>
  static T get(Result<T> result) {
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_line());
    return result.ok() ? std::move(result).value() : T{};
  }

  TemporaryFolder folder_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Queue> queue_;
};

TEST_F(StateTest, TokensComeBackAsTheyWere) {
  Token token{"00112233445566ff", "clinic", digest_of(1), kScopeInfer | kScopeKeys, "ward 3", 5, 99, {}};
  ASSERT_TRUE(ledger_->add_token(token).ok());
  EXPECT_FALSE(ledger_->add_token(token).ok());
  open();
  const std::vector<Token> tokens = get(ledger_->tokens());
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].tenant, "clinic");
  EXPECT_EQ(tokens[0].secret, token.secret);
  EXPECT_EQ(tokens[0].scopes, token.scopes);
  EXPECT_EQ(tokens[0].label, "ward 3");
  EXPECT_EQ(tokens[0].expires, 99);
  EXPECT_FALSE(tokens[0].revoked.has_value());
  EXPECT_TRUE(get(ledger_->revoke_token(token.id, 7)));
  EXPECT_FALSE(get(ledger_->revoke_token(token.id, 8)));
  EXPECT_FALSE(get(ledger_->revoke_token("absent", 8)));
  EXPECT_EQ(get(ledger_->tokens())[0].revoked, 7);
}

TEST_F(StateTest, AForeignKeySetIsNotThere) {
  const Digest piece = digest_of(1);
  ASSERT_TRUE(get(ledger_->add_piece("a", piece, key_head(3), 10, 1)));
  const KeySet set{digest_of(2), pieces_of({piece}), {}, 13, 10, 1, 1};
  EXPECT_EQ(ledger_->add_set("b", set).error().code, ErrorCode::kKeyMissing);
  ASSERT_TRUE(get(ledger_->add_set("a", set)));
  // The answer is that for a set that nobody has, but for the name.
  Error foreign = ledger_->find_set("b", set.id).error(),
        absent = ledger_->find_set("b", digest_of(3)).error();
  EXPECT_EQ(foreign.code, absent.code);
  foreign.message.erase(foreign.message.find(to_hex(set.id)), 64);
  absent.message.erase(absent.message.find(to_hex(digest_of(3))), 64);
  EXPECT_EQ(foreign.message, absent.message);
  EXPECT_EQ(ledger_->remove_set("b", set.id).error().code, ErrorCode::kKeyUnknown);
  EXPECT_EQ(get(ledger_->missing("b", std::vector{piece})), std::vector{piece});
  EXPECT_TRUE(get(ledger_->sets("b")).empty());
  EXPECT_EQ(digests_of(get(ledger_->find_set("a", set.id))), std::vector{piece});
}

// Sets of up to four out of ten pieces, of two tenants; the model has pieces and sets by name.
TEST_F(StateTest, KeysBesideAModel) {
  std::mt19937 random(kSeed);
  std::printf("seed %lu\n", kSeed);
  struct Model {
    std::map<Digest, std::uint64_t> pieces;
    std::map<Digest, KeySet> sets;
  };
  std::map<std::string, Model> models;
  std::vector<Digest> names;
  for (std::uint64_t i = 0; i < 10; ++i) names.push_back(digest_of(i));
  for (int step = 0; step < 600; ++step) {
    SCOPED_TRACE(step);
    const std::string tenant = random() % 2 == 0 ? "a" : "b";
    Model& model = models[tenant];
    const Digest& name = names[random() % names.size()];
    std::vector<Digest> some;
    for (const Digest& candidate : names)
      if (random() % 4 == 0) some.push_back(candidate);
    if (some.empty()) some.push_back(name);
    std::ranges::sort(some);
    KeySet set{blake2b(ByteView(some[0])), pieces_of(some), {}, 13, 0, step, step};
    for (const Digest& one : some) set.id[0] ^= one[1], set.id[1] = static_cast<std::uint8_t>(some.size());
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        const std::uint64_t bytes = 1 + random() % 100;
        EXPECT_EQ(get(ledger_->add_piece(tenant, name, key_head(3), bytes, step)),
                  model.pieces.emplace(name, bytes).second);
        break;
      }
      case 3:
      case 4: {
        const bool whole =
            std::ranges::all_of(some, [&](const Digest& d) { return model.pieces.contains(d); });
        const auto added = ledger_->add_set(tenant, set);
        ASSERT_EQ(added.ok(), whole);
        if (whole) { EXPECT_EQ(*added, model.sets.emplace(set.id, set).second); }
        break;
      }
      case 5: {
        if (model.sets.empty()) break;
        const auto chosen =
            std::next(model.sets.begin(), static_cast<std::ptrdiff_t>(random() % model.sets.size()));
        const KeySet removed = chosen->second;
        model.sets.erase(chosen);
        std::vector<Digest> freed = get(ledger_->remove_set(tenant, removed.id));
        std::vector<Digest> expected;
        for (const Digest& piece : digests_of(removed))
          if (std::ranges::none_of(model.sets, [&](const auto& other) {
                return std::ranges::binary_search(digests_of(other.second), piece);
              }))
            expected.push_back(piece);
        std::ranges::sort(freed);
        EXPECT_EQ(freed, expected);
        for (const Digest& piece : expected) model.pieces.erase(piece);
        break;
      }
      case 6:
        ASSERT_TRUE(ledger_->forget_piece(tenant, name).ok());
        model.pieces.erase(name);
        std::erase_if(model.sets, [&](const auto& entry) {
          return std::ranges::binary_search(digests_of(entry.second), name);
        });
        break;
      default:
        open();
    }
    std::uint64_t bytes = 0;
    for (const auto& [digest, size] : model.pieces) bytes += size;
    const Usage usage = get(ledger_->usage(tenant));
    EXPECT_EQ(usage.key_bytes, bytes);
    EXPECT_EQ(usage.key_sets, model.sets.size());
    for (const Digest& digest : names)
      EXPECT_EQ(get(ledger_->find_piece(tenant, digest)).has_value(), model.pieces.contains(digest));
  }
  EXPECT_TRUE(get(database_->check()).empty());
  for (auto& [tenant, model] : models) {
    const std::vector<KeySet> sets = get(ledger_->sets(tenant));
    EXPECT_EQ(sets.size(), model.sets.size());
    for (const KeySet& set : sets) EXPECT_EQ(digests_of(set), digests_of(model.sets.at(set.id)));
  }
}

TEST_F(StateTest, IdleSetsAndLoosePieces) {
  for (std::uint64_t i = 0; i < 3; ++i)
    get(ledger_->add_piece("a", digest_of(i), key_head(3), 1, static_cast<Time>(10 * i)));
  const KeySet set{digest_of(9), pieces_of({digest_of(0)}), {}, 13, 1, 10, 10};
  get(ledger_->add_set("a", set));
  EXPECT_TRUE(get(ledger_->idle_sets(10)).empty());
  ASSERT_EQ(get(ledger_->idle_sets(11)).size(), 1u);
  ASSERT_TRUE(ledger_->touch_set("a", set.id, 50).ok());
  ASSERT_TRUE(ledger_->touch_set("a", set.id, 40).ok());
  EXPECT_TRUE(get(ledger_->idle_sets(50)).empty());
  const auto loose = get(ledger_->loose_pieces(20));
  ASSERT_EQ(loose.size(), 1u);  // the first is in a set, the third is younger
  EXPECT_EQ(loose[0].digest, digest_of(1));
}

Job make_job(std::uint64_t number, const std::string& tenant = "a", std::uint64_t key = 0) {
  Job job;
  job.id = to_hex(digest_of(number)).substr(0, 32);
  job.tenant = tenant;
  job.model = "lenet";
  job.key_id = digest_of(key);
  job.input = digest_of(1000 + number);
  job.request_id = "r" + std::to_string(number);
  job.created = static_cast<Time>(number);
  return job;
}

TEST_F(StateTest, AJobIsDoneOnce) {
  ASSERT_FALSE(get(queue_->submit(make_job(1), {})).repeated);
  open();
  Job job = *get(queue_->claim({}, "", 5));
  EXPECT_EQ(job.state, JobState::kRunning);
  EXPECT_EQ(job.attempt, 1);
  EXPECT_EQ(job.input, make_job(1).input);
  EXPECT_FALSE(get(queue_->claim({}, "", 6)).has_value());
  // The server is killed and comes back.
  open();
  EXPECT_EQ(get(queue_->recover(2, 7, 100)), 1u);
  const Job second = *get(queue_->claim({}, "", 8));
  EXPECT_EQ(second.attempt, 2);
  EXPECT_FALSE(get(queue_->succeed(job, digest_of(7), 9, 100))) << "the first attempt is over";
  EXPECT_TRUE(get(queue_->succeed(second, digest_of(7), 9, 100)));
  EXPECT_FALSE(get(queue_->succeed(second, digest_of(8), 9, 100)));
  open();
  const Job done = get(queue_->find("a", job.id));
  EXPECT_EQ(done.state, JobState::kSucceeded);
  EXPECT_EQ(done.result, digest_of(7));
  EXPECT_TRUE(get(queue_->expire(99, 1000)).empty());
  EXPECT_EQ(get(queue_->expire(100, 1000)).size(), 1u);
  EXPECT_EQ(queue_->find("a", job.id).error().code, ErrorCode::kJobUnknown);
}

TEST_F(StateTest, AJobThatEndsTheServerTwiceIsNotTriedAgain) {
  get(queue_->submit(make_job(1), {}));
  for (int attempt = 1; attempt <= 2; ++attempt) {
    ASSERT_TRUE(get(queue_->claim({}, "", 1)).has_value());
    EXPECT_EQ(get(queue_->recover(2, 2, 9)), attempt == 1 ? 1u : 0u);
  }
  const Job job = get(queue_->find("a", make_job(1).id));
  EXPECT_EQ(job.state, JobState::kFailed);
  ASSERT_TRUE(job.error.has_value());
  EXPECT_EQ(job.error->code, ErrorCode::kJobPoisoned);
}

TEST_F(StateTest, PuttingBackDoesNotCount) {
  get(queue_->submit(make_job(1), {}));
  get(queue_->submit(make_job(2), {}));
  const Job job = *get(queue_->claim({}, "", 1));
  EXPECT_TRUE(get(queue_->put_back(job)));
  const Job again = *get(queue_->claim({}, "", 2));
  EXPECT_EQ(again.id, job.id);
  EXPECT_EQ(again.attempt, 1);
}

TEST_F(StateTest, TenantsTakeTurns) {
  for (std::uint64_t number : {1, 2, 3, 4}) get(queue_->submit(make_job(number, "a"), {}));
  get(queue_->submit(make_job(5, "c"), {}));
  get(queue_->submit(make_job(6, "c"), {}));
  get(queue_->submit(make_job(7, "b"), {}));
  // Of each of the others one more than the tenant's own jobs before it, at most.
  EXPECT_EQ(get(queue_->position(make_job(4, "a"))), 3u + 1 + 2);
  EXPECT_EQ(get(queue_->position(make_job(7, "b"))), 0u + 1 + 1);
  std::string last = "a";
  std::vector<std::string> order;
  while (const auto job = get(queue_->claim({}, last, 1))) {
    last = job->tenant;
    order.push_back(job->request_id);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"r7", "r5", "r1", "r6", "r2", "r3", "r4"}));
}

TEST_F(StateTest, AllTenantsTogetherHaveSoManyJobs) {
  const JobQuota quota{2, 0, 3};
  get(queue_->submit(make_job(1, "a"), {}, quota));
  get(queue_->submit(make_job(2, "a"), {}, quota));
  EXPECT_EQ(queue_->submit(make_job(3, "a"), {}, quota).error().code, ErrorCode::kQuota);
  get(queue_->submit(make_job(3, "b"), {}, quota));
  EXPECT_EQ(queue_->submit(make_job(4, "c"), {}, quota).error().code, ErrorCode::kServerBusy);
  get(queue_->cancel("a", make_job(1).id, 1, 100));
  get(queue_->submit(make_job(4, "c"), {}, quota));
}

TEST_F(StateTest, PreferredKeysComeFirst) {
  get(queue_->submit(make_job(1, "a", 1), {}));
  get(queue_->submit(make_job(2, "b", 2), {}));
  get(queue_->submit(make_job(3, "b", 2), {}));
  const std::vector<Digest> resident = {digest_of(2)};
  EXPECT_EQ(get(queue_->claim(resident, "", 1))->id, make_job(2).id);
  EXPECT_EQ(get(queue_->claim({}, "", 1))->id, make_job(1).id);
  EXPECT_EQ(get(queue_->claim(resident, "", 1))->id, make_job(3).id);
  EXPECT_FALSE(get(queue_->claim(resident, "", 1)).has_value());
}

TEST_F(StateTest, RepeatedRequestsAreOneJob) {
  const Idempotency promise{"8e03978e", digest_of(50)};
  const Submission first = get(queue_->submit(make_job(1), promise));
  const Submission second = get(queue_->submit(make_job(2), promise));
  EXPECT_TRUE(second.repeated);
  EXPECT_EQ(second.job.id, first.job.id);
  Idempotency other = promise;
  other.request = digest_of(51);
  EXPECT_EQ(queue_->submit(make_job(3), other).error().code, ErrorCode::kIdempotencyMismatch);
  EXPECT_FALSE(get(queue_->submit(make_job(4, "b"), other)).repeated) << "keys belong to a tenant";
  // As long as the job is there, however long it waits for its turn, and no longer.
  get(queue_->expire(1'000'000, 2'000'000));
  EXPECT_TRUE(get(queue_->submit(make_job(5), promise)).repeated);
  get(queue_->cancel("a", first.job.id, 1, 10));
  get(queue_->expire(10, 1000));
  EXPECT_FALSE(get(queue_->submit(make_job(6), other)).repeated);
}

TEST_F(StateTest, CancelledJobsStayCancelled) {
  get(queue_->submit(make_job(1), {}));
  get(queue_->submit(make_job(2), {}));
  const Job running = *get(queue_->claim({}, "", 1));
  EXPECT_EQ(queue_->cancel("b", running.id, 2, 9).error().code, ErrorCode::kJobUnknown);
  EXPECT_EQ(get(queue_->cancel("a", running.id, 2, 9)).state, JobState::kCancelled);
  EXPECT_FALSE(get(queue_->succeed(running, digest_of(1), 3, 9)));
  EXPECT_FALSE(get(queue_->fail(running, Error{ErrorCode::kInternal, "x"}, 3, 9)));
  EXPECT_EQ(get(queue_->cancel("a", make_job(2).id, 4, 9)).state, JobState::kCancelled);
  EXPECT_FALSE(get(queue_->claim({}, "", 5)).has_value());
  const QueueCounts counts = get(queue_->counts("a"));
  EXPECT_EQ(counts.kept, 2u);
  EXPECT_EQ(get(queue_->counts("b")).kept, 0u);
  EXPECT_EQ(get(queue_->counts({})).kept, 2u);
}

// A row never names bytes that are gone.
TEST_F(StateTest, ACancelledJobHasNoResult) {
  get(queue_->submit(make_job(1), {}));
  const Job job = *get(queue_->claim({}, "", 1));
  EXPECT_TRUE(get(queue_->await_client(job, digest_of(7), 2, 9)));
  EXPECT_EQ(get(queue_->cancel("a", job.id, 3, 9)).result, std::nullopt);
}

TEST_F(StateTest, AWithdrawnJobWasNeverThere) {
  const Idempotency promise{"8e03978e", digest_of(50)};
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(get(queue_->submit(make_job(1), promise)).repeated);
    if (i == 1) get(queue_->claim({}, "", 1));
    EXPECT_TRUE(queue_->withdraw("b", make_job(1).id).ok());
    EXPECT_TRUE(get(queue_->submit(make_job(1), promise)).repeated) << "it is another tenant's";
    EXPECT_TRUE(queue_->withdraw("a", make_job(1).id).ok());
    EXPECT_EQ(queue_->find("a", make_job(1).id).error().code, ErrorCode::kJobUnknown);
  }
}

TEST_F(StateTest, ErrorsComeBackWithTheirCode) {
  get(queue_->submit(make_job(1), {}));
  const Job job = *get(queue_->claim({}, "", 1));
  EXPECT_TRUE(get(queue_->fail(job, Error{ErrorCode::kResidueOutOfRange, "a residue"}, 3, 9)));
  open();
  const Job failed = get(queue_->find("a", job.id));
  EXPECT_EQ(failed.error->code, ErrorCode::kResidueOutOfRange);
  EXPECT_EQ(failed.error->message, "a residue");
  EXPECT_FALSE(get(queue_->remove("b", job.id).ok() ? queue_->remove("b", job.id) : Result<bool>(false)));
  EXPECT_TRUE(get(queue_->remove("a", job.id)));
}

TEST_F(StateTest, AForeignOrNewerFileIsRefused) {
  std::ofstream(folder_.path() / "text.db") << std::string(5000, 'x');
  EXPECT_EQ(Database::open(folder_.path() / "text.db").error().code, ErrorCode::kStateCorrupt);
  EXPECT_EQ(Database::open("/nonexistent/x.db").error().code, ErrorCode::kStateFailed);
  {
    SQLite::Database newer((folder_.path() / "newer.db").string(),
                           SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    newer.exec("PRAGMA user_version = 1000");
  }
  EXPECT_EQ(Database::open(folder_.path() / "newer.db").error().code, ErrorCode::kStateVersion);
}

TEST_F(StateTest, ACopyIsWhole) {
  for (std::uint64_t i = 0; i < 100; ++i) get(queue_->submit(make_job(i), {}));
  ASSERT_TRUE(database_->copy_to(folder_.path() / "copy.db").ok());
  const std::shared_ptr<Database> copy = get(Database::open(folder_.path() / "copy.db"));
  EXPECT_TRUE(get(copy->check()).empty());
  EXPECT_EQ(get(make_sqlite_queue(copy)->jobs()).size(), 100u);
}

TEST(Blobs, ComeBackAndGo) {
  const TemporaryFolder folder;
  auto blobs = FolderBlobs::open(folder.path() / "blobs");
  ASSERT_TRUE(blobs.ok());
  const BlobName piece{"a", BlobKind::kPiece, "00ff"}, result{"b", BlobKind::kResult, "00ff"};
  const Bytes bytes = {1, 2, 3};
  ASSERT_TRUE((*blobs)->put(piece, bytes).ok());
  ASSERT_TRUE((*blobs)->put(result, Bytes{}).ok());
  EXPECT_EQ(*(*blobs)->get(piece, 3), bytes);
  EXPECT_EQ((*blobs)->get(piece, 2).error().code, ErrorCode::kDataTooLarge);
  EXPECT_EQ((*blobs)->get({"b", BlobKind::kPiece, "00ff"}, 3).error().code, ErrorCode::kFileNotFound);
  EXPECT_EQ(*(*blobs)->list(), (std::vector<BlobName>{piece, result}));
  EXPECT_TRUE((*blobs)->remove(piece).ok());
  EXPECT_TRUE((*blobs)->remove(piece).ok());
  EXPECT_EQ(*(*blobs)->list(), std::vector<BlobName>{result});
}

TEST(Blobs, NamesCannotLeaveTheFolder) {
  const TemporaryFolder folder;
  auto blobs = FolderBlobs::open(folder.path() / "blobs");
  ASSERT_TRUE(blobs.ok());
  for (const BlobName& name :
       {BlobName{"..", BlobKind::kPiece, "00"}, BlobName{"a", BlobKind::kPiece, "../../x"},
        BlobName{"a/b", BlobKind::kPiece, "00"}, BlobName{"", BlobKind::kPiece, "00"},
        BlobName{"a", BlobKind::kPiece, ""}})
    EXPECT_FALSE((*blobs)->put(name, Bytes{1}).ok());
  EXPECT_TRUE((*blobs)->list()->empty());
}

TEST(Blobs, UnfinishedFilesAreRemovedAtTheStart) {
  const TemporaryFolder folder;
  {
    auto blobs = FolderBlobs::open(folder.path() / "blobs");
    ASSERT_TRUE((*blobs)->put({"a", BlobKind::kPiece, "00"}, Bytes{1}).ok());
  }
  const auto unfinished = folder.path() / "blobs/a/pieces/.01.abcdef";
  std::ofstream(unfinished) << "half";
  auto blobs = FolderBlobs::open(folder.path() / "blobs");
  EXPECT_FALSE(std::filesystem::exists(unfinished));
  EXPECT_EQ((*blobs)->list()->size(), 1u);
}

}  // namespace
}  // namespace tacit::server
