// SPDX-License-Identifier: Apache-2.0
#include "client/stratified.h"
#include "support/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace tacit::client {
namespace {

using test::kSeed;

std::vector<std::uint32_t> random_labels(std::mt19937_64& random, std::size_t rows, std::size_t classes) {
  std::vector<std::uint32_t> labels(rows);
  // Classes of quite different sizes.
  for (std::uint32_t& label : labels)
    label = static_cast<std::uint32_t>(std::min(random() % classes, random() % classes));
  return labels;
}

std::map<std::uint32_t, std::size_t> counts(std::span<const std::uint32_t> labels,
                                            std::span<const std::size_t> rows) {
  std::map<std::uint32_t, std::size_t> result;
  for (std::size_t row : rows) ++result[labels[row]];
  return result;
}

TEST(StratifiedSplit, HoldsOutTheShareOfEachClass) {
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t rows = 1 + random() % 300, classes = 1 + random() % 12;
    const double share = static_cast<double>(random() % 95) / 100;
    SCOPED_TRACE("seed " + std::to_string(kSeed) + ", round " + std::to_string(round));
    const std::vector<std::uint32_t> labels = random_labels(random, rows, classes);
    const Split split = stratified_split(labels, classes, share, random());

    std::vector<std::size_t> all = split.training;
    all.insert(all.end(), split.held_out.begin(), split.held_out.end());
    EXPECT_TRUE(std::ranges::is_sorted(split.training) && std::ranges::is_sorted(split.held_out));
    std::ranges::sort(all);
    ASSERT_EQ(all.size(), rows);
    for (std::size_t i = 0; i < rows; ++i) ASSERT_EQ(all[i], i);

    auto held = counts(labels, split.held_out), kept = counts(labels, split.training);
    std::size_t never_last = 0;
    for (const auto& [label, count] : counts(labels, all)) {
      EXPECT_GE(kept[label], 1u);
      EXPECT_LE(std::abs(static_cast<double>(held[label]) - share * static_cast<double>(count)), 1);
      never_last += kept[label] == 1;
    }
    const double off =
        std::round(share * static_cast<double>(rows)) - static_cast<double>(split.held_out.size());
    EXPECT_GE(off, 0);
    EXPECT_LE(off, static_cast<double>(never_last)) << "only the last row of a class is spared";
  }
}

TEST(StratifiedSplit, TheSeedAloneDecides) {
  std::mt19937_64 random(kSeed);
  const std::vector<std::uint32_t> labels = random_labels(random, 100, 3);
  const Split first = stratified_split(labels, 3, 0.2, 5);
  EXPECT_EQ(first.held_out, stratified_split(labels, 3, 0.2, 5).held_out);
  EXPECT_NE(first.held_out, stratified_split(labels, 3, 0.2, 6).held_out);
  EXPECT_EQ(first.held_out.size(), 20u);
  EXPECT_TRUE(stratified_split(labels, 3, 0, 5).held_out.empty());
}

TEST(StratifiedParts, AreOfOneSizeInAllAndInEachClass) {
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 100; ++round) {
    const std::size_t rows = 1 + random() % 200, classes = 1 + random() % 6, parts = 1 + random() % 7;
    const std::vector<std::uint32_t> labels = random_labels(random, rows, classes);
    const std::vector<std::size_t> part = stratified_parts(labels, classes, parts, random());
    ASSERT_EQ(part.size(), rows);
    std::vector<std::vector<std::size_t>> sizes(classes + 1, std::vector<std::size_t>(parts));
    for (std::size_t i = 0; i < rows; ++i) {
      ASSERT_LT(part[i], parts);
      ++sizes[labels[i]][part[i]];
      ++sizes[classes][part[i]];
    }
    for (const auto& one : sizes) {
      const auto [least, most] = std::ranges::minmax(one);
      EXPECT_LE(most - least, 1u) << "seed " << kSeed << ", round " << round;
    }
  }
}

}  // namespace
}  // namespace tacit::client
