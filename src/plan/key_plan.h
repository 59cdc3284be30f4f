// SPDX-License-Identifier: Apache-2.0
// Which switching keys a schedule needs, and at which levels.
#pragma once

#include <vector>

#include "plan/chains.h"

namespace tacit::plan {

enum class RotationRole { kBaby, kGiant, kFold, kShift, kConjugation };

// One rotation of a linear layer, by `step` in [-n/2, n/2), not 0, of a ciphertext at `level`; or the conjugation, without a
// step. Babies, giants and the shift of complex folding are key-switched at the level of the layer's input (giants
// before the one division that ends the layer), conjugation and folds after it, at the level of the output.
struct RotationUse {
  std::size_t operation = 0;  // index into Plan::operations
  RotationRole role = RotationRole::kBaby;
  std::int64_t step = 0;
  int level = 0;
};

// Its automorphism.
std::uint32_t element_of(const ckks::Parameters& parameters, const RotationUse& use);

// Every rotation of every Linear, in the order of the operations; of chained ones as the plan's keys make them up. The plan's
// maps, layouts and periods must be valid.
std::vector<RotationUse> required_rotations(const Plan& plan);
// Those of one linear layer that is not chained, and of one that is.
std::vector<RotationUse> required_rotations(const DiagonalIndices& diagonals, BsgsSplit split,
                                            int input_level);
std::vector<RotationUse> required_rotations(const LayerChains& chains, std::size_t slots, BsgsSplit split,
                                            int input_level);

// The highest level at which a product of two ciphertexts is relinearised; -1 where there is none.
int relinearisation_level(const Plan& plan);

// How keys are to be shaped: see ckks::KeyShape.
struct KeyPolicy {
  int digit_size = 1;
  int special_count = 1;
};

// One request for each automorphism that the plan uses, at the highest level it is used at, ascending: what belongs
// into Plan::keys. Chained layers get powers of two.
std::vector<ckks::KeyRequest> key_requests(const ckks::Parameters& parameters, const Plan& plan,
                                           const KeyPolicy& policy = {});

}  // namespace tacit::plan
