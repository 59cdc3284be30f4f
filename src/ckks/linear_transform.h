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

#include <map>
#include <vector>

#include "ckks/bsgs.h"
#include "ckks/encoder.h"
#include "ckks/evaluator.h"

namespace tacit::ckks {

// For each output the sum over its groups of rot_giant(sum over terms of values * rot_baby(x_input)
// + shifted * rot_(baby + shift)(x_input)). Immutable; safe to share between threads.
class LinearTransform {
 public:
  struct Term {
    std::int64_t baby = 0;
    std::vector<double> values;  // repeated over the slots; the length divides their number, or 0 is for none
    std::vector<double> shifted = {};  // as `values`; only where there is a shift
    std::uint32_t input = 0;
  };
  struct Group {
    std::int64_t giant = 0;
    std::vector<Term> terms;
    std::uint32_t output = 0;
  };
  // A matrix by its diagonals: (M x)[t] = sum over d of values_d[t] x[t + d], for x that repeats with `period`, a power
  // of two that divides the number of slots.
  struct Diagonals {
    std::size_t period = 0;
    std::map<std::size_t, std::vector<double>> values;  // d in [0, period); each as Term::values
  };
  using Domain = TransformDomain;
  // Giants are summed up in as many chains as there may be threads, each with a sum of its own.
  static constexpr std::size_t chains(std::size_t outputs) { return outputs > 1 ? 1 : 2; }

  // Encodes the values at `scale`. Groups and terms must not be empty, outputs be counted from 0 and ascend without a gap,
  // the shift be 0 or a power of two (kInvalidArgument); kValueOutOfRange where a value does not fit its scale.
  static Result<LinearTransform> create(const Encoder& encoder, const std::vector<Group>& groups,
                                        const Domain& domain, double scale, std::size_t shift = 0);
  // Groups the diagonals by this split (make_bsgs). kInvalidArgument also where the period, an index or a number of values
  // is not as above, the width is 0 or the shift is no power of two below the period.
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

  std::size_t inputs() const { return inputs_; }
  std::size_t outputs() const { return ends_of_outputs_.size(); }

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
  };

  LinearTransform() = default;
  Status check(std::span<const Ciphertext> inputs) const;
  // The key for a step that is not the identity, if its special primes are those of the domain.
  Result<const SwitchingKey*> find_key(const Evaluator& evaluator, std::int64_t step,
                                       const EvaluationKeys& keys) const;
  // For each group the sum of its products with babies, P times too large, modulo QP.
  Result<AlignedVector<ExtendedPair>> multiply(const Evaluator& evaluator, std::span<const Ciphertext> inputs,
                                               const EvaluationKeys& keys) const;
  // The products of one output, rotated by their giants, added up and divided.
  Result<Ciphertext> sum_up(const Evaluator& evaluator, std::span<ExtendedPair> products,
                            std::span<const std::int64_t> giants, const EvaluationKeys& keys) const;
  // A piece of the rotated input, P times too large, modulo QP.
  void rotate(const KeySwitcher& switcher, const Ciphertext& input, const AlignedVector<Digits>& digits,
              const Rotation& rotation, const Piece& piece, u64* out0, u64* out1) const;
  // A group's sum of products, rotated by its giant step, into `sum`. The product is used up.
  Status add_rotated(const Evaluator& evaluator, std::int64_t giant, ExtendedPair& product,
                     const EvaluationKeys& keys, ExtendedPair& sum, Into into) const;

  Domain domain_;
  double scale_ = 1;
  std::size_t shift_ = 0;
  std::uint32_t inputs_ = 1;
  std::vector<BsgsBaby> babies_;              // ascending
  std::vector<std::int64_t> giants_;          // of each group
  std::vector<std::size_t> ends_;             // of each group: the number of terms up to its last
  std::vector<std::size_t> ends_of_outputs_;  // of each output: the number of groups up to its last
  std::vector<std::uint32_t> term_babies_;    // of each term: which of babies_
  ring::Constants values_;                    // a row for each term
};

}  // namespace tacit::ckks
