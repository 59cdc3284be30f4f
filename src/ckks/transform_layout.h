// SPDX-License-Identifier: Apache-2.0
// What linear transforms are made of, whichever way they rotate: the terms of a matrix, in order and checked, and how a term
// is encoded.
#pragma once

#include <map>
#include <vector>

#include "ckks/bsgs.h"
#include "ckks/encoder.h"

namespace tacit::ckks {

struct TransformTerm {
  std::int64_t baby = 0;
  std::vector<double> values;  // repeated over the slots; the length divides their number, or 0 is for none
  std::vector<double> shifted = {};  // as `values`; only where there is a shift
  std::uint32_t input = 0;
};

struct TransformGroup {
  std::int64_t giant = 0;
  std::vector<TransformTerm> terms;
  std::uint32_t output = 0;
};

// A matrix by its diagonals: (M x)[t] = sum over d of values_d[t] x[t + d], for x that repeats with `period`, a power
// of two that divides the number of slots.
struct TransformDiagonals {
  std::size_t period = 0;
  std::map<std::size_t, std::vector<double>> values;  // d in [0, period); each as TransformTerm::values

  std::vector<DiagonalIndex> indices() const;
  // kInvalidArgument where the period, an index or a number of values is not as above.
  Status check(std::size_t slots) const;
  // Grouped by this split (make_bsgs). kInvalidArgument also where its width is 0 or its shift is no power of two below the
  // period.
  Result<std::vector<TransformGroup>> groups(std::size_t slots, BsgsSplit split) const;
};

// Groups without their values.
struct TransformLayout {
  std::uint32_t inputs = 1;
  std::vector<BsgsBaby> babies;              // ascending
  std::vector<std::int64_t> giants;          // of each group
  std::vector<std::size_t> ends;             // of each group: the number of terms up to its last
  std::vector<std::size_t> ends_of_outputs;  // of each output: the number of groups up to its last
  std::vector<std::uint32_t> term_babies;    // of each term: which of `babies`

  // kLevelMismatch below level 1; kInvalidArgument where groups or terms are empty, outputs are not counted from 0 or do not
  // ascend without a gap, or the shift is neither 0 nor a power of two.
  static Result<TransformLayout> create(const std::vector<TransformGroup>& groups, int level,
                                        std::size_t shift);

  std::size_t outputs() const { return ends_of_outputs.size(); }
  // The first group of an output.
  std::size_t first_group(std::size_t output) const { return output == 0 ? 0 : ends_of_outputs[output - 1]; }
  // Its terms name no diagonals.
  Bsgs bsgs(std::size_t shift) const;
  // Whether these can be multiplied: as many as there are inputs, of this level, two parts and one scale. kLevelMismatch,
  // kScaleMismatch.
  Status check(std::span<const Ciphertext> given, int level) const;
};

// Into a row of `out`: the values, or what complex folding makes of them (LinearTransform). As Encoder::encode_constant.
Status encode_term(const Encoder& encoder, const TransformTerm& term, std::size_t shift, double scale,
                   int level, ring::Constants& out, std::size_t row);

// a + i b, in the sense of encode_term's folded values.
Ciphertext add_times_i(const Parameters& parameters, const Ciphertext& a, const Ciphertext& b);

}  // namespace tacit::ckks
