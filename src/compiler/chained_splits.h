// SPDX-License-Identifier: Apache-2.0
// Splits for the fewest and smallest keys: all layers are chained (ckks/chained_transform.h) and share a few steps.
#pragma once

#include "compiler/splits.h"

namespace tacit::compiler {

// The steps with which time plus kSmallKeysPrice for the bytes of keys is least, all layers being chained: powers of two,
// either way. Each has a key up to some level, and layers make their rotations of those that are there at theirs. A local
// search, beginning with the step 1 and again with all steps, adds, removes and replaces steps and lowers their levels for
// as long as that helps. The parameters matter by the proportions of prices only.
std::vector<StepLevel> find_steps(const ckks::Parameters& parameters, std::span<const LinearUse> layers);

// The splits for these steps, and the keys that they need. As choose_splits otherwise; the steps must be found for the same
// layers, in a ring of the same size.
Splits choose_chained_splits(const ckks::Parameters& parameters, std::span<const LinearUse> layers,
                             int relinearisation_level, std::span<const StepLevel> steps);

}  // namespace tacit::compiler
