// SPDX-License-Identifier: Apache-2.0
// What leaves the server: the outputs of stages, and what has to be seen to so that they tell of the network no more than their
// elements (docs/decisions/0001-model-privacy.md).
#pragma once

#include <optional>
#include <vector>

#include "plan/stages.h"

namespace tacit::plan {

// The level at which a stage's output leaves: that of its value where a later stage takes it back; else it is dropped as far as
// it fits, with room for four times its bound, for most to 0. What is above the last prime is only known from computing it.
int result_level(const Plan& plan, ValueId id);

// What the slots without an element hold in each output of a stage, in its own unit. It is one number: layers leave 0 there,
// because their matrices have no row for such a slot, and what is computed slot by slot makes the same of all of them. The plan
// must be valid.
std::vector<double> unused_slots(const Plan& plan, const Stage& stage);

// For each slot of all ciphertexts of the value, repeated with its period (one period where that is shorter): whether it has an
// element.
std::vector<bool> used_slots(const Layout& layout, std::size_t period);

// The highest result_level of all stages' outputs; -1 where there is none.
int highest_result_level(const Plan& plan);

// Whether one of the keys has a digit that encrypts zero at that level (ckks::zero_digit): with it results are re-randomised.
bool can_rerandomise(const std::vector<ckks::KeyRequest>& keys, int level);
// The key that a plan asks for where none of `keys`, which are all that its operations use, does: for an automorphism that no
// operation has. Nothing where one does, or where the parameters have no such key.
std::optional<ckks::KeyRequest> missing_zero_key(const ckks::Parameters& parameters,
                                                 const std::vector<ckks::KeyRequest>& keys, int level);
// Puts it among the plan's keys, which stay in order.
void add_zero_key(const ckks::Parameters& parameters, Plan& plan);

}  // namespace tacit::plan
