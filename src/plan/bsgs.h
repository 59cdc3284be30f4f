// SPDX-License-Identifier: Apache-2.0
// The baby-step giant-step grouping of a linear layer's diagonals (ckks/bsgs.h), and its plaintexts.
#pragma once

#include <vector>

#include "ckks/bsgs.h"
#include "plan/plan.h"

namespace tacit::plan {

// y = sum over groups of rot_giant(sum over terms of E * rot_baby(x) + E' * rot_(baby + shift)(x)). Steps are in
// [-modulus/2, modulus/2), or in [0, modulus) where the split is chained.
ckks::Bsgs make_bsgs(const DiagonalIndices& diagonals, BsgsSplit split);

// One period of the plaintext E of the diagonal that is met by the input rotated by `step` in all before and by `giant` in
// all after the product: rotated by -giant, and where the layer has folds, step + giant is another member of the diagonal's
// class.
std::vector<double> bsgs_plaintext(const Diagonals& diagonals, std::int64_t step, std::int64_t giant,
                                   const ckks::DiagonalIndex& diagonal);

}  // namespace tacit::plan
