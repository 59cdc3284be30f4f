// SPDX-License-Identifier: Apache-2.0
#include "plan/bsgs.h"

namespace tacit::plan {

ckks::Bsgs make_bsgs(const DiagonalIndices& diagonals, BsgsSplit split) {
  return ckks::make_bsgs(diagonals.indices, diagonals.modulus, split.width);
}

std::vector<double> bsgs_plaintext(const Diagonals& diagonals, std::int64_t baby, std::int64_t giant,
                                   std::size_t diagonal) {
  // The rotations add up to baby + giant, which may be another member of d's class than d. D_d of one class are the
  // same where T <= R (they repeat with T in d), and shifted against each other where T > R.
  const std::int64_t moved = diagonals.folds.empty() ? 0 : baby + giant - static_cast<std::int64_t>(diagonal);
  return ckks::rotate_values(diagonals.diagonals.at(diagonal), moved - giant);
}

}  // namespace tacit::plan
