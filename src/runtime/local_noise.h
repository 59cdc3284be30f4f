// SPDX-License-Identifier: Apache-2.0
// Noise in one place of a plan only, everything else in the clear: what that place alone costs at the output.
#pragma once

#include <optional>
#include <utility>

#include "runtime/noise.h"

namespace tacit::runtime {

// Satisfies PlanArithmetic. One simulation at a time; observe() must be its observer.
class LocalNoiseArithmetic {
 public:
  using Vector = ClearVector;

  // Disturbs the operation that makes `place`, or without one the encryption of what the client sends. As
  // NoiseArithmetic::create.
  static Result<LocalNoiseArithmetic> create(const ClearArithmetic& clear, std::uint64_t seed,
                                             std::optional<plan::ValueId> place) {
    TACIT_TRY(NoiseArithmetic noisy, NoiseArithmetic::create(clear, seed));
    return LocalNoiseArithmetic(clear, std::move(noisy), place);
  }

  // Stages run one after the other, each in the order of its operations: what was made last tells what is made next.
  Observer<ClearVector> observe() {
    return [this](plan::ValueId id, const ClearVector&) {
      if (next_ < order_.size() && order_[next_] == id) next_ = (next_ + 1) % order_.size();
    };
  }

  int level(const Vector& v) const { return clear_.level(v); }
  double scale(const Vector& v) const { return clear_.scale(v); }
  double prime(int level) const { return clear_.prime(level); }
  const plan::Plan& plan() const { return clear_.plan(); }

  Vector encrypt(std::vector<double> slots, int level, double scale, std::size_t period) {
    return place_ ? clear_.encrypt(std::move(slots), level, scale, period)
                  : noisy_.encrypt(std::move(slots), level, scale, period);
  }
  Result<Vector> multiply(const Vector& a, const Vector& b) {
    return here() ? noisy_.multiply(a, b) : clear_.multiply(a, b);
  }
  Result<Vector> square(const Vector& a) { return here() ? noisy_.square(a) : clear_.square(a); }
  Result<Vector> add(const Vector& a, const Vector& b) { return clear_.add(a, b); }
  Result<Vector> subtract(const Vector& a, const Vector& b) { return clear_.subtract(a, b); }
  Result<Vector> add_scalar(const Vector& a, double c) {
    return here() ? noisy_.add_scalar(a, c) : clear_.add_scalar(a, c);
  }
  Result<Vector> double_value(const Vector& a) { return clear_.double_value(a); }
  Result<Vector> drop(const Vector& a, int level) { return clear_.drop(a, level); }
  Result<Vector> weighted_sum(std::span<const Vector* const> vectors, std::span<const double> coefficients,
                              int target_level, double target_scale) {
    return here() ? noisy_.weighted_sum(vectors, coefficients, target_level, target_scale)
                  : clear_.weighted_sum(vectors, coefficients, target_level, target_scale);
  }
  Result<Vector> linear(const plan::Linear& operation, const Vector& v) {
    return here() ? noisy_.linear(operation, v) : clear_.linear(operation, v);
  }
  Result<Vector> rescaling(const Vector& v, double factor, double target_scale) {
    return here() ? noisy_.rescaling(v, factor, target_scale) : clear_.rescaling(v, factor, target_scale);
  }

 private:
  LocalNoiseArithmetic(const ClearArithmetic& clear, NoiseArithmetic noisy,
                       std::optional<plan::ValueId> place)
      : clear_(clear), noisy_(std::move(noisy)), place_(place) {
    for (const plan::Stage& stage : plan::stages_of(clear.plan()))
      for (std::size_t operation : stage.operations)
        order_.push_back(plan::output_of(clear.plan().operations[operation]));
  }
  bool here() const { return place_ && next_ < order_.size() && order_[next_] == *place_; }

  ClearArithmetic clear_;
  NoiseArithmetic noisy_;
  std::optional<plan::ValueId> place_;
  std::vector<plan::ValueId> order_;  // in which the values are made
  std::size_t next_ = 0;
};

}  // namespace tacit::runtime
