// SPDX-License-Identifier: Apache-2.0
#include "graph/activation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace tacit::graph {
namespace {

double clamp(double x, double low, double high) {
  const double raised = x < low ? low : x;
  return raised > high ? high : raised;
}

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double elu(double x, double alpha) { return x >= 0 ? x : alpha * std::expm1(x); }

double apply(ActivationKind kind, double alpha, double beta, double x) {
  switch (kind) {
    case ActivationKind::kRelu:
      return x < 0 ? 0 : x;
    case ActivationKind::kLeakyRelu:
      return x >= 0 ? x : alpha * x;
    case ActivationKind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case ActivationKind::kTanh:
      return std::tanh(x);
    case ActivationKind::kSilu:
      return x / (1 + std::exp(-x));
    case ActivationKind::kHardSigmoid:
      return clamp(alpha * x + beta, 0, 1);
    case ActivationKind::kHardSwish:
      return x * clamp(x / 6 + 0.5, 0, 1);
    case ActivationKind::kErf:
      return std::erf(x);
    case ActivationKind::kGelu:
      return x * std::erfc(-x / std::numbers::sqrt2) / 2;
    case ActivationKind::kGeluTanh:
      return x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))) / 2;
    case ActivationKind::kElu:
      return elu(x, alpha);
    case ActivationKind::kSelu:
      return beta * elu(x, alpha);
    case ActivationKind::kSoftplus:
      return std::isnan(x) ? x : softplus(x);
    case ActivationKind::kMish:
      return std::isnan(x) ? x : x * std::tanh(softplus(x));
    case ActivationKind::kClip:
      return clamp(x, alpha, beta);
    case ActivationKind::kFunction:
      break;
  }
  return x;
}

double run(const std::vector<FunctionStep>& steps, double x) {
  std::array<double, kMaxFunctionSteps + 1> numbers;
  numbers[0] = x;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const FunctionStep& step = steps[i];
    const double left = numbers[step.left], right = numbers[step.right];
    switch (step.kind) {
      case FunctionStep::Kind::kAffine:
        numbers[i + 1] = step.alpha * left + step.beta;
        break;
      case FunctionStep::Kind::kApply:
        numbers[i + 1] = apply(step.function, step.alpha, step.beta, left);
        break;
      case FunctionStep::Kind::kSum:
        numbers[i + 1] = left + right;
        break;
      case FunctionStep::Kind::kProduct:
        numbers[i + 1] = left * right;
        break;
    }
  }
  return numbers[steps.size()];
}

}  // namespace

std::string_view name_of(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kRelu:
      return "Relu";
    case ActivationKind::kLeakyRelu:
      return "LeakyRelu";
    case ActivationKind::kSigmoid:
      return "Sigmoid";
    case ActivationKind::kTanh:
      return "Tanh";
    case ActivationKind::kSilu:
      return "Silu";
    case ActivationKind::kHardSigmoid:
      return "HardSigmoid";
    case ActivationKind::kHardSwish:
      return "HardSwish";
    case ActivationKind::kErf:
      return "Erf";
    case ActivationKind::kGelu:
    case ActivationKind::kGeluTanh:
      return "Gelu";
    case ActivationKind::kElu:
      return "Elu";
    case ActivationKind::kSelu:
      return "Selu";
    case ActivationKind::kSoftplus:
      return "Softplus";
    case ActivationKind::kMish:
      return "Mish";
    case ActivationKind::kClip:
      return "Clip";
    case ActivationKind::kFunction:
      return "Function";
  }
  return "Activation";
}

double evaluate(const Activation& activation, double x) {
  if (activation.kind == ActivationKind::kFunction) return run(activation.steps, x);
  return apply(activation.kind, activation.alpha, activation.beta, x);
}

bool is_valid(const Activation& activation) {
  if (!std::isfinite(activation.alpha) || !std::isfinite(activation.beta)) return false;
  const std::vector<FunctionStep>& steps = activation.steps;
  if ((activation.kind == ActivationKind::kFunction) == steps.empty() || steps.size() > kMaxFunctionSteps)
    return false;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const FunctionStep& step = steps[i];
    const bool ordered = step.left <= i && step.right <= i;
    if (!ordered || step.function == ActivationKind::kFunction || !std::isfinite(step.alpha) ||
        !std::isfinite(step.beta))
      return false;
  }
  return true;
}

std::optional<Limits> limits_of(const Activation& activation) {
  if (activation.kind == ActivationKind::kRelu) return Limits{0, std::numeric_limits<float>::max()};
  if (activation.kind == ActivationKind::kClip) return Limits{activation.alpha, activation.beta};
  return std::nullopt;
}

Activation within(const Limits& limits) {
  if (limits.low == 0 && limits.high == std::numeric_limits<float>::max()) return {ActivationKind::kRelu};
  return {ActivationKind::kClip, limits.low, limits.high};
}

Activation recognised(Activation function) {
  // Beyond this all of them are straight lines; the two forms of Gelu differ by 5e-4 in between.
  constexpr double kEnd = 12;
  constexpr int kPoints = 480;
  constexpr double kTolerance = 2e-6;
  for (ActivationKind kind : {ActivationKind::kSilu, ActivationKind::kHardSwish, ActivationKind::kGelu,
                              ActivationKind::kGeluTanh, ActivationKind::kMish}) {
    bool same = true;
    for (int i = 0; i <= kPoints && same; ++i) {
      const double x = kEnd * (2.0 * i / kPoints - 1), wanted = apply(kind, 0, 0, x);
      same = std::abs(evaluate(function, x) - wanted) <= kTolerance * (1 + std::abs(wanted));
    }
    if (same) return {kind};
  }
  return function;
}

}  // namespace tacit::graph
