// SPDX-License-Identifier: Apache-2.0
// Baby-step giant-step: how the diagonals of a matrix are grouped, so that a matrix-vector product takes about the square
// root of their number in rotations (Halevi and Shoup 2018, section 4). A matrix too large for one ciphertext is cut into
// blocks, one for each pair of an output and an input ciphertext: babies then serve all outputs, giants all inputs.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ckks/cost.h"

namespace tacit::ckks {

// A diagonal of one block: y_output[t] += D[t] x_input[t + index].
struct DiagonalIndex {
  std::uint32_t output = 0, input = 0;
  std::size_t index = 0;

  friend auto operator<=>(const DiagonalIndex&, const DiagonalIndex&) = default;
};

// The diagonals `direct` and `shifted`, each if there, times the rotated input number `baby`, and times the same rotated
// further by the shift (complex folding, see make_bsgs).
struct BsgsTerm {
  std::size_t baby = 0;
  std::optional<std::size_t> direct, shifted;  // DiagonalIndex::index
};

// The products that are rotated together, by `giant` (0: not at all), and belong to one output.
struct BsgsGroup {
  std::int64_t giant = 0;
  std::vector<BsgsTerm> terms;
  std::uint32_t output = 0;
};

// A rotation of one of the inputs.
struct BsgsBaby {
  std::uint32_t input = 0;
  std::int64_t step = 0;

  friend auto operator<=>(const BsgsBaby&, const BsgsBaby&) = default;
};

// diagonal = baby + giant modulo `modulus`, for every diagonal once. Giants are in [-modulus/2, modulus/2), chained ones in
// [0, modulus).
struct Bsgs {
  std::vector<BsgsBaby> babies;   // ascending; step 0 among them only where a term uses it
  std::vector<BsgsGroup> groups;  // by ascending output, then giant
  std::size_t shift = 0;          // of complex folding; 0 where there is none

  // Plaintext products: the number of terms.
  std::size_t products() const;
  // Rotations that need a key switch: steps other than 0.
  std::size_t rotated_babies() const;
  std::size_t rotated_giants() const;
  std::uint32_t inputs() const;   // one more than the highest that a term uses
  std::uint32_t outputs() const;  // that have a group
};

// How diagonals are grouped. Babies are in [-width/2, width/2), giants nearest multiples of `width`; a width of 1 means
// giants only, the modulus or more babies only. A `shift` other than 0, a power of two below the modulus, folds: real
// slots leave the imaginary part free, so that the product of x + i rot_shift(x) with D_d - i D_(d + shift) has the sum of
// both diagonals' products as its real part. A term then stands for d, which has a zero at the shift's bit, and d + shift.
// `chained` is for a ChainedTransform, to which only the gaps between rotations matter: babies are in [0, width), and both go
// one way from 0, so that two steps are enough.
struct BsgsSplit {
  std::size_t width = 1;
  std::size_t shift = 0;
  bool chained = false;

  friend bool operator==(const BsgsSplit&, const BsgsSplit&) = default;
};

// The diagonals are different, their indices below `modulus`, a power of two; `split.width` is at least 1.
Bsgs make_bsgs(std::span<const DiagonalIndex> diagonals, std::size_t modulus, BsgsSplit split);
// Of a matrix of one block.
std::vector<DiagonalIndex> one_block(std::span<const std::size_t> indices);

// out[t] = values[(t + step) modulo their number]: what pre-rotates a diagonal.
std::vector<double> rotate_values(std::vector<double> values, std::int64_t step);

// The widths that choose_split compares, ascending: the powers of two up to `modulus`, and 3/4 of each from 4 on. The
// best of all widths is within a factor of about 1.2 of one of these, where the time is nearly flat.
std::vector<std::size_t> split_widths(std::size_t modulus);
// Every width with no shift and with each that is a power of two below the modulus.
std::vector<BsgsSplit> splits_for(std::size_t modulus);

// What LinearTransform::apply does for these groups, with keys of the domain's shapes.
TransformShape transform_shape(const Bsgs& bsgs, const TransformDomain& domain);

// That of splits_for with the least estimated time; the first of several. As make_bsgs otherwise.
BsgsSplit choose_split(std::span<const DiagonalIndex> diagonals, std::size_t modulus,
                       const TransformDomain& domain, const UnitCosts& unit);

}  // namespace tacit::ckks
