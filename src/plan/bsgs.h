// SPDX-License-Identifier: Apache-2.0
// The baby-step giant-step grouping of a linear layer's diagonals (ckks/bsgs.h), and its plaintexts.
#pragma once

#include <vector>

#include "ckks/bsgs.h"
#include "plan/plan.h"

namespace tacit::plan {

// y = sum over groups of rot_giant(sum over terms of E * rot_baby(x)). Steps are in [-modulus/2, modulus/2).
ckks::Bsgs make_bsgs(const DiagonalIndices& diagonals, BsgsSplit split);

// One period of the plaintext E of the term with this baby and giant: its diagonal, rotated by -giant, and where the
// layer has folds by as much as baby + giant is another member of the diagonal's class.
std::vector<double> bsgs_plaintext(const Diagonals& diagonals, std::int64_t baby, std::int64_t giant,
                                   std::size_t diagonal);

}  // namespace tacit::plan
