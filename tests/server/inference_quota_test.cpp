// SPDX-License-Identifier: Apache-2.0
// Predictions within a sliding day, on a real database.
#include "server/inference_quota.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <random>
#include <thread>

#include "server/state/database.h"
#include "server/state/sqlite_ledger.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

constexpr Time kHour = Time{3600} * 1000;
// Not the start of a slice.
constexpr Time kStart = Time{1800000000} * 1000 + 123456;

class InferenceQuotaTest : public testing::Test {
 protected:
  InferenceQuotaTest() { open(); }
  void open() {
    ledger_.reset();
    auto database = Database::open(folder_.path() / "tacit.db");
    ASSERT_TRUE(database.ok()) << database.error().to_line();
    ledger_ = make_sqlite_ledger(std::move(database).value());
  }
  // 0 where it was counted, else the seconds to wait; -1 where waiting does not help.
  int take(std::uint64_t limit, Time now, std::uint64_t images = 1, std::string_view tenant = "clinic") {
    InferenceQuota quota(*ledger_, limit);
    int retry_after = -7;
    const auto charge = quota.take(tenant, images, now, retry_after);
    if (charge.ok()) {
      EXPECT_EQ(retry_after, 0);
      (*charge)->keep();
      return 0;
    }
    EXPECT_EQ(charge.error().code, ErrorCode::kQuota) << charge.error().to_line();
    return retry_after == 0 ? -1 : retry_after;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(InferenceQuotaTest, WithoutALimitNothingIsCounted) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(take(0, kStart, 1000), 0);
  EXPECT_EQ(take(1, kStart), 0);
}

TEST_F(InferenceQuotaTest, LetsSoManyThroughWithinAnyDay) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(take(3, kStart + i * kHour), 0) << i;
  const int wait = take(3, kStart + 3 * kHour);
  ASSERT_GT(wait, 0);
  // The first one is a day old after 21 more hours; its slice may take another five minutes.
  EXPECT_GE(wait, 21 * 3600);
  EXPECT_LE(wait, 21 * 3600 + kInferenceSlice / 1000 + 1);
  EXPECT_GT(take(3, kStart + 3 * kHour + Time{wait} * 1000 - 2000), 0);
  EXPECT_EQ(take(3, kStart + 3 * kHour + Time{wait} * 1000), 0);
  EXPECT_GT(take(3, kStart + 3 * kHour + Time{wait} * 1000), 0) << "one slice was forgotten, not all";
}

TEST_F(InferenceQuotaTest, CountsABatchAsItsImages) {
  EXPECT_EQ(take(10, kStart, 6), 0);
  EXPECT_GT(take(10, kStart, 5), 0) << "refused whole, and not counted";
  EXPECT_EQ(take(10, kStart, 4), 0);
  EXPECT_EQ(take(10, kStart, 11), -1) << "never fits";
}

TEST_F(InferenceQuotaTest, WhatWasRefusedAfterAllIsGivenBack) {
  InferenceQuota quota(*ledger_, 10);
  int retry_after = 0;
  {
    const auto charge = quota.take("clinic", 6, kStart, retry_after);
    ASSERT_TRUE(charge.ok());
    EXPECT_GT(take(10, kStart, 5), 0) << "counted until then";
  }
  EXPECT_EQ(take(10, kStart, 10), 0);
}

TEST_F(InferenceQuotaTest, TenantsDoNotShareIt) {
  EXPECT_EQ(take(1, kStart), 0);
  EXPECT_EQ(take(1, kStart, 1, "other"), 0);
  EXPECT_GT(take(1, kStart), 0);
}

TEST_F(InferenceQuotaTest, SurvivesARestart) {
  EXPECT_EQ(take(1, kStart), 0);
  open();
  EXPECT_GT(take(1, kStart + 1), 0);
}

// Beside a window kept exactly: never more than the limit within 24 hours, and room at the latest a slice after it would have
// been there.
TEST_F(InferenceQuotaTest, NeverLetsThroughMoreThanTheLimit) {
  constexpr std::uint64_t kSeed = 5, kLimit = 20;
  std::mt19937_64 random(kSeed);
  std::deque<Time> taken;
  Time now = kStart;
  int refused = 0;
  for (int i = 0; i < 600; ++i) {
    now += std::uniform_int_distribution<Time>(0, 2 * kHour)(random);
    const std::uint64_t images = std::uniform_int_distribution<std::uint64_t>(1, 3)(random);
    const auto within = [&](Time window) {
      return static_cast<std::uint64_t>(
          std::ranges::count_if(taken, [&](Time t) { return t > now - window; }));
    };
    const bool let = take(kLimit, now, images) == 0;
    refused += let ? 0 : 1;
    if (let) {
      EXPECT_LE(within(kDay) + images, kLimit) << "seed " << kSeed << ", step " << i;
      for (std::uint64_t k = 0; k < images; ++k) taken.push_back(now);
    } else {
      EXPECT_GT(within(kDay + kInferenceSlice) + images, kLimit) << "seed " << kSeed << ", step " << i;
    }
  }
  EXPECT_GT(refused, 20);
}

TEST_F(InferenceQuotaTest, ThreadsDoNotPassTogether) {
  InferenceQuota quota(*ledger_, 10);
  std::atomic<int> passed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      int retry_after = 0;
      for (int i = 0; i < 10; ++i) {
        const auto charge = quota.take("clinic", 1, kStart, retry_after);
        if (!charge.ok()) continue;
        (*charge)->keep();
        ++passed;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed, 10);
}

// A state folder of the release before, with its first schema only.
TEST(Schema, AnOlderOneIsBroughtForward) {
  const TemporaryFolder folder;
  {
    auto database = Database::open(folder.path() / "tacit.db");
    ASSERT_TRUE(database.ok());
  }
  {
    SQLite::Database older((folder.path() / "tacit.db").string(), SQLite::OPEN_READWRITE);
    older.exec("DROP TABLE inference");
    older.exec("DROP TABLE part");
    older.exec("ALTER TABLE idempotency ADD COLUMN expires INTEGER NOT NULL DEFAULT 0");
    older.exec("DROP INDEX job_turn");
    older.exec("CREATE INDEX job_state ON job (state, number)");
    older.exec("PRAGMA user_version = 1");
  }
  auto database = Database::open(folder.path() / "tacit.db");
  ASSERT_TRUE(database.ok()) << database.error().to_line();
  const std::unique_ptr<Ledger> ledger = make_sqlite_ledger(std::move(database).value());
  EXPECT_TRUE(ledger->count_inferences("clinic", 1, 1, kStart).ok());
}

}  // namespace
}  // namespace tacit::server
