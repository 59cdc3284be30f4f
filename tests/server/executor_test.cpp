// SPDX-License-Identifier: Apache-2.0
#include "server/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <random>

namespace tacit::server {
namespace {

using Limits = Executor::Limits;

// Something that tasks wait for, so that a test decides when they end.
struct Barrier {
  std::promise<void> opened;
  std::shared_future<void> open{opened.get_future()};
};

// Waits until `condition` holds; false after a time that is far too long.
template <class F>
bool eventually(const F& condition) {
  for (int i = 0; i < 3000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return condition();
}

TEST(Executor, RunsTheOldestFirstButNeighboursOfOneGroupTogether) {
  Executor executor(Limits{1, 100, 64});
  Barrier barrier;
  std::mutex mutex;
  std::string order;
  const auto submit = [&](const std::string& group) {
    return executor.submit({group, 1, [&, group] {
                              const std::lock_guard lock(mutex);
                              order += group;
                            }});
  };
  ASSERT_TRUE(executor.submit({"a", 1, [&] { barrier.open.wait(); }}).ok());
  ASSERT_TRUE(eventually([&] { return executor.load().running == 1; }));
  for (const char* group : {"b", "a", "b", "c", "a"}) ASSERT_TRUE(submit(group).ok());
  barrier.opened.set_value();
  executor.stop();
  EXPECT_EQ(order, "aabbc");
}

TEST(Executor, AGroupDoesNotKeepOthersOut) {
  Executor executor(Limits{1, 100, 64});
  Barrier barrier;
  std::mutex mutex;
  std::string order;
  ASSERT_TRUE(executor.submit({"a", 1, [&] { barrier.open.wait(); }}).ok());
  ASSERT_TRUE(eventually([&] { return executor.load().running == 1; }));
  for (const std::string group : {"b", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a"})
    ASSERT_TRUE(executor
                    .submit({group, 1,
                             [&, group] {
                               const std::lock_guard lock(mutex);
                               order += group;
                             }})
                    .ok());
  barrier.opened.set_value();
  executor.stop();
  // Eight in a row, the one that held the line included.
  EXPECT_EQ(order, "aaaaaaabaaa");
}

TEST(Executor, RefusesWhatNeverFitsAndWhatFindsTheLineFull) {
  Executor executor(Limits{1, 100, 4});
  EXPECT_EQ(executor.submit({"a", 101, [] {}}).error().code, ErrorCode::kMemoryLimit);
  EXPECT_EQ(executor.admits(101).error().code, ErrorCode::kMemoryLimit);
  EXPECT_TRUE(executor.admits(100).ok());
  Barrier barrier;
  ASSERT_TRUE(executor.submit({"a", 1, [&] { barrier.open.wait(); }}).ok());
  ASSERT_TRUE(eventually([&] { return executor.load().running == 1; }));
  EXPECT_TRUE(executor.submit({"a", 1, [] {}}).ok());
  EXPECT_TRUE(executor.submit({"a", 1, [] {}}).ok());
  EXPECT_EQ(executor.submit({"a", 1, [] {}}).error().code, ErrorCode::kServerBusy);
  EXPECT_EQ(executor.load().waiting, 2u);
  barrier.opened.set_value();
  executor.stop();
  EXPECT_EQ(executor.submit({"a", 1, [] {}}).error().code, ErrorCode::kServerBusy);
}

// However much one asks for, there is room for the next one.
TEST(Executor, NobodyFillsTheLine) {
  Executor executor(Limits{1, 100, 16});
  Barrier barrier;
  ASSERT_TRUE(executor.submit({"a", 1, [&] { barrier.open.wait(); }}).ok());
  ASSERT_TRUE(eventually([&] { return executor.load().running == 1; }));
  std::map<std::string, int> taken;
  for (const std::string tenant : {"a", "b", "c", "d"})
    for (int i = 0; i < 16; ++i) taken[tenant] += executor.submit({tenant, 1, [] {}, nullptr, tenant}).ok();
  EXPECT_EQ(taken, (std::map<std::string, int>{{"a", 8}, {"b", 4}, {"c", 2}, {"d", 1}}));
  barrier.opened.set_value();
  executor.stop();
}

TEST(Executor, TenantsTakeTurns) {
  Executor executor(Limits{1, 100, 64});
  Barrier barrier;
  std::mutex mutex;
  std::string order;
  ASSERT_TRUE(executor.submit({"x", 1, [&] { barrier.open.wait(); }, nullptr, "b"}).ok());
  ASSERT_TRUE(eventually([&] { return executor.load().running == 1; }));
  int number = 0;
  for (const std::string tenant : {"a", "a", "a", "c", "c", "b"})
    ASSERT_TRUE(executor
                    .submit({"group" + std::to_string(++number), 1,
                             [&, tenant] {
                               const std::lock_guard lock(mutex);
                               order += tenant;
                             },
                             nullptr, tenant})
                    .ok());
  barrier.opened.set_value();
  executor.stop();
  EXPECT_EQ(order, "cabcaa");
}

// Random tasks on four cores: neither cores nor bytes are ever given twice, and all tasks run.
TEST(Executor, NeverPromisesTheSameCoreOrByteTwice) {
  constexpr std::uint32_t kSeed = 5;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  Executor executor(Limits{4, 100, 10'000});
  std::atomic<std::uint64_t> bytes = 0, most_bytes = 0;
  std::atomic<int> running = 0, most_running = 0, done = 0;
  std::atomic<std::size_t> most_cores = 0;
  const auto raise = [](auto& most, auto value) {
    auto seen = most.load();
    while (seen < value && !most.compare_exchange_weak(seen, value)) {}
  };
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t size = random() % 60;
    ASSERT_TRUE(executor
                    .submit({std::string(1, static_cast<char>('a' + random() % 3)), size,
                             [&, size] {
                               raise(most_bytes, bytes += size);
                               raise(most_running, ++running);
                               raise(most_cores, executor.load().cores);
                               std::this_thread::sleep_for(std::chrono::microseconds(200));
                               bytes -= size;
                               --running;
                               ++done;
                             }})
                    .ok());
  }
  executor.stop();
  EXPECT_EQ(done, 400);
  EXPECT_LE(most_bytes, 100u);
  EXPECT_GT(most_running, 1);
  EXPECT_LE(most_running, 4);
  EXPECT_LE(most_cores, 4u);
  EXPECT_EQ(executor.load().bytes, 0u);
}

TEST(Executor, ASourceGetsEverySecondTurn) {
  Executor executor(Limits{1, 100, 64});
  Barrier barrier;
  std::mutex mutex;
  std::string order;
  const auto task = [&](const std::string& group) {
    return Task{group, 1, [&, group] {
                  const std::lock_guard lock(mutex);
                  order += group;
                }};
  };
  int left = 3;
  executor.set_source([&](const std::string&) -> std::optional<Task> {
    if (left == 0) return std::nullopt;
    return --left, task("s");
  });
  ASSERT_TRUE(executor.submit({"x", 1, [&] { barrier.open.wait(); }}).ok());
  ASSERT_TRUE(eventually([&] { return executor.load().running == 1; }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(executor.submit(task("a")).ok());
  executor.wake();
  barrier.opened.set_value();
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return order.size() == 8;
  }));
  executor.stop();
  EXPECT_EQ(order, "sasasaaa");
}

// A source that fills up while it is asked, and wakes at any time, is emptied in the end.
TEST(Executor, NoWakeIsLost) {
  Executor executor(Limits{3, 100, 64});
  std::atomic<int> waiting = 0, done = 0;
  executor.set_source([&](const std::string&) -> std::optional<Task> {
    int seen = waiting;
    while (seen > 0 && !waiting.compare_exchange_weak(seen, seen - 1)) {}
    if (seen == 0) return std::nullopt;
    return Task{"s", 1, [&] { ++done; }};
  });
  constexpr int kTasks = 3000;
  for (int i = 0; i < kTasks; ++i) {
    ++waiting;
    executor.wake();
    if (i % 7 == 0) std::this_thread::yield();
  }
  EXPECT_TRUE(eventually([&] { return done == kTasks; })) << done;
  executor.stop();
}

TEST(Executor, ExpectsAWaitOnlyWhereOthersWait) {
  Executor executor(Limits{1, 100, 64});
  EXPECT_EQ(executor.expected_wait().count(), 0);
  std::promise<void> ran;
  ASSERT_TRUE(executor
                  .submit({"a", 1,
                           [&] {
                             std::this_thread::sleep_for(std::chrono::milliseconds(20));
                             ran.set_value();
                           }})
                  .ok());
  ran.get_future().wait();
  ASSERT_TRUE(eventually([&] { return executor.load().running == 0; })) << "its time is counted with its end";
  Barrier barrier;
  ASSERT_TRUE(executor.submit({"a", 1, [&] { barrier.open.wait(); }}).ok());
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(executor.submit({"a", 1, [] {}}).ok());
  EXPECT_GE(executor.expected_wait().count(), 100);
  barrier.opened.set_value();
  executor.stop();
}

TEST(Executor, KnowsHowLongATaskHasBeenSilent) {
  Executor executor(Limits{2, 100, 64});
  EXPECT_EQ(executor.silence().count(), 0);
  Barrier barrier;
  const auto hanging = std::make_shared<Pulse>(), brisk = std::make_shared<Pulse>();
  std::atomic<bool> end = false;
  ASSERT_TRUE(executor.submit({"a", 1, [&] { barrier.open.wait(); }, hanging}).ok());
  ASSERT_TRUE(executor
                  .submit({"b", 1,
                           [&] {
                             while (!end) brisk->beat();
                           },
                           brisk})
                  .ok());
  // That another one gets on does not hide the one that hangs.
  EXPECT_TRUE(eventually([&] { return executor.silence() > std::chrono::milliseconds(50); }));
  barrier.opened.set_value();
  EXPECT_TRUE(eventually([&] { return executor.load().running == 1; }));
  EXPECT_GE(brisk->last(), hanging->last());
  end = true;
  EXPECT_TRUE(eventually([&] { return executor.load().running == 0; }));
  EXPECT_EQ(executor.silence().count(), 0);
  // Nobody looks at a task without a pulse.
  ASSERT_TRUE(executor.submit({"a", 1, [] {}}).ok());
  executor.stop();
}

}  // namespace
}  // namespace tacit::server
