// SPDX-License-Identifier: Apache-2.0
// The rotations of a chained layer (BsgsSplit::chained): sums of those that the plan has keys for.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ckks/rotation_tree.h"
#include "plan/bsgs.h"

namespace tacit::plan {

// The steps that these keys rotate by at `level`, in [-n/2, n/2), by ascending magnitude, the positive one of two first: in
// this order ties between shortest sums are broken. `degree` is the ring's.
std::vector<std::int64_t> steps_of(std::size_t degree, std::span<const ckks::KeyRequest> keys, int level);
// Brings steps into that order.
void sort_steps(std::vector<std::int64_t>& steps);

// The sums of steps that a layer's rotations may be.
struct ChainTables {
  ckks::ChainDomain transform;         // at the level of the layer's input
  std::vector<ckks::StepTable> folds;  // of each fold, a level below
};
// Of `before`, the steps at the level of the input, and `after`, those a level below.
ChainTables make_tables(const DiagonalIndices& diagonals, const std::vector<std::int64_t>& before,
                        const std::vector<std::int64_t>& after);
// Of the plan's keys.
ChainTables make_tables(const Plan& plan, const Linear& linear, const DiagonalIndices& diagonals);

// The rotations of one layer.
struct LayerChains {
  ckks::RotationChains transform;
  std::vector<std::vector<std::int64_t>> folds;  // of each fold its steps

  // Key-switched rotations of all inputs, and of all outputs.
  std::size_t babies() const;
  std::size_t giants() const;
};

// Nothing where the steps do not make up all rotations.
std::optional<LayerChains> make_chains(const DiagonalIndices& diagonals, const ckks::Bsgs& bsgs,
                                       const ChainTables& tables);

}  // namespace tacit::plan
