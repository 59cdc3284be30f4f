// SPDX-License-Identifier: Apache-2.0
// A plan on plain numbers: the same diagonals, rotations, levels and scales as on ciphertexts, without encryption. It
// tells whether the packing and the schedule are right, and is the base of the noise simulation.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "plan/bsgs.h"
#include "runtime/execute.h"

namespace tacit::runtime {

// A linear layer made ready to be applied to slot vectors.
struct PreparedLinear {
  ckks::Bsgs bsgs;
  // One period of each term's plaintext, groups after each other in the order of bsgs.groups.
  std::vector<std::vector<double>> plaintexts;
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

// All n slots, as a ciphertext would hold them, with its bookkeeping.
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

  // A vector of plan.slots numbers at the level and scale of the plan's input.
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
  TACIT_TRY(auto slots, plan::pack(half.input, half.input_period, plan.slots, tensor, 1 / half.input_range));
  TACIT_TRY(auto output, execute(plan, arithmetic, arithmetic.input(std::move(slots))));
  return plan::unpack(half.output, output.slots, half.output_range);
}

}  // namespace tacit::runtime
