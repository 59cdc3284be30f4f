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

// Folds ranges and offsets into maps: stored_out = (range_in / range_out) M stored_in + (M offset_in + bias -
// offset_out) / range_out. compile.unsupported, naming the node, where a layer's weights are all zero;
// compile.precision where values are beyond 2^40 or below 2^-40.
Result<Schedule> make_schedule(Network network, std::span<const Range> calibrated, double margin,
                               bool by_elements = false);

// The plan for a ring and a scale. The keys are chosen here, see splits.h.
Result<plan::Plan> make_plan(const Schedule& schedule, const ckks::Parameters& parameters, double scale,
                             std::uint64_t key_budget);

}  // namespace tacit::compiler
