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

// Of one layer.
struct LayerChains {
  ckks::ChainDomain domain;                      // of the transform
  ckks::RotationChains transform;                // at the level of the layer's input
  std::vector<std::vector<std::int64_t>> folds;  // of each fold its steps, a level below

  // Key-switched rotations of all inputs, and of all outputs.
  std::size_t babies() const;
  std::size_t giants() const;
};

// By `before`, the steps at the level of the input, and `after`, those a level below. Nothing where they do not make up all
// rotations.
std::optional<LayerChains> make_chains(const DiagonalIndices& diagonals, const ckks::Bsgs& bsgs,
                                       const std::vector<std::int64_t>& before,
                                       const std::vector<std::int64_t>& after);
// By the plan's keys.
std::optional<LayerChains> make_chains(const Plan& plan, const Linear& linear,
                                       const DiagonalIndices& diagonals, const ckks::Bsgs& bsgs);

}  // namespace tacit::plan
