// SPDX-License-Identifier: Apache-2.0
// A matrix times an encrypted vector as one operation: diagonals, baby-step giant-step, hoisted babies, and a single
// division by P q_level at the end (Halevi and Shoup 2018, section 4; Bossuat et al. 2021, section 4).
#pragma once

#include <vector>

#include "ckks/encoder.h"
#include "ckks/evaluator.h"

namespace tacit::ckks {

// sum over groups of rot_giant(sum over terms of values * rot_baby(x)).
class LinearTransform {
 public:
  struct Term {
    std::int64_t baby = 0;
    std::vector<double> values;  // repeated over the slots; the length divides their number
  };
  struct Group {
    std::int64_t giant = 0;
    std::vector<Term> terms;
  };

  // Encodes the values at `scale` for inputs of level `level` (at least 1). Groups and terms must not be empty.
  static Result<LinearTransform> create(const Encoder& encoder, const std::vector<Group>& groups, int level,
                                        double scale);

  // The product, one level below its input; its scale is input scale * scale / q_level. kKeyMissing, kLevelMismatch.
  Result<Ciphertext> apply(const Evaluator& evaluator, const Ciphertext& input,
                           const EvaluationKeys& keys) const;

  std::size_t memory_bytes() const;

 private:
  struct EncodedTerm {
    std::size_t baby = 0;  // index into babies_
    ring::Poly values;     // NTT, Montgomery form
  };
  struct EncodedGroup {
    std::int64_t giant = 0;
    std::vector<EncodedTerm> terms;
  };

  LinearTransform() = default;
  Result<std::vector<Ciphertext>> rotate_babies(const Evaluator& evaluator, const Ciphertext& input,
                                                const EvaluationKeys& keys) const;
  Ciphertext sum_products(const Parameters& parameters, const EncodedGroup& group,
                          const std::vector<Ciphertext>& babies) const;
  // The group's sum, rotated by its giant step, added to `sum`.
  Status add_group(const Evaluator& evaluator, const EncodedGroup& group,
                   const std::vector<Ciphertext>& babies, const EvaluationKeys& keys,
                   ExtendedPair& sum) const;

  int level_ = 0;
  double scale_ = 1;
  std::vector<std::int64_t> babies_;
  std::vector<EncodedGroup> groups_;
};

}  // namespace tacit::ckks
