// SPDX-License-Identifier: Apache-2.0
#include "base/block_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

#include "base/aligned.h"

namespace tacit {
namespace {

TEST(BlockPool, KeepsBlocksAndHandsThemOutAgain) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "blocks are not kept under the address sanitizer";
#endif
  const std::size_t bytes = (std::size_t{3} << 14) + 64;
  void* first = allocate_block(bytes);
  const std::size_t before = kept_block_bytes();
  free_block(first, bytes);
  EXPECT_EQ(kept_block_bytes(), before + bytes);
  EXPECT_EQ(allocate_block(bytes), first);
  EXPECT_EQ(kept_block_bytes(), before);
  free_block(first, bytes);
}

TEST(BlockPool, SmallBlocksServeAllSizesOfTheirCacheLines) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "blocks are not kept under the address sanitizer";
#endif
  void* first = allocate_block(65);
  free_block(first, 65);
  void* again = allocate_block(128);
  EXPECT_EQ(again, first);
  free_block(again, 128);
}

TEST(BlockPool, KeepsNoMoreThanItsLimit) {
  const std::size_t bytes = kMaxKeptBytes / 2 + 1;
  void* a = allocate_block(bytes);
  void* b = allocate_block(bytes);
  free_block(a, bytes);
  free_block(b, bytes);
  EXPECT_LE(kept_block_bytes(), kMaxKeptBytes);
}

TEST(BlockPool, GivesBackWhatWasNotUsedForTheLongestTime) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "blocks are not kept under the address sanitizer";
#endif
  // Three sizes that do not fit together: the one that came first goes, unless it was used since.
  const std::size_t sizes[] = {kMaxKeptBytes / 2 - 64, kMaxKeptBytes / 2 - 128, kMaxKeptBytes / 2 - 192};
  const auto keeps = [](std::size_t bytes) {
    const std::size_t before = kept_block_bytes();
    void* block = allocate_block(bytes);
    const bool kept = kept_block_bytes() < before;
    free_block(block, bytes);
    return kept;
  };
  for (std::size_t bytes : sizes) free_block(allocate_block(bytes), bytes);
  EXPECT_TRUE(keeps(sizes[1]));
  EXPECT_TRUE(keeps(sizes[2]));
  EXPECT_TRUE(keeps(sizes[1]));
  free_block(allocate_block(sizes[0]), sizes[0]);
  EXPECT_TRUE(keeps(sizes[0]));
  EXPECT_TRUE(keeps(sizes[1]));
}

TEST(BlockPool, BlocksAreAlignedAndDistinctAcrossThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int round = 0; round < 200; ++round) {
        AlignedVector<std::uint64_t> v(4096 + static_cast<std::size_t>(round % 3));
        ASSERT_EQ(reinterpret_cast<std::uintptr_t>(v.data()) % kCacheLine, 0u);
        for (auto& x : v) x = static_cast<std::uint64_t>(t);
        for (auto x : v) ASSERT_EQ(x, static_cast<std::uint64_t>(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tacit
