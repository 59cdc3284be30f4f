// SPDX-License-Identifier: Apache-2.0
// Whether samples have the distribution that they should: Pearson's chi-squared test against exact probabilities.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace tacit::test {

// Each value with its probability.
using Distribution = std::map<int, double>;

// 0 .. count - 1, all alike.
inline Distribution uniform_distribution(int count) {
  Distribution distribution;
  for (int value = 0; value < count; ++value) distribution[value] = 1.0 / count;
  return distribution;
}

inline Distribution ternary_distribution() { return {{-1, 1.0 / 3}, {0, 1.0 / 3}, {1, 1.0 / 3}}; }

// The difference of the weights of two strings of k bits: C(2k, k + x) / 4^k.
inline Distribution centred_binomial(int k) {
  Distribution distribution;
  for (int x = -k; x <= k; ++x) {
    distribution[x] = std::exp(std::lgamma(2 * k + 1) - std::lgamma(k + x + 1) - std::lgamma(k - x + 1) -
                               2 * k * std::log(2));
  }
  return distribution;
}

// The statistic's upper bound at about p = 10^-6 (Wilson and Hilferty's approximation).
inline double chi_squared_limit(double freedom) {
  const double z = 4.75, h = 2.0 / (9.0 * freedom);
  return freedom * std::pow(1 - h + z * std::sqrt(h), 3);
}

// Values that are expected fewer than ten times count as one.
template <class Key>
void expect_counts(const std::map<Key, double>& counts, const std::map<Key, double>& probabilities,
                   double total, const std::string& what) {
  double statistic = 0, rare_expected = 0, rare_counted = 0;
  int cells = 0;
  const auto add = [&](double expected, double counted) {
    statistic += (counted - expected) * (counted - expected) / expected;
    ++cells;
  };
  for (const auto& [key, probability] : probabilities) {
    const auto found = counts.find(key);
    const double expected = probability * total, counted = found == counts.end() ? 0 : found->second;
    if (expected >= 10) {
      add(expected, counted);
    } else {
      rare_expected += expected;
      rare_counted += counted;
    }
  }
  if (rare_expected >= 1) add(rare_expected, rare_counted);
  EXPECT_LT(statistic, chi_squared_limit(cells - 1)) << what << ", " << cells << " cells";
}

// The values, and their pairs of neighbours, which are independent.
template <class Values>
void expect_distributed(const Values& values, const Distribution& distribution, const std::string& what) {
  std::map<int, double> counts;
  std::map<std::pair<int, int>, double> pairs, pair_probabilities;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int value = static_cast<int>(values[i]);
    ASSERT_TRUE(distribution.contains(value)) << what << ": " << value;
    ++counts[value];
    if (i % 2 == 1) ++pairs[{static_cast<int>(values[i - 1]), value}];
  }
  const auto total = static_cast<double>(values.size());
  expect_counts(counts, distribution, total, what);
  if (distribution.size() > 64) return;
  for (const auto& [a, p] : distribution) {
    for (const auto& [b, r] : distribution) pair_probabilities[{a, b}] = p * r;
  }
  expect_counts(pairs, pair_probabilities, std::floor(total / 2), what + ", pairs");
}

}  // namespace tacit::test
