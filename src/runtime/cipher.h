// SPDX-License-Identifier: Apache-2.0
// A plan on ciphertexts.
#pragma once

#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "ckks/chained_transform.h"
#include "ckks/linear_transform.h"
#include "ckks/scalar_matrix.h"
#include "runtime/execute.h"

namespace tacit::runtime {

// A linear layer with its diagonals encoded.
struct EncodedLinear {
  std::variant<ckks::LinearTransform, ckks::ChainedTransform> transform;
  std::vector<std::vector<std::int64_t>>
      folds;                          // of each the steps that make it up: one, unless the layer is chained
  std::vector<ckks::Plaintext> bias;  // for each output ciphertext; empty where there is none
};

// Where a ciphertext has one slot for an image, a layer multiplies ciphertexts by numbers and rotates nothing.
using EncodedLayer = std::variant<EncodedLinear, ckks::ScalarMatrix>;

// The layers of a plan, encoded once for any number of runs. Immutable; safe to share between threads.
class EncodedPlan {
 public:
  // `plan` must be valid and outlive this. kValueOutOfRange, naming the layer, where a weight does not fit its scale.
  static Result<EncodedPlan> create(const plan::Plan& plan, const ckks::Parameters& parameters);

  const plan::Plan& plan() const { return *plan_; }
  const ckks::Evaluator& evaluator() const { return *evaluator_; }
  const EncodedLayer& layer(const plan::Linear& operation) const { return *layers_[operation.output]; }
  std::size_t memory_bytes() const;

 private:
  explicit EncodedPlan(const plan::Plan& plan) : plan_(&plan) {}
  const plan::Plan* plan_;
  std::unique_ptr<const ckks::Evaluator> evaluator_;
  std::vector<std::unique_ptr<const EncodedLayer>> layers_;  // by the output value of the layer
};

// Satisfies PlanArithmetic.
class CipherArithmetic {
 public:
  using Vector = CipherVector;

  // Both must outlive this; the keys must be all that the plan needs.
  CipherArithmetic(const EncodedPlan& encoded, const ckks::EvaluationKeys& keys)
      : encoded_(&encoded), keys_(&keys) {}

  int level(const Vector& v) const { return v.front().level(); }
  double scale(const Vector& v) const { return v.front().scale; }
  double prime(int level) const;
  Result<Vector> multiply(const Vector& a, const Vector& b);
  Result<Vector> square(const Vector& a);
  Result<Vector> add(const Vector& a, const Vector& b);
  Result<Vector> add_scalar(const Vector& a, double c);
  Result<Vector> double_value(const Vector& a);
  Result<Vector> drop(const Vector& a, int level);
  Result<Vector> weighted_sum(std::span<const Vector* const> vectors, std::span<const double> coefficients,
                              int target_level, double target_scale);
  Result<Vector> linear(const plan::Linear& operation, const Vector& v);
  Result<Vector> rescaling(const Vector& v, double factor, double target_scale);

 private:
  Result<Vector> transform(const EncodedLinear& layer, double scale, const Vector& v);
  const ckks::Evaluator& evaluator() const { return encoded_->evaluator(); }
  const EncodedPlan* encoded_;
  const ckks::EvaluationKeys* keys_;
};

}  // namespace tacit::runtime
