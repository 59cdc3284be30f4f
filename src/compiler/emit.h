// SPDX-License-Identifier: Apache-2.0
// The plan, once everything is decided; and its check against the network.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "compiler/network.h"
#include "compiler/normalise.h"
#include "compiler/pack.h"
#include "compiler/splits.h"
#include "plan/plan.h"

namespace tacit::compiler {

// A network with everything that does not depend on the ring.
struct Schedule {
  Network network;
  Normalisation normalisation;
  std::vector<Packing> packing;       // by value
  std::vector<int> levels;            // by value
  std::vector<double> bounds;         // by value, of |stored| on the calibration images
  std::vector<plan::LinearMap> maps;  // for each linear layer in order, normalised
  bool by_elements = false;           // a ciphertext for each element (plan::Plan::slots)

  // The highest level of a value.
  int depth() const { return *std::max_element(levels.begin(), levels.end()); }
  std::size_t largest_period() const;
};

enum class PackingStyle {
  kImage,     // an image on the slots
  kElements,  // a ciphertext for each element
};

// Folds ranges and offsets into maps: stored_out = (range_in / range_out) M stored_in + (M offset_in + bias -
// offset_out) / range_out. compile.unsupported, naming the node, where a layer's weights are all zero;
// compile.precision where values are beyond 2^40 or below 2^-40.
Result<Schedule> make_schedule(Network network, std::span<const Range> calibrated, double margin,
                               PackingStyle style = PackingStyle::kImage);

// For each linear layer in order its diagonals in a ring of so many slots. compile.unsupported, naming the node, where a whole
// ciphertext of a layer's result does not depend on the image.
Result<std::vector<plan::DiagonalIndices>> layer_diagonals(const Schedule& schedule, std::size_t slots);

// Each linear layer with its diagonals, which must outlive this; none by elements.
std::vector<LinearUse> linear_uses(const Schedule& schedule,
                                   std::span<const plan::DiagonalIndices> diagonals);

// The plan for a ring and a scale, not validated. `diagonals` are layer_diagonals for the ring; none are needed by elements.
// The keys are chosen here, see splits.h.
Result<plan::Plan> make_plan(const Schedule& schedule, const ckks::Parameters& parameters, double scale,
                             const KeyGoal& keys, std::span<const plan::DiagonalIndices> diagonals);
// compile.too-wide where the plan is more than can be run, compile.internal where it is not valid otherwise.
Status check_plan(const plan::Plan& plan);

}  // namespace tacit::compiler
