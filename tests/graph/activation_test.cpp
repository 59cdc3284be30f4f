// SPDX-License-Identifier: Apache-2.0
#include "base/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "graph/graph.h"

namespace tacit::graph {
namespace {

using enum ActivationKind;
using Kind = FunctionStep::Kind;

TEST(Activations, AreTheirFormulas) {
  for (double x : {-30.0, -3.5, -1.5, -0.25, 0.0, 0.25, 1.5, 2.75, 30.0}) {
    double sigmoid = 1 / (1 + std::exp(-x)), softplus = x < 30 ? std::log(1 + std::exp(x)) : x;
    EXPECT_EQ(evaluate({kRelu}, x), std::max(x, 0.0));
    EXPECT_EQ(evaluate({kLeakyRelu, 0.25f}, x), x < 0 ? x / 4 : x);
    EXPECT_DOUBLE_EQ(evaluate({kSigmoid}, x), sigmoid);
    EXPECT_DOUBLE_EQ(evaluate({kTanh}, x), std::tanh(x));
    EXPECT_DOUBLE_EQ(evaluate({kSilu}, x), x * sigmoid);
    EXPECT_DOUBLE_EQ(evaluate({kHardSigmoid, 0.25f, 0.5f}, x), std::min(1.0, std::max(0.0, x / 4 + 0.5)));
    EXPECT_NEAR(evaluate({kHardSwish}, x), x * std::min(6.0, std::max(0.0, x + 3)) / 6, 1e-14);
    EXPECT_DOUBLE_EQ(evaluate({kErf}, x), std::erf(x));
    EXPECT_NEAR(evaluate({kGelu}, x), x * 0.5 * (1 + std::erf(x / std::numbers::sqrt2)), 1e-14);
    double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * std::pow(x, 3));
    EXPECT_NEAR(evaluate({kGeluTanh}, x), x * 0.5 * (1 + std::tanh(inner)), 1e-14);
    EXPECT_DOUBLE_EQ(evaluate({kElu, 0.5f}, x), x >= 0 ? x : 0.5 * std::expm1(x));
    EXPECT_DOUBLE_EQ(evaluate({kSelu, 0.5f, 3}, x), 3 * (x >= 0 ? x : 0.5 * std::expm1(x)));
    EXPECT_NEAR(evaluate({kSoftplus}, x), softplus, 1e-12);
    EXPECT_NEAR(evaluate({kMish}, x), x * std::tanh(softplus), 1e-11);
    EXPECT_EQ(evaluate({kClip, -1, 2}, x), std::min(2.0, std::max(-1.0, x)));
    EXPECT_EQ(evaluate({kClip, 2, -1}, x), -1);
  }
}

TEST(Activations, StayNumbersFarOut) {
  for (ActivationKind kind : {kSigmoid, kTanh, kSilu, kErf, kGelu, kGeluTanh, kSoftplus, kMish, kElu})
    for (double x : {-1e4, 1e4})
      EXPECT_TRUE(std::isfinite(evaluate({kind, 1, 1}, x))) << name_of(kind) << " " << x;
  EXPECT_EQ(evaluate({kSilu}, -1000), 0);
  EXPECT_EQ(evaluate({kSoftplus}, -1000), 0);
  EXPECT_EQ(evaluate({kSoftplus}, 1000), 1000);
}

TEST(Activations, KeepNaN) {
  for (int kind = 0; kind < static_cast<int>(kFunction); ++kind)
    EXPECT_TRUE(std::isnan(evaluate({static_cast<ActivationKind>(kind), 1, 1}, std::nan(""))))
        << name_of(static_cast<ActivationKind>(kind));
}

TEST(Activations, HaveNames) {
  EXPECT_EQ(name_of(Operation(Activation{kSilu})), "Silu");
  EXPECT_EQ(name_of(kGelu), name_of(kGeluTanh));
}

// 2 (x tanh(x) + relu(x)) - 1
Activation example() {
  return {kFunction,
          0,
          0,
          {{Kind::kApply, kTanh, 0, 0, 0, 0},
           {Kind::kProduct, {}, 0, 0, 0, 1},
           {Kind::kApply, kRelu, 0, 0, 0, 0},
           {Kind::kSum, {}, 0, 0, 2, 3},
           {Kind::kAffine, {}, 2, -1, 4, 4}}};
}

TEST(Functions, AreEvaluatedStepByStep) {
  ASSERT_TRUE(is_valid(example()));
  for (double x : {-2.0, 0.0, 0.5, 3.0})
    EXPECT_DOUBLE_EQ(evaluate(example(), x), 2 * (x * std::tanh(x) + std::max(x, 0.0)) - 1);
  EXPECT_EQ(recognised(example()).kind, kFunction);
}

TEST(Functions, AreInvalidWhereTheyCannotBeEvaluated) {
  const auto expect_invalid = [](auto change) {
    Activation function = example();
    change(function);
    EXPECT_FALSE(is_valid(function));
  };
  expect_invalid([](Activation& f) { f.steps.clear(); });
  expect_invalid([](Activation& f) { f.kind = kRelu; });
  expect_invalid([](Activation& f) { f.steps[2].left = 3; });
  expect_invalid([](Activation& f) { f.steps[1].right = 2; });
  expect_invalid([](Activation& f) { f.steps[0].function = kFunction; });
  expect_invalid([](Activation& f) { f.steps[4].alpha = std::numeric_limits<float>::infinity(); });
  expect_invalid([](Activation& f) { f.steps.resize(kMaxFunctionSteps + 1, f.steps.front()); });
  EXPECT_FALSE(is_valid({kElu, std::numeric_limits<float>::quiet_NaN()}));
}

TEST(Functions, AreRecognisedOnlyWhereTheyAreTheSame) {
  const Activation silu{
      kFunction, 0, 0, {{Kind::kApply, kSigmoid, 0, 0, 0, 0}, {Kind::kProduct, {}, 0, 0, 1, 0}}};
  EXPECT_EQ(recognised(silu).kind, kSilu);
  Activation scaled = silu;
  scaled.steps.push_back({Kind::kAffine, {}, 1.0001f, 0, 2, 2});
  EXPECT_EQ(recognised(scaled).kind, kFunction);
  const Activation one_step{kFunction, 0, 0, {{Kind::kApply, kGeluTanh, 0, 0, 0, 0}}};
  EXPECT_EQ(recognised(one_step).kind, kGeluTanh);
}

TEST(Limits, AreThoseOfReluAndClip) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  EXPECT_EQ(within({0, kLargest}).kind, kRelu);
  EXPECT_EQ(within({0, 6}).kind, kClip);
  EXPECT_EQ(within({-kLargest, 1}).kind, kClip);
  EXPECT_EQ(limits_of({kRelu})->low, 0);
  EXPECT_EQ(limits_of({kClip, -2, 3})->high, 3);
  EXPECT_FALSE(limits_of({kTanh}));
}

}  // namespace
}  // namespace tacit::graph
