// SPDX-License-Identifier: Apache-2.0
// A plan on plain numbers: the same diagonals, rotations, levels and scales as on ciphertexts, without encryption. It
// tells whether the packing and the schedule are right, and is the base of the noise simulation.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "plan/chains.h"
#include "plan/run_steps.h"
#include "runtime/execute.h"

namespace tacit::runtime {

// One period of what a term multiplies its baby with, and of what it multiplies the baby rotated further by the shift with;
// empty where there is none.
struct PreparedTerm {
  std::vector<double> direct, shifted;
};

// A linear layer made ready to be applied to slot vectors.
struct PreparedLinear {
  // Where a ciphertext has one slot for an image (Plan::slots): the matrix itself; nothing else below but the bias.
  std::vector<plan::SparseRow> rows;
  ckks::Bsgs bsgs;
  std::vector<PreparedTerm> terms;  // groups after each other in the order of bsgs.groups
  std::vector<std::size_t> folds;
  // Of a chained layer; the latter where the plan's keys make up its rotations.
  std::optional<plan::ChainTables> tables;
  std::optional<plan::LayerChains> chains;
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

  // Fresh slots, repeating with `period`.
  Vector encrypt(std::vector<double> slots, int level, double scale, std::size_t period);
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
  // The rows' products with x, and the bias.
  std::vector<double> multiply_rows(const PreparedLinear& layer, std::span<const double> x) const;

 private:
  const plan::Plan* plan_;
  // By the output value of the layer; empty for other values.
  std::shared_ptr<const std::vector<PreparedLinear>> prepared_;
};

// The way of values in a simulation under an arithmetic on ClearVector (plan/run_steps.h).
template <class A>
class SimulatedWay {
 public:
  SimulatedWay(A& arithmetic, const Observer<ClearVector>& observer)
      : arithmetic_(arithmetic), observer_(observer), stages_(plan::stages_of(arithmetic.plan())) {}

  Result<ClearVector> encrypt(const plan::ClientValue& value, const plan::Tensors& tensors) {
    const std::size_t slots = arithmetic_.plan().slots;
    TACIT_TRY(auto packed, plan::pack(value.layout, value.period,
                                      slots * ciphertext_count(value.layout, value.period, slots), tensors[0],
                                      1 / value.range));
    return arithmetic_.encrypt(std::move(packed), value.level, value.scale, value.period);
  }
  Result<plan::Tensors> decrypt(const plan::ClientValue& value, const ClearVector& v) {
    TACIT_TRY(auto tensor, plan::unpack(value.layout, v.slots, value.range));
    return plan::Tensors{std::move(tensor)};
  }
  Result<std::vector<ClearVector>> ask(std::size_t stage, std::vector<ClearVector> inputs) {
    return execute_stage(arithmetic_.plan(), stages_[stage], arithmetic_, std::move(inputs), {}, observer_);
  }

 private:
  A& arithmetic_;
  const Observer<ClearVector>& observer_;
  std::vector<plan::Stage> stages_;
};

// The network's outputs for one preprocessed tensor, under an arithmetic on ClearVector: what a client would decrypt.
// kTensorShape for a tensor of another size.
template <class A>
Result<std::vector<float>> simulate(const plan::ClientHalf& half, A& arithmetic,
                                    std::span<const float> tensor,
                                    const Observer<ClearVector>& observer = {}) {
  if (tensor.size() != half.input_shape().elements())
    return Error{ErrorCode::kTensorShape, "the tensor has " + std::to_string(tensor.size()) +
                                              " elements, the model's input has " +
                                              std::to_string(half.input_shape().elements())};
  TACIT_TRY(plan::Tensors outputs,
            plan::run_steps<ClearVector>(half, {{tensor.begin(), tensor.end()}}, half.output,
                                         SimulatedWay<A>(arithmetic, observer)));
  return std::move(outputs.front());
}

}  // namespace tacit::runtime
