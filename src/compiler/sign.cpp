// SPDX-License-Identifier: Apache-2.0
#include "compiler/sign.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "ckks/chebyshev.h"
#include "compiler/minimax.h"

namespace tacit::compiler {

namespace {

// The highest odd degrees that 2, 3, 4 and 5 levels evaluate.
constexpr std::size_t kDegrees[] = {3, 7, 15, 31};
constexpr int kMostLevels = 16;

ChebyshevSeries series_of(const OddMinimax& minimax) {
  ChebyshevSeries series{minimax.high, std::vector<double>(2 * minimax.coefficients.size(), 0)};
  for (std::size_t k = 0; k < minimax.coefficients.size(); ++k)
    series.coefficients[2 * k + 1] = minimax.coefficients[k];
  return series;
}

// Whether sign_of_precision may end with this, or go on from it: fewer levels, or as many and fewer products.
bool cheaper(const SignComposition& a, const SignComposition& b) {
  return std::pair(a.levels(), a.products()) < std::pair(b.levels(), b.products());
}

// All compositions of at most so many levels whose degrees do not fall; `best` is the cheapest one that is precise enough.
Status search(std::vector<std::size_t>& degrees, int levels, double epsilon, double error,
              std::optional<SignComposition>& best) {
  if (!degrees.empty()) {
    TACIT_TRY(SignComposition composition, compose_sign(degrees, epsilon));
    if (composition.error <= error) {
      if (!best || cheaper(composition, *best)) best = std::move(composition);
      return {};
    }
  }
  for (std::size_t degree : kDegrees) {
    const int left = levels - ckks::chebyshev_depth(degree);
    if (left < 0 || (!degrees.empty() && degree < degrees.back())) continue;
    degrees.push_back(degree);
    TACIT_CHECK(search(degrees, left, epsilon, error, best));
    degrees.pop_back();
  }
  return {};
}

// Lower degrees of as many levels, as long as they are precise enough and save products.
Result<SignComposition> trimmed(SignComposition best, double error) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < best.stages.size(); ++i) {
      std::vector<std::size_t> degrees = best.degrees();
      degrees[i] -= 2;
      if (ckks::chebyshev_depth(degrees[i]) < ckks::chebyshev_depth(degrees[i] + 2)) continue;
      TACIT_TRY(SignComposition candidate, compose_sign(degrees, best.epsilon));
      if (candidate.error > error) continue;
      best = std::move(candidate);
      changed = true;
    }
  }
  return best;
}

}  // namespace

double SignComposition::operator()(double t) const {
  for (const ChebyshevSeries& stage : stages) t = stage(t);
  return t;
}

std::vector<std::size_t> SignComposition::degrees() const {
  std::vector<std::size_t> result;
  for (const ChebyshevSeries& stage : stages) result.push_back(stage.degree());
  return result;
}

int SignComposition::levels() const {
  int sum = 0;
  for (const ChebyshevSeries& stage : stages) sum += ckks::chebyshev_depth(stage.degree());
  return sum;
}

std::size_t SignComposition::products() const {
  std::size_t sum = 0;
  for (const ChebyshevSeries& stage : stages) sum += ckks::chebyshev_products(stage.coefficients);
  return sum;
}

Result<SignComposition> compose_sign(std::span<const std::size_t> degrees, double epsilon) {
  SignComposition composition;
  composition.epsilon = epsilon;
  double low = epsilon, high = 1;
  for (std::size_t degree : degrees) {
    TACIT_TRY(const OddMinimax minimax, odd_minimax(low, high, degree));
    composition.stages.push_back(series_of(minimax));
    composition.error = minimax.error;
    low = 1 - minimax.error - kStageRoom;
    high = 1 + minimax.error + kStageRoom;
  }
  return composition;
}

Result<SignComposition> sign_of_precision(int bits) {
  if (bits < kMinSignBits || bits > kMaxSignBits)
    return Error{ErrorCode::kCompileInternal,
                 "a sign of " + std::to_string(bits) + " bits of precision was asked for"};
  const double epsilon = std::ldexp(1.0, -bits), error = 2 * epsilon;
  // Level by level, so that no deeper composition is looked at than need be.
  for (int levels = ckks::chebyshev_depth(kDegrees[0]); levels <= kMostLevels; ++levels) {
    std::optional<SignComposition> best;
    std::vector<std::size_t> degrees;
    TACIT_CHECK(search(degrees, levels, epsilon, error, best));
    if (best) return trimmed(std::move(*best), error);
  }
  return Error{ErrorCode::kCompileInternal, "no composition reaches " + std::to_string(bits) + " bits"};
}

std::optional<SignForm> sign_form(const Activation& activation) {
  using Kind = FunctionStep::Kind;
  const auto kinked = [](ActivationKind kind) {
    return kind == ActivationKind::kRelu || kind == ActivationKind::kLeakyRelu;
  };
  if (activation.kind == ActivationKind::kFunction) {
    // Sums and multiples of such functions are such functions.
    for (const FunctionStep& step : activation.steps) {
      const bool fits = (step.kind == Kind::kAffine && step.beta == 0) || step.kind == Kind::kSum ||
                        (step.kind == Kind::kApply && kinked(step.function));
      if (!fits) return std::nullopt;
    }
  } else if (!kinked(activation.kind)) {
    return std::nullopt;
  }
  const double right = tacit::evaluate(activation, 1), left = -tacit::evaluate(activation, -1);
  if (right == left) return std::nullopt;  // a multiple of x
  return SignForm{(right + left) / 2, (right - left) / 2};
}

double SignGate::operator()(double x) const { return x * (form.even + form.odd * sign(x / range)); }

double SignGate::bound() const {
  return range * std::abs(form.odd) * std::max(sign.error, sign.epsilon * (2 + sign.error));
}

}  // namespace tacit::compiler
