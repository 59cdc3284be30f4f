// SPDX-License-Identifier: Apache-2.0
// Functions of one number, which a network applies element by element.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tacit {

enum class ActivationKind {
  kRelu,         // max(x, 0)
  kLeakyRelu,    // x for x >= 0, alpha x below
  kSigmoid,      // 1 / (1 + exp(-x))
  kTanh,         //
  kSilu,         // x sigmoid(x)
  kHardSigmoid,  // alpha x + beta, kept within 0 and 1
  kHardSwish,    // x hardsigmoid(x) with alpha = 1/6 and beta = 1/2
  kErf,          // the error function
  kGelu,         // x (1 + erf(x / sqrt 2)) / 2
  kGeluTanh,     // x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
  kElu,          // x for x >= 0, alpha (exp(x) - 1) below
  kSelu,         // beta times Elu
  kSoftplus,     // log(1 + exp(x))
  kMish,         // x tanh(softplus(x))
  kClip,         // x, kept within alpha and beta; beta where alpha is larger
  kFunction,     // what Activation::steps say
};

// One number of a function, computed from those before it: number 0 is the argument, number k the result of
// step k - 1, and `left` and `right` are such numbers.
struct FunctionStep {
  enum class Kind {
    kAffine,   // alpha left + beta
    kApply,    // `function` with its alpha and beta, of left; never kFunction
    kSum,      // left + right
    kProduct,  // left right
  };
  Kind kind = Kind::kAffine;
  ActivationKind function = ActivationKind::kRelu;  // kApply only
  float alpha = 0;
  float beta = 0;
  std::uint32_t left = 0;
  std::uint32_t right = 0;
};

struct Activation {
  ActivationKind kind = ActivationKind::kRelu;
  float alpha = 0;
  float beta = 0;
  std::vector<FunctionStep> steps = {};  // kFunction only: at least one, the last one's number is the value
};

// No function has more steps.
inline constexpr std::size_t kMaxFunctionSteps = 64;

// "Relu", "Gelu" ...: what the function is called in messages.
std::string_view name_of(ActivationKind kind);

// The value at x, in double precision. NaN stays NaN.
double evaluate(const Activation& activation, double x);

// Whether its steps are a function as said above, and its constants finite.
bool is_valid(const Activation& activation);

// The interval to which Relu and Clip keep their values; nothing for others.
struct Limits {
  float low, high;
};
std::optional<Limits> limits_of(const Activation& activation);
// The function that keeps its values in there: Relu from 0 to the largest float, else Clip.
Activation within(const Limits& limits);

// Silu, HardSwish, Gelu (both forms) or Mish for a kFunction that nowhere differs from it by more than the
// rounding of its constants to float32; else the function itself.
Activation recognised(Activation function);

}  // namespace tacit
