// SPDX-License-Identifier: Apache-2.0
// What a plan costs on ciphertexts: rotations and products, and how often these call the ring's kernels (ckks/cost.h).
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ckks/cost.h"
#include "plan/key_plan.h"
#include "runtime/execute.h"

namespace tacit::runtime {

struct Cost : ckks::KernelCounts {
  std::uint64_t babies = 0, giants = 0, folds = 0;  // key-switched rotations by their place
  std::uint64_t complex_folds = 0;                  // shifts before and conjugations after a layer
  std::uint64_t plaintext_products = 0;             // a ciphertext by a plaintext or a constant
  std::uint64_t ciphertext_products = 0;            // with relinearisation

  std::uint64_t rotations() const { return babies + giants + folds + complex_folds; }
  using ckks::KernelCounts::operator+=;
  Cost& operator+=(const Cost& other);
  Cost& operator*=(std::size_t times);
  friend bool operator==(const Cost&, const Cost&) = default;
};

// One layer whose keys are of the domain's shapes, those of folds as of babies. What the compiler compares splits with.
Cost linear_cost(const plan::DiagonalIndices& diagonals, plan::BsgsSplit split,
                 const ckks::TransformDomain& domain);
// One chained layer; ShapeOf: callable from a RotationUse without an operation to the ckks::KeyShape of its key.
using ShapeOf = std::function<Result<ckks::KeyShape>(const plan::RotationUse& use)>;
Result<Cost> chained_cost(const ckks::Bsgs& bsgs, const plan::LayerChains& chains, std::size_t slots,
                          int level, const ShapeOf& shape_of);

struct CostVector {
  int level = 0;
  double scale = 1;
  std::size_t ciphertexts = 1;
};

// Satisfies PlanArithmetic; counts what the ciphertext path does.
class CostArithmetic {
 public:
  using Vector = CostVector;

  // `plan` must be valid and outlive this. `diagonals` are those of its linear operations in their order, where the caller
  // has them. Errors of Parameters::create.
  static Result<CostArithmetic> create(const plan::Plan& plan,
                                       std::span<const plan::DiagonalIndices> diagonals = {});

  // A value that the client sends.
  Vector input(plan::ValueId id) const;
  // What has been counted since the last call.
  Cost take() { return std::exchange(cost_, Cost{}); }

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

 private:
  CostArithmetic(const plan::Plan& plan, const ckks::Parameters& parameters,
                 std::span<const plan::DiagonalIndices> diagonals);
  Result<ckks::KeyShape> shape_of(std::uint32_t element) const;
  // A layer by rotations; one by numbers.
  Result<Cost> transform_cost(const plan::Linear& operation) const;
  Result<Cost> chained_layer_cost(const plan::Linear& operation,
                                  const plan::DiagonalIndices& diagonals) const;
  Cost scalar_cost(const plan::Linear& operation) const;

  const plan::Plan* plan_;
  ckks::Parameters parameters_;
  std::map<std::uint32_t, ckks::KeyShape> shapes_;
  std::map<plan::ValueId, const plan::DiagonalIndices*> diagonals_;  // by the layer's output
  Cost cost_;
};

// A plan's cost, operation by operation.
struct PlanCost {
  struct Entry {
    std::string name;  // of the operation's output value
    Cost cost;
    int levels = 0;  // from its first operand down to it
  };
  std::vector<Entry> operations;  // as Plan::operations
  Cost total;
  int levels = 0;  // of the stage that takes most: from its inputs to its outputs
};
Result<PlanCost> cost_of(const plan::Plan& plan, std::span<const plan::DiagonalIndices> diagonals = {});

}  // namespace tacit::runtime
