// SPDX-License-Identifier: Apache-2.0
// A plan with client steps in turns: what the server computes in each request, and what crosses to and fro. The server keeps
// nothing between requests: a value of an earlier stage comes back as the ciphertext that it went out as.
#pragma once

#include <span>
#include <vector>

#include "plan/plan.h"

namespace tacit::plan {

// One request: the operations that can be computed once the client steps before it are done.
struct Stage {
  std::vector<std::size_t> operations;  // indices into Plan::operations, ascending
  std::vector<ValueId> inputs;   // ascending; values that the client has or was given in an earlier stage
  std::vector<ValueId> outputs;  // ascending; those that client steps, later stages or the client need
};

// By operation: the number of the stage it belongs to; of a client step, how many stages come before it.
std::vector<std::size_t> stage_numbers(const Plan& plan);
// At least one. The plan's operations read only values made before them.
std::vector<Stage> stages_of(const Plan& plan);

// Whether nothing but the client makes the value: the plan's input and the results of client steps.
std::vector<bool> made_by_client(const Plan& plan);

}  // namespace tacit::plan
