// SPDX-License-Identifier: Apache-2.0
#include "runtime/cost.h"

#include <gtest/gtest.h>

#include "support/plan_fixture.h"

namespace tacit::runtime {
namespace {

// Gentry, Halevi and Smart's hybrid key switching: (beta + 2)(l + k) transforms, 2 beta (l + k) products.
TEST(KeySwitchCost, HasTheKnownCounts) {
  struct Row {
    int limbs, special, digit_size;
    std::uint64_t ntt, product;
  };
  for (const Row& row :
       {Row{6, 1, 1, 56, 84}, Row{17, 2, 2, 209, 342}, Row{17, 3, 3, 160, 240}, Row{30, 6, 6, 252, 360}}) {
    const Cost cost = key_switch_cost(row.limbs - 1, {row.limbs - 1, row.digit_size, row.special}, 1 << 13);
    EXPECT_EQ(cost.ntt_limbs, row.ntt);
    EXPECT_EQ(cost.product_limbs, row.product);
    EXPECT_EQ(cost.key_bytes, row.product * 8 * (1 << 13));
  }
}

TEST(LinearCost, CountsRotationsByTheirPlace) {
  plan::DiagonalIndices diagonals = plan::diagonal_frame(1024, 128, 4096);
  for (std::size_t d = 0; d < 128; ++d) diagonals.indices.push_back(d);
  const ckks::KeyShape shape{4, 1, 1};
  const Cost cost = linear_cost(diagonals, {16}, 4, shape, 8192);
  EXPECT_EQ(cost.babies, 15u);
  EXPECT_EQ(cost.giants, 7u);
  EXPECT_EQ(cost.folds, 3u);
  EXPECT_EQ(cost.rotations(), 25u);
  EXPECT_EQ(cost.plaintext_products, 128u);
  EXPECT_EQ(cost.plaintext_bytes, 128u * 6 * 8192 * 8);
  // Five limbs and one special prime. One hoisting (30) for the babies, which stay modulo QP; 7 giants, each one
  // polynomial divided by P (6) and decomposed (30); one division by P q_4 (12); and 3 folds with four limbs:
  // (4 + 2)(4 + 1) each.
  EXPECT_EQ(cost.ntt_limbs, 30u + 7 * 36 + 12 + 3 * 30);
  // Babies and giants 2 * 5 * 6 each, folds 2 * 4 * 5, products 2 * 128 * 6.
  EXPECT_EQ(cost.product_limbs, 22u * 60 + 3 * 40 + 1536);
}

TEST(LinearCost, OfBabiesOnlyHasNoGiants) {
  plan::DiagonalIndices diagonals = plan::diagonal_frame(64, 64, 4096);
  diagonals.indices = {0, 1, 2, 3};
  const Cost babies = linear_cost(diagonals, {4096}, 3, {3, 1, 1}, 8192);
  EXPECT_EQ(babies.babies, 3u);
  EXPECT_EQ(babies.giants, 0u);
  const Cost giants = linear_cost(diagonals, {1}, 3, {3, 1, 1}, 8192);
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

TEST(PlanCost, OfAPolynomialIsThatOfItsProducts) {
  const plan::Plan plan = test::make_residual(82);
  const auto cost = cost_of(plan);
  ASSERT_TRUE(cost.ok()) << cost.error().to_line();
  EXPECT_EQ(cost->operations[1].levels, 2);
  EXPECT_EQ(cost->operations[1].cost.ciphertext_products, 2u);  // T_2, and its product with the quotient
  EXPECT_EQ(cost->total.ciphertext_products, 3u);
  EXPECT_EQ(cost->levels, plan.values[plan.input].level - plan.values[plan.output].level);
}

TEST(UnitCosts, AreTimesOfThisMachine) {
  const auto parameters = ckks::Parameters::create(test::make_literal(13, 30, 27, 5));
  ASSERT_TRUE(parameters.ok());
  const UnitCosts unit = measure_unit_costs(*parameters);
  EXPECT_EQ(unit.degree, 8192u);
  for (double ns : {unit.ntt, unit.product, unit.conversion, unit.pointwise}) {
    EXPECT_GT(ns, 100);  // 8192 words cannot be touched in less
    EXPECT_LT(ns, 1e7);
  }
  EXPECT_GT(unit.ntt, unit.product);

  Cost cost;
  cost.ntt_limbs = 1000;
  EXPECT_NEAR(estimate_ms(cost, unit), unit.ntt * 1e-3, 1e-9);
  cost.product_limbs = 2000;
  EXPECT_NEAR(estimate_ms(cost, unit), unit.ntt * 1e-3 + unit.product * 2e-3, 1e-9);
}

}  // namespace
}  // namespace tacit::runtime
