// SPDX-License-Identifier: Apache-2.0
// Which rotations the linear layers are made of, and which switching keys that takes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ckks/cost.h"
#include "plan/bsgs.h"

namespace tacit::compiler {

// One linear layer: its diagonals and the level of its input.
struct LinearUse {
  const plan::DiagonalIndices* diagonals = nullptr;
  int level = 0;
};

struct Splits {
  std::vector<plan::BsgsSplit> splits;  // one for each linear layer
  std::vector<ckks::KeyRequest> keys;   // all that the plan needs, ascending
  std::uint64_t key_bytes = 0;          // as they travel (ckks::key_bytes)
  double milliseconds = 0;              // of the linear layers, by fixed_unit_costs
};

// A rotation that there is a key for, up to a level.
struct StepLevel {
  std::int64_t step = 0;
  int level = 0;

  friend bool operator==(const StepLevel&, const StepLevel&) = default;
};

// What keys there may be.
struct KeyGoal {
  std::uint64_t budget = 0;  // the keys should fit so many bytes
  // The fewest and smallest keys are wanted, whatever they take in time (kSmallKeysPrice): layers may be chained, with
  // these steps.
  std::optional<std::vector<StepLevel>> steps;
};

// Minimises time plus a price for the bytes of keys, one layer after the other until nothing changes;
// rotations that several layers use have one key, at the highest of their levels. The price begins at
// kBytePrice and doubles until the keys fit the budget or nothing gets smaller; where there are steps, all
// layers are chained instead if that is worth it (chained_splits.h). Deterministic: time counts kernels with
// fixed weights. `relinearisation_level` as in plan/key_plan.h.
Splits choose_splits(const ckks::Parameters& parameters, std::span<const LinearUse> layers,
                     int relinearisation_level, const KeyGoal& goal);

// Milliseconds that a megabyte of keys is worth: it is made, sent and stored once, but read for every image.
inline constexpr double kBytePrice = 0.02;
// The same where keys shall be few and small: a key is worth about twenty rotations by it for each image.
inline constexpr double kSmallKeysPrice = 10;

// Kernels' times in fixed proportions, for choices that must not depend on the machine.
ckks::UnitCosts fixed_unit_costs(const ckks::Parameters& parameters);

// The shape of a key of this level: the largest digits for which key switching adds less noise than the
// rounding that comes with it. Where all its uses are followed by a division by a prime (giants,
// relinearisation), noise is divided as well, and digits may be larger, which makes keys smaller and faster.
ckks::KeyShape key_shape(const ckks::Parameters& parameters, int level, bool rescaled);

}  // namespace tacit::compiler
