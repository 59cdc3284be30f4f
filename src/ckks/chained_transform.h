// SPDX-License-Identifier: Apache-2.0
// A matrix times an encrypted vector with few keys. Where LinearTransform takes a key for every baby and every giant, this
// one makes babies one from another by the few steps that there are keys for, and sums up the products of the groups on the
// way back to the giant 0 (Horner's scheme): each rotation is a whole key switch modulo Q, and one rescaling ends it all.
// More and slower rotations are the price, and the rounding errors of all that led to a baby are in it; those of giants are
// divided by q_level.
#pragma once

#include <vector>

#include "ckks/evaluator.h"
#include "ckks/rotation_tree.h"
#include "ckks/transform_layout.h"

namespace tacit::ckks {

// The sum that LinearTransform computes. Immutable; safe to share between threads.
class ChainedTransform {
 public:
  // For inputs at `level`, at least 1. Encodes the values at `scale`. Errors of TransformLayout::create; kKeyMissing where the
  // steps do not make up all rotations, kValueOutOfRange where a value does not fit its scale.
  static Result<ChainedTransform> create(const Encoder& encoder, const std::vector<TransformGroup>& groups,
                                         int level, const ChainDomain& domain, double scale,
                                         std::size_t shift = 0);

  // The product, one level below its input; its scale is input scale * scale / q_level. As many inputs as inputs(), all of
  // one scale. kKeyMissing, kLevelMismatch, kScaleMismatch.
  Result<AlignedVector<Ciphertext>> apply(const Evaluator& evaluator, std::span<const Ciphertext> inputs,
                                          const EvaluationKeys& keys) const;

  std::size_t inputs() const { return layout_.inputs; }
  std::size_t outputs() const { return layout_.outputs(); }
  const RotationChains& rotations() const { return rotations_; }

  std::size_t memory_bytes() const;

 private:
  // An input's ciphertext at each node of its tree.
  using Rotated = AlignedVector<Ciphertext>;

  ChainedTransform() = default;
  Result<Rotated> rotate_input(const Evaluator& evaluator, const Ciphertext& input, const RotationTree& tree,
                               const EvaluationKeys& keys) const;
  // A group's sum of products.
  Ciphertext multiply(const Parameters& parameters, std::size_t group,
                      const AlignedVector<const Ciphertext*>& babies) const;
  // An output, before its rescaling.
  Result<Ciphertext> sum_up(const Evaluator& evaluator, std::size_t output,
                            const AlignedVector<const Ciphertext*>& babies, const EvaluationKeys& keys) const;

  int level_ = 1;
  double scale_ = 1;
  std::size_t shift_ = 0;
  TransformLayout layout_;
  RotationChains rotations_;
  std::vector<ring::Constants> values_;  // of each group: a row for each of its terms
};

}  // namespace tacit::ckks
