// SPDX-License-Identifier: Apache-2.0
// Words at the ends of their range, and the fixture of tests that every implementation of the kernels must pass.
#pragma once

#include <gtest/gtest.h>

#include <random>

#include "base/aligned.h"
#include "ring/kernels/kernels.h"
#include "support/seed.h"

namespace tacit::test {

using ring::u64;
using Words = AlignedVector<u64>;

// Random residues, all zero, all q - 1, and alternating extremes.
enum class Pattern { kRandom, kZero, kLargest, kAlternating };
inline constexpr Pattern kPatterns[] = {Pattern::kRandom, Pattern::kZero, Pattern::kLargest,
                                        Pattern::kAlternating};

inline Words make_words(Pattern pattern, std::size_t n, u64 limit, std::mt19937_64& random) {
  Words words(n);
  for (std::size_t i = 0; i < n; ++i) {
    switch (pattern) {
      case Pattern::kRandom:
        words[i] = random() % limit;
        break;
      case Pattern::kZero:
        words[i] = 0;
        break;
      case Pattern::kLargest:
        words[i] = limit - 1;
        break;
      case Pattern::kAlternating:
        words[i] = i % 2 ? limit - 1 : 0;
        break;
    }
  }
  return words;
}

// One parameter: the position of the kernels in all_kernels().
class EveryKernel : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (!tested().available()) GTEST_SKIP() << tested().name << " is not available on this machine";
  }
  const ring::Kernels& tested() const { return *ring::all_kernels()[GetParam()]; }
};

inline std::string kernel_name(const testing::TestParamInfo<std::size_t>& instance) {
  return ring::all_kernels()[instance.param]->name;
}

}  // namespace tacit::test
