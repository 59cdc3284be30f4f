// SPDX-License-Identifier: Apache-2.0
// The baby-step giant-step grouping of a linear layer's diagonals (Halevi and Shoup 2018, section 4): which rotations
// of the input are multiplied by what, and how the products are rotated into place.
#pragma once

#include <span>
#include <vector>

#include "plan/plan.h"

namespace tacit::plan {

// One product: the rotated input number `baby` times the plaintext E[t] = D_diagonal[(t + shift) mod period].
struct BsgsTerm {
  std::size_t baby = 0;
  std::size_t diagonal = 0;
  std::size_t shift = 0;
};

// The products that are rotated together, by `giant` (0: not at all).
struct BsgsGroup {
  std::int64_t giant = 0;
  std::vector<BsgsTerm> terms;
};

// y = sum over groups of rot_giant(sum over terms of E * rot_baby(x)). Steps are in [-modulus/2, modulus/2).
struct Bsgs {
  std::vector<std::int64_t> babies;  // ascending; 0 among them only where a term uses it
  std::vector<BsgsGroup> groups;     // ascending giants

  // Plaintext products: the number of diagonals.
  std::size_t products() const;
  // Rotations that need a key switch: steps other than 0.
  std::size_t rotated_babies() const;
  std::size_t rotated_giants() const;
};

Bsgs make_bsgs(const DiagonalIndices& diagonals, BsgsSplit split);

// One period of the plaintext of a term of make_bsgs(diagonals.indices(), ...).
std::vector<double> bsgs_plaintext(const Diagonals& diagonals, const BsgsTerm& term);

}  // namespace tacit::plan
