// SPDX-License-Identifier: Apache-2.0
#include "runtime/cost.h"

#include <gtest/gtest.h>

#include "support/plan_fixture.h"

namespace tacit::runtime {
namespace {

TEST(LinearCost, CountsRotationsByTheirPlace) {
  plan::DiagonalIndices diagonals = plan::diagonal_frame(1024, 128, 4096);
  for (std::size_t d = 0; d < 128; ++d) diagonals.indices.push_back({0, 0, d});
  const Cost cost = linear_cost(diagonals, {16}, {4, 1, 1, 1});
  EXPECT_EQ(cost.babies, 15u);
  EXPECT_EQ(cost.giants, 7u);
  EXPECT_EQ(cost.folds, 3u);
  EXPECT_EQ(cost.rotations(), 25u);
  EXPECT_EQ(cost.plaintext_products, 128u);
  // Five limbs and one special prime. One hoisting (30) for the babies, which stay modulo QP; 7 giants, each one
  // polynomial divided by P (6) and decomposed (30); one division by P q_4 (12); and 3 folds with four limbs:
  // (4 + 2)(4 + 1) each.
  EXPECT_EQ(cost.ntt_limbs, 30u + 7 * 36 + 12 + 3 * 30);
  // Two columns, five digits (four in folds), six limbs (five).
  EXPECT_EQ(cost.hoisted_limbs, 15u * 60);
  EXPECT_EQ(cost.key_limbs, 7u * 60 + 3 * 40);
  EXPECT_EQ(cost.plain_limbs, 128u * 2 * 6);
}

TEST(LinearCost, OfBabiesOnlyHasNoGiants) {
  plan::DiagonalIndices diagonals = plan::diagonal_frame(64, 64, 4096);
  diagonals.indices = {{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 0, 3}};
  const Cost babies = linear_cost(diagonals, {4096}, {3, 1, 1, 1});
  EXPECT_EQ(babies.babies, 3u);
  EXPECT_EQ(babies.giants, 0u);
  const Cost giants = linear_cost(diagonals, {1}, {3, 1, 1, 1});
  EXPECT_EQ(giants.babies, 0u);
  EXPECT_EQ(giants.giants, 3u);
  EXPECT_GT(giants.ntt_limbs, babies.ntt_limbs);
}

TEST(PlanCost, OfCryptoNetsIsThatOfItsLayers) {
  const plan::Plan plan = test::make_cryptonets(81);
  const auto cost = cost_of(plan);
  ASSERT_TRUE(cost.ok()) << cost.error().to_line();
  ASSERT_EQ(cost->operations.size(), plan.operations.size());
  EXPECT_EQ(cost->levels, 5);
  EXPECT_EQ(cost->total.ciphertext_products, 2u);
  EXPECT_EQ(cost->total.rotations(), plan::required_rotations(plan).size());
  EXPECT_EQ(cost->operations[0].cost.plaintext_products, 36u);
  EXPECT_EQ(cost->operations[2].cost.plaintext_products, 128u);
  EXPECT_EQ(cost->operations[2].cost.folds, 4u);
  EXPECT_EQ(cost->operations[4].cost.plaintext_products, 16u);
  EXPECT_EQ(cost->operations[4].cost.folds, 3u);
  Cost sum;
  for (const PlanCost::Entry& entry : cost->operations) {
    EXPECT_EQ(entry.levels, 1) << entry.name;
    sum += entry.cost;
  }
  EXPECT_EQ(sum, cost->total);
}

TEST(PlanCost, OfChainedLayersIsThatOfTheirSteps) {
  const plan::Plan plan = test::make_chained(test::make_cryptonets(83));
  const auto cost = cost_of(plan);
  ASSERT_TRUE(cost.ok()) << cost.error().to_line();
  EXPECT_EQ(cost->total.rotations(), plan::required_rotations(plan).size());
  EXPECT_EQ(cost->total.hoisted_limbs, 0u);
  // 128 diagonals of a dense layer, split in the middle, and a dense one of 16; folds stay as they were.
  const std::size_t width = std::get_if<plan::Linear>(&plan.operations[2])->split.width;
  EXPECT_EQ(cost->operations[2].cost.babies, width - 1);
  EXPECT_EQ(cost->operations[2].cost.giants, 128 / width - 1);
  EXPECT_EQ(cost->operations[2].cost.folds, 4u);
  EXPECT_EQ(cost->operations[2].cost.plaintext_products, 128u);
}

TEST(PlanCost, OfAPolynomialIsThatOfItsProducts) {
  const plan::Plan plan = test::make_residual(82);
  const auto cost = cost_of(plan);
  ASSERT_TRUE(cost.ok()) << cost.error().to_line();
  EXPECT_EQ(cost->operations[1].levels, 2);
  EXPECT_EQ(cost->operations[1].cost.ciphertext_products, 2u);  // T_2, and its product with the quotient
  EXPECT_EQ(cost->total.ciphertext_products, 4u);               // and those of the square and the product
  EXPECT_EQ(cost->levels, plan.values[plan.input].level - plan.values[plan.output].level);
}

}  // namespace
}  // namespace tacit::runtime
