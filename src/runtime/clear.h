// SPDX-License-Identifier: Apache-2.0
// A plan on plain numbers: the same diagonals, rotations, levels and scales as on ciphertexts, without encryption. It
// tells whether the packing and the schedule are right, and is the base of the noise simulation.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "plan/bsgs.h"
#include "runtime/execute.h"

namespace tacit::runtime {

// One period of what a term multiplies its baby with, and of what it multiplies the baby rotated further by the shift with;
// empty where there is none.
struct PreparedTerm {
  std::vector<double> direct, shifted;
};

// A linear layer made ready to be applied to slot vectors.
struct PreparedLinear {
  ckks::Bsgs bsgs;
  std::vector<PreparedTerm> terms;  // groups after each other in the order of bsgs.groups
  std::vector<std::size_t> folds;
  std::vector<double> bias;  // one period of the output
};

// Everything about a layer that does not depend on the arithmetic; `plan` must be valid.
PreparedLinear prepare_linear(const plan::Plan& plan, const plan::Linear& operation);

// out[t] = in[(t + step) mod in.size()].
std::vector<double> rotate(std::span<const double> in, std::int64_t step);
// sum += periodic * x and sum += periodic, `periodic` repeated; its length divides that of `sum`.
void add_product(std::span<double> sum, std::span<const double> periodic, std::span<const double> x);
void add_repeated(std::span<double> sum, std::span<const double> periodic);

// All slots of a value's ciphertexts, after each other, with their bookkeeping.
struct ClearVector {
  std::vector<double> slots;
  int level = 0;
  double scale = 1;
};

// Satisfies PlanArithmetic. Copies share the prepared layers; the copies of one may be used on different threads.
class ClearArithmetic {
 public:
  using Vector = ClearVector;

  // `plan` must be valid (Plan::validate) and outlive this and its copies.
  explicit ClearArithmetic(const plan::Plan& plan);

  // The slots of the plan's input, at its level and scale.
  Vector input(std::vector<double> slots);

  int level(const Vector& v) const { return v.level; }
  double scale(const Vector& v) const { return v.scale; }
  double prime(int level) const;
  Result<Vector> multiply(const Vector& a, const Vector& b);
  Result<Vector> square(const Vector& a);
  Result<Vector> add(const Vector& a, const Vector& b);
  Result<Vector> subtract(const Vector& a, const Vector& b);
  Result<Vector> add_scalar(const Vector& a, double c);
  Result<Vector> double_value(const Vector& a);
  Result<Vector> drop(const Vector& a, int level);
  Result<Vector> weighted_sum(std::span<const Vector* const> vectors, std::span<const double> coefficients,
                              int target_level, double target_scale);
  Result<Vector> linear(const plan::Linear& operation, const Vector& v);
  Result<Vector> rescaling(const Vector& v, double factor, double target_scale);

  const plan::Plan& plan() const { return *plan_; }
  const PreparedLinear& prepared(const plan::Linear& operation) const;

  // The pieces of linear(), for arithmetics that disturb what is in between. A baby and, under complex folding, the same
  // rotated further by the shift.
  struct RotatedBaby {
    std::vector<double> direct, shifted;
  };
  // Called with each group's sum of products, rotated by its giant.
  using GroupObserver = std::function<void(std::vector<double>& sum, std::int64_t giant)>;
  std::span<const double> slots_of(const Vector& v, std::size_t ciphertext) const;
  // The sums of all groups, output after output, without folds and bias.
  std::vector<double> sum_groups(const PreparedLinear& layer, std::span<const RotatedBaby> babies,
                                 const GroupObserver& observe) const;
  void add_bias(const PreparedLinear& layer, std::span<double> slots) const;

 private:
  const plan::Plan* plan_;
  // By the output value of the layer; empty for other values.
  std::shared_ptr<const std::vector<PreparedLinear>> prepared_;
};

// The network's outputs for one preprocessed tensor, under an arithmetic on ClearVector: what a client would decrypt.
// kTensorShape for a tensor of another size.
template <class A>
Result<std::vector<float>> simulate(const plan::ClientHalf& half, A& arithmetic,
                                    std::span<const float> tensor) {
  const plan::Plan& plan = arithmetic.plan();
  const std::size_t slots_of_all = plan.slots * ciphertext_count(half.input, half.input_period, plan.slots);
  TACIT_TRY(auto slots,
            plan::pack(half.input, half.input_period, slots_of_all, tensor, 1 / half.input_range));
  TACIT_TRY(auto output, execute(plan, arithmetic, arithmetic.input(std::move(slots))));
  return plan::unpack(half.output, output.slots, half.output_range);
}

}  // namespace tacit::runtime
