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

// max(t, 0) has no better polynomial of degree n than about this over n (Bernstein: 0.2802 / 2).
constexpr double kBestRelu = 0.14;
constexpr int kBisections = 16;

// The composition of these degrees with the smallest epsilon whose error is not larger than this; nothing where even that is off
// by more than half of it near 0.
Result<std::optional<SignComposition>> of_error(std::span<const std::size_t> degrees, double error) {
  double all = 1;
  for (std::size_t degree : degrees) all *= static_cast<double>(degree);
  if (kBestRelu / (all + 1) > error / 2) return std::optional<SignComposition>();
  // epsilon = 2^-low is large enough, 2^-high is not.
  double low = 0.5, high = 1 - std::log2(error);
  std::optional<SignComposition> best;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = i == 0 ? low : (low + high) / 2;
    TACIT_TRY(SignComposition composition, compose_sign(degrees, std::exp2(-middle)));
    if (composition.error > error) {
      if (i == 0) return std::optional<SignComposition>();
      high = middle;
    } else {
      low = middle;
      best = std::move(composition);
    }
  }
  return best->kink <= error / 2 ? std::move(best) : std::optional<SignComposition>();
}

// All compositions of so many levels whose degrees do not fall; `best` is the one with the fewest products that is precise enough.
Status search(std::vector<std::size_t>& degrees, int levels, double error,
              std::optional<SignComposition>& best) {
  if (levels == 0) {
    TACIT_TRY(std::optional<SignComposition> found, of_error(degrees, error));
    if (found && (!best || found->products() < best->products())) best = std::move(found);
    return {};
  }
  for (std::size_t degree : kDegrees) {
    const int left = levels - ckks::chebyshev_depth(degree);
    if (left < 0 || (!degrees.empty() && degree < degrees.back())) continue;
    degrees.push_back(degree);
    TACIT_CHECK(search(degrees, left, error, best));
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
      TACIT_TRY(std::optional<SignComposition> candidate, of_error(degrees, error));
      if (!candidate || candidate->products() > best.products()) continue;
      best = std::move(*candidate);
      changed = true;
    }
  }
  return best;
}

// The largest |t| |p(t) - 1| / 2 for 0 <= t <= 1, on a grid that is finer near 0.
double kink_of(const SignComposition& composition) {
  constexpr int kPoints = 2048;
  double largest = composition.error / 2;
  for (int i = 1; i <= kPoints; ++i) {
    const double t = composition.epsilon * i / kPoints;
    largest = std::max(largest, t * std::abs(composition(t) - 1) / 2);
  }
  return largest;
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
  composition.kink = kink_of(composition);
  return composition;
}

Result<SignComposition> sign_of_precision(int bits) {
  if (bits < kMinSignBits || bits > kMaxSignBits)
    return Error{ErrorCode::kCompileInternal,
                 "a sign of " + std::to_string(bits) + " bits of precision was asked for"};
  const double error = std::ldexp(1.0, 1 - bits);
  for (int levels = ckks::chebyshev_depth(kDegrees[0]); levels <= kMostLevels; ++levels) {
    std::optional<SignComposition> best;
    std::vector<std::size_t> degrees;
    TACIT_CHECK(search(degrees, levels, error, best));
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

double SignGate::bound() const { return 2 * range * std::abs(form.odd) * sign.kink; }

}  // namespace tacit::compiler
