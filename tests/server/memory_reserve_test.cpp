// SPDX-License-Identifier: Apache-2.0
#include "server/memory_reserve.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "support/seed.h"

namespace tacit::server {
namespace {

using test::kSeed;

TEST(MemoryReserve, HasNothingUntilItWasPutBy) {
  MemoryReserve reserve;
  EXPECT_EQ(reserve.take(1), nullptr);
  EXPECT_FALSE(reserve.owns(&reserve));
  EXPECT_FALSE(reserve.owns(nullptr));
}

TEST(MemoryReserve, GivesEveryBlockOnceAndAgainWhenItCameBack) {
  static MemoryReserve reserve;  // as its memory is never given back
  reserve.put_by();
  std::size_t blocks = 0;
  for (const auto& shelf : MemoryReserve::kShelves) blocks += shelf.blocks;
  for (int round = 0; round < 2; ++round) {
    std::map<void*, std::size_t> taken;
    // Small ones take larger blocks when theirs are gone.
    while (void* block = reserve.take(16)) {
      EXPECT_TRUE(taken.try_emplace(block, taken.size()).second);
      ASSERT_TRUE(reserve.owns(block));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t), 0u);
    }
    EXPECT_EQ(taken.size(), blocks);
    for (const auto& [block, number] : taken) reserve.give_back(block);
  }
  EXPECT_EQ(reserve.uses(), 2 * blocks);
  EXPECT_EQ(reserve.take(MemoryReserve::kMaxBytes + 1), nullptr);
}

TEST(MemoryReserve, BlocksDoNotOverlap) {
  static MemoryReserve reserve;  // as its memory is never given back
  reserve.put_by();
  std::printf("seed %lu\n", kSeed);
  std::mt19937 random(kSeed);
  struct Block {
    unsigned char* at;
    std::size_t bytes;
    unsigned char mark;
  };
  std::vector<Block> taken;
  const auto whole = [](const Block& block) {
    for (std::size_t i = 0; i < block.bytes; ++i)
      if (block.at[i] != block.mark) return false;
    return true;
  };
  for (int i = 0; i < 20'000; ++i) {
    if (!taken.empty() && random() % 2 == 0) {
      const std::size_t which = random() % taken.size();
      ASSERT_TRUE(whole(taken[which])) << "step " << i;
      reserve.give_back(taken[which].at);
      taken[which] = taken.back();
      taken.pop_back();
      continue;
    }
    const std::size_t bytes = std::size_t{1} << (random() % 17);
    auto* at = static_cast<unsigned char*>(reserve.take(bytes));
    if (at == nullptr) continue;
    const auto mark = static_cast<unsigned char>(random());
    std::memset(at, mark, bytes);
    taken.push_back({at, bytes, mark});
  }
  for (const Block& block : taken) ASSERT_TRUE(whole(block));
}

TEST(MemoryReserve, ThreadsDoNotMeet) {
  static MemoryReserve reserve;  // as its memory is never given back
  reserve.put_by();
  std::vector<std::thread> threads;
  for (unsigned char mark = 1; mark <= 4; ++mark) {
    threads.emplace_back([mark] {
      for (int i = 0; i < 20'000; ++i) {
        auto* at = static_cast<unsigned char*>(reserve.take(200));
        ASSERT_NE(at, nullptr);
        std::memset(at, mark, 200);
        for (int k = 0; k < 200; ++k) ASSERT_EQ(at[k], mark);
        reserve.give_back(at);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tacit::server
