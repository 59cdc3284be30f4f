// SPDX-License-Identifier: Apache-2.0
#include "compiler/splits.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>

#include "ckks/wire.h"
#include "compiler/chain.h"
#include "compiler/chained_splits.h"
#include "plan/key_plan.h"
#include "runtime/noise.h"

namespace tacit::compiler {
namespace {

Result<ckks::Parameters> chain(int log_degree, int scale_bits, int depth) {
  TACIT_TRY(ckks::ParametersLiteral literal, make_chain(log_degree, scale_bits, depth));
  return ckks::Parameters::create(std::move(literal));
}

// A layer with `count` neighbouring diagonals in each of `rows` rows of 32.
plan::DiagonalIndices rows_of(std::size_t rows, std::size_t count) {
  plan::DiagonalIndices diagonals = plan::diagonal_frame(1024, 1024, 4096);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < count; ++i) diagonals.indices.push_back({0, 0, 32 * row + i});
  return diagonals;
}

// Two layers of rows and a dense one.
struct ThreeLayers {
  plan::DiagonalIndices first = rows_of(5, 7), second = rows_of(9, 9),
                        last = plan::diagonal_frame(1024, 16, 4096);
  ThreeLayers() {
    for (std::size_t i = 0; i < 16; ++i) last.indices.push_back({0, 0, i});
  }
  std::vector<LinearUse> uses() const { return {{&first, 5}, {&second, 3}, {&last, 1}}; }
};

// Keys for these elements, each at this level, and no others.
void expect_keys(const ckks::Parameters& parameters, const std::vector<ckks::KeyRequest>& keys,
                 const std::map<std::uint32_t, int>& needed) {
  ASSERT_EQ(keys.size(), needed.size());
  auto expected = needed.begin();
  for (const ckks::KeyRequest& key : keys) {
    EXPECT_EQ(key.element, expected->first);
    EXPECT_EQ(key.shape.level, expected->second);
    EXPECT_TRUE(parameters.admits(key.shape));
    ++expected;
  }
}

TEST(Chain, IsSecureAndNominal) {
  for (int log_degree = ckks::kMinLogDegree; log_degree <= ckks::kMaxLogDegree; ++log_degree)
    for (int bits : {kMinScaleBits, 30, kMaxScaleBits}) {
      const int depth = longest_chain(log_degree, bits);
      ASSERT_GE(depth, 0);
      EXPECT_GE(depth, log_degree < 13 ? 0 : 2);
      EXPECT_FALSE(make_chain(log_degree, bits, depth + 1).ok()) << log_degree << " " << bits;
      const auto parameters = chain(log_degree, bits, depth);
      ASSERT_TRUE(parameters.ok());
      EXPECT_LE(parameters->log_modulus(), ckks::max_log_modulus(log_degree));
      EXPECT_EQ(parameters->max_level(), depth);
      for (int i = 1; i <= depth; ++i)
        EXPECT_NEAR(std::log2(static_cast<double>(parameters->prime(i).value())), bits, kMaxDrift);
    }
}

TEST(Chain, ShorterOnesArePrefixes) {
  const auto longer = chain(14, 30, 8), shorter = chain(14, 30, 3);
  ASSERT_TRUE(longer.ok() && shorter.ok());
  for (int i = 0; i <= 3; ++i) EXPECT_EQ(longer->prime(i).value(), shorter->prime(i).value());
  EXPECT_EQ(longer->literal().special_primes, shorter->literal().special_primes);
  // So that a key made for one serves the other.
  EXPECT_EQ(longer->basis_digest(3, 1), shorter->basis_digest(3, 1));
}

TEST(Splits, KeysCoverEveryRotationOnceAtItsHighestLevel) {
  const auto parameters = chain(13, 28, 5);
  ASSERT_TRUE(parameters.ok());
  const ThreeLayers three;
  const std::vector<LinearUse> layers = three.uses();
  const Splits splits = choose_splits(*parameters, layers, 4, {1, {}});
  ASSERT_EQ(splits.splits.size(), layers.size());
  std::map<std::uint32_t, int> needed = {{ckks::kRelinearisation, 4}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    EXPECT_TRUE(std::has_single_bit(splits.splits[i].width));
    for (const plan::RotationUse& use :
         plan::required_rotations(*layers[i].diagonals, splits.splits[i], layers[i].level)) {
      int& level = needed[element_of(*parameters, use)];
      level = std::max(level, use.level);
    }
  }
  expect_keys(*parameters, splits.keys, needed);
  std::uint64_t bytes = 0;
  for (const ckks::KeyRequest& key : splits.keys) bytes += ckks::key_bytes(*parameters, key.shape);
  EXPECT_EQ(bytes, splits.key_bytes);
}

TEST(Splits, TakesFewerRotationsThanDiagonals) {
  const auto parameters = chain(13, 28, 5);
  ASSERT_TRUE(parameters.ok());
  const plan::DiagonalIndices diagonals = rows_of(16, 16);
  const std::vector<LinearUse> layers = {{&diagonals, 5}};
  const Splits splits = choose_splits(*parameters, layers, -1, {1'000'000'000, {}});
  // 256 diagonals: 15 babies and 15 giants at best.
  EXPECT_LE(plan::required_rotations(diagonals, splits.splits[0], 5).size(), 40u);
}

TEST(Splits, ASmallerBudgetMakesFewerBytes) {
  const auto parameters = chain(13, 28, 5);
  ASSERT_TRUE(parameters.ok());
  const plan::DiagonalIndices first = rows_of(16, 20), second = rows_of(12, 12), third = rows_of(3, 30);
  const std::vector<LinearUse> layers = {{&first, 5}, {&second, 3}, {&third, 2}};
  const std::uint64_t unbounded = choose_splits(*parameters, layers, 4, {UINT64_MAX, {}}).key_bytes;
  const std::uint64_t bounded = choose_splits(*parameters, layers, 4, {unbounded / 2, {}}).key_bytes;
  EXPECT_LE(bounded, unbounded);
  EXPECT_GT(bounded, 0u);
}

TEST(ChainedSplits, TakeFewAndSmallKeysThatMakeUpAllRotations) {
  const auto parameters = chain(13, 28, 5);
  ASSERT_TRUE(parameters.ok());
  const ThreeLayers three;
  const std::vector<LinearUse> layers = three.uses();
  const Splits small = choose_splits(*parameters, layers, 4, {0, find_steps(*parameters, layers)});
  const Splits usual = choose_splits(*parameters, layers, 4, {0, {}});
  EXPECT_LT(2 * small.key_bytes, usual.key_bytes);
  EXPECT_LT(2 * small.keys.size(), usual.keys.size());
  std::map<std::uint32_t, int> needed = {{ckks::kRelinearisation, 4}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const plan::DiagonalIndices& diagonals = *layers[i].diagonals;
    const plan::BsgsSplit split = small.splits[i];
    EXPECT_TRUE(split.chained);
    const auto chains =
        plan::make_chains(diagonals, make_bsgs(diagonals, split),
                          plan::make_tables(diagonals, plan::steps_of(8192, small.keys, layers[i].level),
                                            plan::steps_of(8192, small.keys, layers[i].level - 1)));
    ASSERT_TRUE(chains) << i;
    for (const plan::RotationUse& use :
         plan::required_rotations(*chains, diagonals.slots, split, layers[i].level)) {
      if (use.role != plan::RotationRole::kConjugation) {
        EXPECT_TRUE(std::has_single_bit(static_cast<std::uint64_t>(std::abs(use.step)))) << use.step;
      }
      int& level = needed[element_of(*parameters, use)];
      level = std::max(level, use.level);
    }
  }
  // No key that is not used, and none at a level higher than it is used at.
  expect_keys(*parameters, small.keys, needed);
}

TEST(ChainedSplits, OfNoLayersIsOneSmallKey) {
  const auto parameters = chain(13, 28, 5);
  ASSERT_TRUE(parameters.ok());
  const Splits splits = choose_splits(*parameters, {}, -1, {0, find_steps(*parameters, {})});
  EXPECT_EQ(splits.keys.size(), 1u);
  EXPECT_TRUE(splits.splits.empty());
}

TEST(Splits, DigitsAreAsLargeAsNoiseAllows) {
  for (int log_degree : {13, 14, 15}) {
    const auto parameters = chain(log_degree, 28, 5);
    ASSERT_TRUE(parameters.ok());
    const runtime::NoiseModel model(*parameters);
    for (int level = 1; level <= 5; ++level) {
      // Before a product with a plaintext: below what rounding adds anyway.
      const ckks::KeyShape baby = key_shape(*parameters, level, false);
      EXPECT_EQ(baby.digit_size, 1);
      EXPECT_LT(model.key_switch(baby, level), model.division());
      // Divided by a prime afterwards.
      const ckks::KeyShape giant = key_shape(*parameters, level, true);
      EXPECT_EQ(giant.digit_size, 2) << log_degree << " " << level;
      EXPECT_LT(model.key_switch(giant, level) / static_cast<double>(parameters->prime(level).value()),
                model.division());
      EXPECT_LT(ckks::key_bytes(*parameters, giant), ckks::key_bytes(*parameters, baby));
    }
  }
}

TEST(Splits, MoreSpecialPrimesMakeLargerDigits) {
  for (int count = 1; count <= 4; ++count) {
    auto literal = make_chain(15, 28, 12, count);
    ASSERT_TRUE(literal.ok());
    const auto parameters = ckks::Parameters::create(*literal);
    ASSERT_TRUE(parameters.ok()) << parameters.error().to_line();
    const runtime::NoiseModel model(*parameters);
    const ckks::KeyShape baby = key_shape(*parameters, 12, false), giant = key_shape(*parameters, 12, true);
    EXPECT_EQ(baby.special_count, count);
    EXPECT_EQ(baby.digit_size, count);
    EXPECT_EQ(giant.digit_size, count + 1);
    EXPECT_LT(model.key_switch(baby, 12), model.division());
  }
}

}  // namespace
}  // namespace tacit::compiler
