// SPDX-License-Identifier: Apache-2.0
#include "plan/bsgs.h"

namespace tacit::plan {

ckks::Bsgs make_bsgs(const DiagonalIndices& diagonals, BsgsSplit split) {
  return ckks::make_bsgs(diagonals.indices, diagonals.modulus, split);
}

std::vector<double> bsgs_plaintext(const Diagonals& diagonals, std::int64_t step, std::int64_t giant,
                                   const ckks::DiagonalIndex& diagonal) {
  // The rotations add up to step + giant, which may be another member of d's class than d. D_d of one class are the
  // same where T <= R (they repeat with T in d), and shifted against each other where T > R.
  const std::int64_t moved =
      diagonals.folds.empty() ? 0 : step + giant - static_cast<std::int64_t>(diagonal.index);
  return ckks::rotate_values(diagonals.diagonals.at(diagonal), moved - giant);
}

}  // namespace tacit::plan
