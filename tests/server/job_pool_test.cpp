// SPDX-License-Identifier: Apache-2.0
#include "server/job_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace tacit::server {
namespace {

TEST(JobPool, DoesEveryJobOnce) {
  std::atomic<int> sum = 0;
  {
    JobPool pool(3, 1000);
    for (int i = 1; i <= 1000; ++i) {
      while (!pool.submit([&sum, i] { sum += i; })) std::this_thread::yield();
    }
  }
  EXPECT_EQ(sum, 500'500);
}

TEST(JobPool, RefusesWhatDoesNotFitTheQueue) {
  std::promise<void> go, started;
  std::shared_future<void> gate = go.get_future().share();
  JobPool pool(1, 2);
  std::atomic<int> done = 0;
  ASSERT_TRUE(pool.submit([&, gate] {
    started.set_value();
    gate.wait();
    ++done;
  }));
  started.get_future().wait();
  EXPECT_TRUE(pool.submit([&] { ++done; }));
  EXPECT_TRUE(pool.submit([&] { ++done; }));
  EXPECT_FALSE(pool.submit([&] { done += 100; }));
  EXPECT_EQ(pool.waiting(), 2u);
  go.set_value();
  pool.stop();
  EXPECT_EQ(done, 3);
  EXPECT_FALSE(pool.submit([&] { done += 100; }));
  pool.stop();
  EXPECT_EQ(done, 3);
}

}  // namespace
}  // namespace tacit::server
