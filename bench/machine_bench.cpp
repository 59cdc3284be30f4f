// SPDX-License-Identifier: Apache-2.0
// What the machine can do whoever asks: the rate at which it reads blocks of different sizes, and its clock.
#include <algorithm>
#include <chrono>
#include <limits>

#include "suite.h"

namespace tacit::bench {
namespace {

using ring::u64;

// From within the second-level cache to far beyond the last.
constexpr int kMinLogBytes = 16, kMaxLogBytes = 28;

// With the widest vectors that there are; four sums, so that no addition waits for the one before.
__attribute__((target_clones("default", "avx2", "avx512f"))) u64 sum(const u64* words, std::size_t n) {
  constexpr std::size_t kLanes = 32;
  u64 sums[kLanes] = {};
  for (std::size_t i = 0; i < n; i += kLanes)
    for (std::size_t j = 0; j < kLanes; ++j) sums[j] += words[i + j];
  u64 total = 0;
  for (u64 part : sums) total += part;
  return total;
}

}  // namespace

double clock_ghz() {
  constexpr int kAdditions = 1 << 18, kRuns = 5;
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    u64 x = 0, step = 1;
    asm volatile("" : "+r"(step));
    for (int i = 0; i < kAdditions / 16; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < 16; ++j) {
        x += step;
        asm volatile("" : "+r"(x));  // or they would become one
      }
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return kAdditions / best;
}

void register_machine() {
  for (int log_bytes = kMinLogBytes; log_bytes <= kMaxLogBytes; ++log_bytes) {
    add("read/" + std::to_string(log_bytes), [log_bytes](benchmark::State& state) {
      static const AlignedVector<u64> words((std::size_t{1} << kMaxLogBytes) / sizeof(u64), 1);
      const std::size_t bytes = std::size_t{1} << log_bytes;
      for (auto _ : state) benchmark::DoNotOptimize(sum(words.data(), bytes / sizeof(u64)));
      count_bytes(state, bytes);
    })->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace tacit::bench
