// SPDX-License-Identifier: Apache-2.0
#include "ckks/cost.h"

#include <gtest/gtest.h>

#include "support/ckks_fixture.h"

namespace tacit::ckks {
namespace {

// Gentry, Halevi and Smart's hybrid key switching: (beta + 2)(l + k) transforms, 2 beta (l + k) products.
TEST(KernelCounts, OfKeySwitchingAreTheKnownOnes) {
  struct Row {
    int limbs, special, digit_size;
    std::uint64_t ntt, product;
  };
  for (const Row& row :
       {Row{6, 1, 1, 56, 84}, Row{17, 2, 2, 209, 342}, Row{17, 3, 3, 160, 240}, Row{30, 6, 6, 252, 360}}) {
    const KernelCounts counts = rotate_counts(row.limbs - 1, {row.limbs - 1, row.digit_size, row.special});
    EXPECT_EQ(counts.ntt_limbs, row.ntt);
    EXPECT_EQ(counts.key_limbs, row.product);
    EXPECT_EQ(counts.hoisted_limbs, 0u);
  }
}

TEST(KernelCounts, DivisionByPAndAPrimeTakesOneTransformMoreThanByP) {
  // Sources p_0, p_1 (and q_5) transformed back, targets forward.
  const KernelCounts without = mod_down_counts(5, 2, false, 1), with = mod_down_counts(5, 2, true, 1);
  EXPECT_EQ(without.ntt_limbs, 2u + 6);
  EXPECT_EQ(with.ntt_limbs, 3u + 5);
  EXPECT_EQ(without.conversion_limbs, 2u * 6);
  EXPECT_EQ(with.conversion_limbs, 3u * 5);
}

TEST(KernelCounts, OfATransformShareOneDecompositionAmongBabies) {
  // Three babies, one of them not rotated; two giants, one of them not rotated; level 3 with one special prime.
  const KernelCounts counts = transform_counts({3, 1, 1, 1, {{0, 1}, {0, 0}, {0, 1}}, {{0, 0}, {0, 2}}, 6});
  const std::uint64_t babies = 4 + 4 * 4;           // one decomposition into four digits
  const std::uint64_t giant = (1 + 4) + 4 + 2 * 3;  // division by p_0, then two digits of two primes
  EXPECT_EQ(counts.ntt_limbs, babies + giant + 2 * (2 + 3));
  EXPECT_EQ(counts.hoisted_limbs, 2u * 2 * 4 * 5);
  EXPECT_EQ(counts.key_limbs, 2u * 2 * 5);
  EXPECT_EQ(counts.plain_limbs, 6u * 2 * 5);
}

TEST(KernelCounts, OfATransformGrowWithInputsAndOutputs) {
  // A baby of each of two inputs is decomposed by itself; each of two outputs is divided by itself.
  const KernelCounts one = transform_counts({3, 1, 1, 1, {{0, 1}}, {{0, 0}}, 1});
  const KernelCounts two = transform_counts({3, 1, 2, 2, {{0, 1}, {1, 1}}, {{0, 0}, {1, 0}}, 2});
  EXPECT_EQ(two.ntt_limbs, 2 * one.ntt_limbs);
  EXPECT_EQ(two.hoisted_limbs, 2 * one.hoisted_limbs);
  // Folding adds a rotation of the input and one, a level lower, of the output.
  TransformShape shape{3, 1, 1, 1, {{0, 1}}, {{0, 0}}, 1};
  shape.folding_digit_size = 1;
  KernelCounts folded = one;
  folded += rotate_counts(3, {3, 1, 1});
  folded += rotate_counts(2, {2, 1, 1});
  folded.pointwise_limbs += 2 * 4 + 2 * 3;
  EXPECT_EQ(transform_counts(shape), folded);
}

TEST(UnitCosts, AreTimesOfThisMachine) {
  const Parameters parameters = test::make_parameters(13, 30, 27, 4, 38, 1);
  const UnitCosts unit = measure_unit_costs(parameters);
  EXPECT_EQ(unit.degree, 8192u);
  for (double ns : {unit.ntt, unit.key_product, unit.hoisted_product, unit.plain_product, unit.conversion,
                    unit.pointwise, unit.scalar_product}) {
    EXPECT_GT(ns, 100);  // 8192 words cannot be touched in less
    EXPECT_LT(ns, 1e7);
  }
}

TEST(UnitCosts, WeighTheCounts) {
  const UnitCosts unit{8192, 1, 2, 3, 4, 5, 6, 7};
  KernelCounts counts;
  counts.ntt_limbs = 1000'000;
  EXPECT_DOUBLE_EQ(estimate_ms(counts, unit), 1);
  counts.key_limbs = 100'000;
  counts.hoisted_limbs = 10'000;
  counts.plain_limbs = 1'000;
  counts.conversion_limbs = 100;
  counts.pointwise_limbs = 10;
  counts.scalar_limbs = 1;
  EXPECT_DOUBLE_EQ(estimate_ms(counts, unit), 1 + 0.2 + 0.03 + 0.004 + 0.0005 + 0.00006 + 0.000007);
}

}  // namespace
}  // namespace tacit::ckks
