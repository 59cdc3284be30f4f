// SPDX-License-Identifier: Apache-2.0
// Baby-step giant-step: how the diagonals of a matrix are grouped, so that a matrix-vector product takes about the square
// root of their number in rotations (Halevi and Shoup 2018, section 4).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ckks/cost.h"

namespace tacit::ckks {

// Diagonal number `diagonal` times the rotated input number `baby`.
struct BsgsTerm {
  std::size_t baby = 0;
  std::size_t diagonal = 0;
};

// The products that are rotated together, by `giant` (0: not at all).
struct BsgsGroup {
  std::int64_t giant = 0;
  std::vector<BsgsTerm> terms;
};

// diagonal = baby + giant modulo `modulus`, for every diagonal once. Giants are in [-modulus/2, modulus/2).
struct Bsgs {
  std::vector<std::int64_t> babies;  // ascending; 0 among them only where a term uses it
  std::vector<BsgsGroup> groups;     // ascending giants

  // Plaintext products: the number of diagonals.
  std::size_t products() const;
  // Rotations that need a key switch: steps other than 0.
  std::size_t rotated_babies() const;
  std::size_t rotated_giants() const;
};

// Babies in [-width/2, width/2), giants nearest multiples of `width`. The diagonals are different numbers in
// [0, modulus), `modulus` is a power of two, `width` is at least 1; from `modulus` on it means babies only.
Bsgs make_bsgs(std::span<const std::size_t> diagonals, std::size_t modulus, std::size_t width);

// out[t] = values[(t + step) modulo their number]: what pre-rotates a diagonal.
std::vector<double> rotate_values(std::vector<double> values, std::int64_t step);

// The widths that choose_split compares, ascending: the powers of two up to `modulus`, and 3/4 of each from 4 on. The
// best of all widths is within a factor of about 1.2 of one of these, where the time is nearly flat.
std::vector<std::size_t> split_widths(std::size_t modulus);

// What LinearTransform::apply does for these groups, with keys of the domain's shapes.
TransformShape transform_shape(const Bsgs& bsgs, const TransformDomain& domain);

// The width of split_widths with the least estimated time; the narrowest of several. As make_bsgs otherwise.
std::size_t choose_split(std::span<const std::size_t> diagonals, std::size_t modulus,
                         const TransformDomain& domain, const UnitCosts& unit);

}  // namespace tacit::ckks
