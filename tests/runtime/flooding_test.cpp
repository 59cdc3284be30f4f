// SPDX-License-Identifier: Apache-2.0
// How much noise is added: between what hides something and what the precision allows.
#include "runtime/flooding.h"

#include <cmath>

#include "ckks/rerandomise.h"
#include "support/ckks_fixture.h"

namespace tacit::runtime {
namespace {

const ckks::Parameters& parameters() {
  static const ckks::Parameters made = test::make_parameters(13, 40, 34, 3, 45, 1);
  return made;
}

plan::Value value(double scale, double noise) {
  plan::Value made{"result", {{10, 1, 1}, 1, 1, 1}, 16, 0, scale, 0.5, 3};
  made.noise = noise;
  return made;
}

// Of the error in a slot, in the value's own unit.
double slot_error(double coefficient, double scale) { return coefficient * std::sqrt(4096.0) / scale; }

TEST(Flooding, IsOffAtZeroBits) {
  const Flooding off = flooding_of(parameters(), value(0x1p30, 0x1p-15), false, {0, 9});
  EXPECT_EQ(off.deviation, 0);
  EXPECT_NEAR(off.precision_before, 14, 1e-9);
  EXPECT_EQ(off.precision_after, off.precision_before);
  EXPECT_GT(off.leak_bits, 1000);
  EXPECT_FALSE(precision_left(std::span(&off, 1)).has_value());
}

TEST(Flooding, IsAsStrongAsIsAskedForWherePrecisionAllowsIt) {
  const double scale = 0x1p40, noise = 0x1p-26;
  const double own = noise * scale / std::sqrt(4096.0);
  const double hidden = std::sqrt(own * own + ckks::rerandomisation_variance(parameters()));
  for (int bits : {1, 4, 12}) {
    const Flooding flooding = flooding_of(parameters(), value(scale, noise), false, {bits, 9});
    EXPECT_NEAR(flooding.deviation / std::ldexp(hidden, bits), 1, 1e-12);
    EXPECT_NEAR(flooding.strength_bits, bits, 1e-9);
    EXPECT_NEAR(flooding.precision_after,
                std::log2(0.5 / slot_error(std::hypot(hidden, flooding.deviation), scale)), 1e-9);
    EXPECT_NEAR(flooding.leak_bits, 4096 * std::log2(1 + std::pow(4.0, -bits)), 1e-6);
    EXPECT_GE(flooding.precision_after, 9);
  }
}

TEST(Flooding, StopsAtThePrecision) {
  for (const auto& [inner, precision] : {std::pair{false, 9.0}, {true, 10.0}}) {
    const Flooding flooding = flooding_of(parameters(), value(0x1p34, 0x1p-20), inner, {40, 9});
    EXPECT_NEAR(flooding.precision_after, precision, 1e-6);
    EXPECT_GT(flooding.strength_bits, 1);
    EXPECT_LT(flooding.strength_bits, 20);
    EXPECT_EQ(precision_left(std::span(&flooding, 1)), flooding.precision_after);
  }
}

// Where there is no room, what is hidden is at least doubled.
TEST(Flooding, HidesSomethingInAnyCase) {
  const Flooding flooding = flooding_of(parameters(), value(0x1p25, 0x1p-9), false, {20, 9});
  EXPECT_NEAR(flooding.strength_bits, 0, 1e-9);
  EXPECT_NEAR(flooding.leak_bits, 4096, 1e-6);
  EXPECT_LT(flooding.precision_after, 8);
}

// A package that does not say how noisy its results are: at least the last division's rounding is hidden.
TEST(Flooding, KnowsTheLeastNoiseThatThereIs) {
  const Flooding flooding = flooding_of(parameters(), value(0x1p34, 0), false, {4, 9});
  EXPECT_GT(flooding.precision_before, 10);
  EXPECT_LT(flooding.precision_before, 30);
  EXPECT_NEAR(flooding.strength_bits, 4, 1e-9);
}

}  // namespace
}  // namespace tacit::runtime
