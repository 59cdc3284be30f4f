// SPDX-License-Identifier: Apache-2.0
// Minimax polynomials and composite signs against what is known of them and against the functions themselves.
#include "compiler/sign.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/minimax.h"

namespace tacit::compiler {
namespace {

TEST(Minimax, OfDegreeOneIsALineThroughTheOrigin) {
  // c x is nearest to 1 on [a, b] where 1 - c a = c b - 1.
  for (const auto& [a, b] : {std::pair(0.1, 1.0), std::pair(0.5, 1.5), std::pair(0.01, 1.0)}) {
    const auto p = odd_minimax(a, b, 1);
    ASSERT_TRUE(p.ok()) << p.error().to_line();
    EXPECT_NEAR(p->error, (b - a) / (b + a), 1e-9);
    EXPECT_NEAR((*p)(a), 2 * a / (a + b), 1e-9);
  }
}

TEST(Minimax, OfDegreeThreeIsTheKnownOne) {
  // p = c x (s - x^2) with 1 - p(a) = p(m) - 1 = 1 - p(b), m the place of its maximum. p(a) = p(b) demands
  // s = a^2 + a b + b^2, and m^2 = s / 3.
  const double a = 0.2, b = 1, s = a * a + a * b + b * b, m = std::sqrt(s / 3);
  const double at_a = a * (s - a * a), at_m = m * (s - m * m);
  const double error = (at_m - at_a) / (at_m + at_a);
  const auto p = odd_minimax(a, b, 3);
  ASSERT_TRUE(p.ok()) << p.error().to_line();
  EXPECT_NEAR(p->error, error, 1e-8);
  EXPECT_NEAR((*p)(m), 1 + error, 1e-8);
}

TEST(Minimax, TheErrorAlternatesAndIsTheLargest) {
  for (std::size_t degree : {3, 7, 15, 27, 31, 63})
    for (double low : {0x1p-12, 0x1p-6, 0.1, 0.7}) {
      SCOPED_TRACE("degree " + std::to_string(degree) + " from " + std::to_string(low));
      const auto p = odd_minimax(low, 1.25, degree);
      ASSERT_TRUE(p.ok()) << p.error().to_line();
      ASSERT_EQ(p->extremes.size(), (degree + 1) / 2 + 1);
      for (std::size_t i = 0; i < p->extremes.size(); ++i) {
        const double error = (*p)(p->extremes[i]) - 1;
        EXPECT_NEAR(std::abs(error), p->error, 1e-5 * p->error + 1e-12);
        // Rounding decides the sign of what is nothing else.
        if (i > 0 && p->error > 1e-10) { EXPECT_LT(error * ((*p)(p->extremes[i - 1]) - 1), 0); }
      }
      for (int i = 0; i <= 100000; ++i) {
        const double x = low + (1.25 - low) * i / 100000;
        ASSERT_LE(std::abs((*p)(x)-1), p->error * (1 + 1e-9) + 1e-12) << x;
        ASSERT_EQ((*p)(-x), -(*p)(x));
      }
    }
}

TEST(Minimax, RefusesWhatItCannotDo) {
  EXPECT_FALSE(odd_minimax(0, 1, 3).ok());
  EXPECT_FALSE(odd_minimax(0.5, 0.5, 3).ok());
  EXPECT_FALSE(odd_minimax(0.5, 1, 4).ok());
  EXPECT_FALSE(odd_minimax(0.5, 1, kMaxMinimaxDegree + 2).ok());
}

// J. Lee, E. Lee, J.-W. Lee, Y. Kim, Y.-S. Kim and J.-S. No, "Precise approximation of convolutional neural networks for
// homomorphically encrypted data": for x (1 + p(x)) / 2 within 2^-13 of max(x, 0) on [-1, 1], degrees 15, 15 and 27.
TEST(Sign, TakesNoMoreLevelsThanPublished) {
  const auto sign = sign_of_precision(13);
  ASSERT_TRUE(sign.ok()) << sign.error().to_line();
  int levels = 0;
  for (double degree : {15, 15, 27}) levels += static_cast<int>(std::ceil(std::log2(degree + 1)));
  EXPECT_LE(sign->levels(), levels);
}

TEST(Sign, EveryPrecisionKeepsItsPromise) {
  for (int bits = kMinSignBits; bits <= kMaxSignBits; ++bits) {
    SCOPED_TRACE(bits);
    const auto sign = sign_of_precision(bits);
    ASSERT_TRUE(sign.ok()) << sign.error().to_line();
    double outside = 0, all = 0, relu = 0;
    for (int i = -200000; i <= 200000; ++i) {
      const double t = i / 200000.0, p = (*sign)(t), away = std::abs(p - (t > 0 ? 1 : -1));
      if (std::abs(t) >= sign->epsilon) outside = std::max(outside, away);
      all = std::max(all, std::abs(p));
      relu = std::max(relu, std::abs(t * (1 + p) / 2 - std::max(t, 0.0)));
    }
    EXPECT_LE(outside, sign->error * (1 + 1e-9));
    EXPECT_LE(all, 1 + sign->error * (1 + 1e-9));
    EXPECT_LE(relu, sign->kink * (1 + 1e-4));
    EXPECT_LE(relu, std::ldexp(1.0, -bits) * (1 + 1e-4));
  }
}

TEST(Sign, GatesAreAsNearAsTheySay) {
  const auto sign = sign_of_precision(8);
  ASSERT_TRUE(sign.ok());
  for (const Activation& f : {Activation{ActivationKind::kRelu}, Activation{ActivationKind::kLeakyRelu, 0.1f},
                              Activation{ActivationKind::kLeakyRelu, -1}}) {
    const auto form = sign_form(f);
    ASSERT_TRUE(form.has_value());
    const SignGate gate{12.5, *form, *sign};
    double largest = 0;
    for (int i = -100000; i <= 100000; ++i) {
      const double x = 12.5 * i / 100000;
      largest = std::max(largest, std::abs(gate(x) - tacit::evaluate(f, x)));
    }
    EXPECT_LE(largest, gate.bound());
    EXPECT_GE(largest, gate.bound() / 10);  // and no farther
  }
}

TEST(Sign, TheFormIsThatOfFunctionsWithOneKinkAtZero) {
  const auto relu = sign_form({ActivationKind::kRelu});
  ASSERT_TRUE(relu.has_value());
  EXPECT_EQ(relu->even, 0.5);
  EXPECT_EQ(relu->odd, 0.5);
  // 2 relu(x) - 3 relu(-x), as exporters may write it.
  using Kind = FunctionStep::Kind;
  Activation function{ActivationKind::kFunction};
  function.steps = {{Kind::kAffine, {}, -1, 0, 0, 0},
                    {Kind::kApply, ActivationKind::kRelu, 0, 0, 0, 0},
                    {Kind::kApply, ActivationKind::kRelu, 0, 0, 1, 0},
                    {Kind::kAffine, {}, 2, 0, 2, 0},
                    {Kind::kAffine, {}, -3, 0, 3, 0},
                    {Kind::kSum, {}, 0, 0, 4, 5}};
  const auto both = sign_form(function);
  ASSERT_TRUE(both.has_value());
  for (double x : {-2.0, -0.5, 0.25, 3.0})
    EXPECT_DOUBLE_EQ(x * (both->even + both->odd * (x > 0 ? 1 : -1)), tacit::evaluate(function, x));
  function.steps[4].beta = 1;  // a kink that is not at 0 in value
  EXPECT_FALSE(sign_form(function).has_value());
  for (ActivationKind kind : {ActivationKind::kTanh, ActivationKind::kElu, ActivationKind::kHardSwish})
    EXPECT_FALSE(sign_form({kind, 1, 1}).has_value());
}

}  // namespace
}  // namespace tacit::compiler
