// SPDX-License-Identifier: Apache-2.0
// A matrix times an encrypted vector as one operation: diagonals, baby-step giant-step with double hoisting (Halevi and
// Shoup 2018, section 4; Bossuat et al. 2021, section 4). The babies share one splitting into digits and stay modulo
// QP, each giant divides one polynomial by P, and one division by P q_level ends it all. The vector and its product may be
// several ciphertexts each: babies then serve all outputs, and a giant rotates the sum over all inputs.
//
// With complex folding (Bsgs::shift) the input becomes x~ = x + i rot_shift(x), and the product w + conj(w): twice the
// real part of w, for which the diagonals are halved. A rotation before and a conjugation after halve the products, and
// the babies or the giants.
#pragma once

#include <vector>

#include "ckks/evaluator.h"
#include "ckks/transform_layout.h"

namespace tacit::ckks {

// For each output the sum over its groups of rot_giant(sum over terms of values * rot_baby(x_input)
// + shifted * rot_(baby + shift)(x_input)). Immutable; safe to share between threads.
class LinearTransform {
 public:
  using Term = TransformTerm;
  using Group = TransformGroup;
  using Diagonals = TransformDiagonals;
  using Domain = TransformDomain;
  // Giants are summed up in as many chains as there may be threads, each with a sum of its own.
  static constexpr std::size_t chains(std::size_t outputs) { return outputs > 1 ? 1 : 2; }

  // Encodes the values at `scale`. Errors of TransformLayout::create; kValueOutOfRange where a value does not fit its
  // scale.
  static Result<LinearTransform> create(const Encoder& encoder, const std::vector<Group>& groups,
                                        const Domain& domain, double scale, std::size_t shift = 0);
  // By TransformDiagonals::groups, with its errors.
  static Result<LinearTransform> create(const Encoder& encoder, const Diagonals& diagonals,
                                        const Domain& domain, double scale, BsgsSplit split);
  // By the split that takes the least time at these costs (choose_split).
  static Result<LinearTransform> create(const Encoder& encoder, const Diagonals& diagonals,
                                        const Domain& domain, double scale, const UnitCosts& unit);

  // The product, one level below its input; its scale is input scale * scale / q_level. As many inputs as inputs(), all of
  // one scale. kKeyMissing, kLevelMismatch, kScaleMismatch.
  Result<AlignedVector<Ciphertext>> apply(const Evaluator& evaluator, std::span<const Ciphertext> inputs,
                                          const EvaluationKeys& keys) const;
  // For one input and one output; kLevelMismatch where there are more.
  Result<Ciphertext> apply(const Evaluator& evaluator, const Ciphertext& input,
                           const EvaluationKeys& keys) const;

  std::size_t inputs() const { return layout_.inputs; }
  std::size_t outputs() const { return layout_.outputs(); }

  // The keys that apply needs, at the domain's level and with its digits: one for each rotation, ascending elements. A
  // rotation that is a baby and a giant has the baby's digits; folding's keys have them too, the conjugation's a level
  // below.
  std::vector<KeyRequest> key_requests(const Parameters& parameters) const;
  // What apply does with such keys, all steps being less than the number of slots.
  KernelCounts counts() const;

  std::size_t memory_bytes() const { return values_.memory_bytes(); }

 private:
  // What rotates the input to be a baby: nothing for the identity.
  struct Rotation {
    const SwitchingKey* key = nullptr;
    const ring::Automorphism* automorphism = nullptr;
    std::size_t digits = 0;  // which of several
    Addend rest;             // what the key does not switch
  };

  LinearTransform() = default;
  // The key for a step that is not the identity, if its special primes are those of the domain.
  Result<const SwitchingKey*> find_key(const Evaluator& evaluator, std::int64_t step,
                                       const EvaluationKeys& keys) const;
  // For each group the sum of its products with babies, P times too large, modulo QP.
  Result<AlignedVector<ExtendedPair>> multiply(const Evaluator& evaluator, std::span<const Ciphertext> inputs,
                                               const EvaluationKeys& keys) const;
  // The products of one output, rotated by their giants, added up and divided.
  Result<Ciphertext> sum_up(const Evaluator& evaluator, std::span<ExtendedPair> products,
                            std::span<const std::int64_t> giants, const EvaluationKeys& keys) const;
  // A group's sum of products, rotated by its giant step, into `sum`. The product is used up.
  Status add_rotated(const Evaluator& evaluator, std::int64_t giant, ExtendedPair& product,
                     const EvaluationKeys& keys, ExtendedPair& sum, Into into) const;

  Domain domain_;
  double scale_ = 1;
  std::size_t shift_ = 0;
  TransformLayout layout_;
  ring::Constants values_;  // a row for each term
};

}  // namespace tacit::ckks
