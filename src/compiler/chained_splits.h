// SPDX-License-Identifier: Apache-2.0
// Splits for the fewest and smallest keys: all layers are chained (ckks/chained_transform.h) and share a few steps.
#pragma once

#include "compiler/splits.h"

namespace tacit::compiler {

// Minimises time plus kSmallKeysPrice for the bytes of keys. Steps are powers of two, either way; each has a key up to
// some level, and layers make their rotations of those that are there at theirs. A local search, beginning with the step 1
// and again with all steps, adds, removes and replaces steps and lowers their levels for as long as that helps. As
// choose_splits otherwise.
Splits choose_chained_splits(const ckks::Parameters& parameters, std::span<const LinearUse> layers,
                             int relinearisation_level);

}  // namespace tacit::compiler
