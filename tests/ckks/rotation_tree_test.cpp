// SPDX-License-Identifier: Apache-2.0
// Trees of rotations reach what they are for, by the steps that there are, and not by more of them than needed.
#include "ckks/rotation_tree.h"
#include "support/seed.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace tacit::ckks {
namespace {

using test::kSeed;

// The rotation of each node, modulo `modulus`.
std::vector<std::size_t> rotations_of(const RotationTree& tree, std::size_t modulus) {
  std::vector<std::size_t> rotations = {0};
  for (std::size_t node = 1; node < tree.nodes.size(); ++node) {
    EXPECT_LT(tree.nodes[node].parent, node);
    rotations.push_back(
        (rotations[tree.nodes[node].parent] + static_cast<std::size_t>(tree.nodes[node].step)) &
        (modulus - 1));
  }
  return rotations;
}

TEST(StepTable, FindsTheShortestSums) {
  std::mt19937_64 random(kSeed);
  for (std::size_t modulus : {1ul, 2ul, 64ul, 256ul}) {
    std::vector<std::int64_t> steps;
    for (int i = 0; i < 3; ++i) steps.push_back(static_cast<std::int64_t>(random() % 512) - 256);
    const StepTable table(modulus, steps);
    // All sums of 0, 1, 2 .. steps.
    std::set<std::size_t> seen = {0}, last = {0};
    for (std::uint32_t count = 0; !last.empty(); ++count) {
      std::set<std::size_t> next;
      for (std::size_t r : last) {
        EXPECT_EQ(table.distance(static_cast<std::int64_t>(r)), count) << "seed " << kSeed;
        for (std::int64_t step : steps) {
          const std::size_t sum = (r + static_cast<std::size_t>(step)) & (modulus - 1);
          if (seen.insert(sum).second) next.insert(sum);
        }
      }
      last = std::move(next);
    }
    for (std::size_t r = 0; r < modulus; ++r) {
      const auto rotation = static_cast<std::int64_t>(r);
      if (!seen.contains(r)) {
        EXPECT_EQ(table.distance(rotation), StepTable::kUnreachable);
      } else if (r != 0) {
        EXPECT_EQ(table.distance(rotation - table.first(rotation)) + 1, table.distance(rotation));
      }
    }
  }
}

TEST(StepTable, IsTheSameWithoutStepsThatASumDoesNotHave) {
  const std::vector<std::int64_t> all = {-64, 1, -1, 8, -32, 32}, some = {1, 8, 32};
  const StepTable more(256, all), fewer(256, some);
  for (std::int64_t rotation : {3, 8, 17, 42}) {
    if (more.distance(rotation) != fewer.distance(rotation)) continue;
    std::int64_t rest = rotation;
    while (rest != 0) {
      const std::int64_t step = more.first(rest);
      EXPECT_EQ(step, fewer.first(rest));
      rest -= step;
    }
  }
}

TEST(RotationTree, ReachesEveryTarget) {
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 50; ++round) {
    const std::size_t modulus = std::size_t{1} << (random() % 11);
    std::vector<std::int64_t> targets;
    for (std::size_t t = 0; t < 1 + random() % 40; ++t)
      targets.push_back(static_cast<std::int64_t>(random() % 4096) - 2048);
    const std::vector<std::int64_t> steps = power_of_two_steps(4096);
    const auto tree = make_rotation_tree(StepTable(modulus, steps), targets);
    ASSERT_TRUE(tree) << "seed " << kSeed;
    const std::vector<std::size_t> rotations = rotations_of(*tree, modulus);
    ASSERT_EQ(tree->targets.size(), targets.size());
    for (std::size_t t = 0; t < targets.size(); ++t)
      EXPECT_EQ(rotations[tree->targets[t]], static_cast<std::size_t>(targets[t]) & (modulus - 1));
    // No leaf that nobody wants.
    std::vector<bool> useful(tree->nodes.size(), false);
    for (std::size_t node : tree->targets) useful[node] = true;
    for (std::size_t node = tree->nodes.size(); --node > 0;) {
      EXPECT_TRUE(useful[node]);
      useful[tree->nodes[node].parent] = true;
    }
  }
}

TEST(RotationTree, MakesNeighboursOneFromAnother) {
  const std::vector<std::int64_t> steps = {1, 32}, targets = {0, 1, 2, 3, 32, 33, 34, 35};
  const auto tree = make_rotation_tree(StepTable(1024, steps), targets);
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->rotations(), 7u);
}

TEST(RotationTree, RefusesWhatItCannotReach) {
  const std::vector<std::int64_t> even = {2, 64}, odd = {1}, slow = {1};
  const std::vector<std::int64_t> one = {1}, far = {-1};
  EXPECT_FALSE(make_rotation_tree(StepTable(1024, even), one));
  EXPECT_TRUE(make_rotation_tree(StepTable(1024, odd), far));
  EXPECT_FALSE(make_rotation_tree(StepTable(16384, slow), far));  // more than kMaxRotations
}

}  // namespace
}  // namespace tacit::ckks
