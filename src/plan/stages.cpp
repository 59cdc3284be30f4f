// SPDX-License-Identifier: Apache-2.0
#include "plan/stages.h"

#include <algorithm>
#include <set>

namespace tacit::plan {

std::vector<bool> made_by_client(const Plan& plan) {
  std::vector<bool> result(plan.values.size(), false);
  result[plan.input] = true;
  for (const Operation& operation : plan.operations)
    if (const auto* step = std::get_if<ClientStep>(&operation)) result[step->output] = true;
  return result;
}

std::vector<std::size_t> stage_numbers(const Plan& plan) {
  // By value: how many stages must have been run before a client has it, or (made by the server) the stage it is made in.
  std::vector<std::size_t> time(plan.values.size(), 0);
  const std::vector<bool> by_client = made_by_client(plan);
  std::vector<std::size_t> numbers;
  for (const Operation& operation : plan.operations) {
    const bool client = std::holds_alternative<ClientStep>(operation);
    std::size_t number = 0;
    for (ValueId input : inputs_of(operation))
      number = std::max(number, time[input] + (client && !by_client[input] ? 1 : 0));
    time[output_of(operation)] = number;
    numbers.push_back(number);
  }
  return numbers;
}

std::vector<Stage> stages_of(const Plan& plan) {
  const std::vector<std::size_t> numbers = stage_numbers(plan);
  const std::vector<bool> by_client = made_by_client(plan);
  std::vector<Stage> stages(1);
  std::vector<std::size_t> made_in(plan.values.size(), 0);
  std::vector<std::set<ValueId>> inputs(1), outputs(1);
  const auto reach = [&](std::size_t count) {
    if (stages.size() >= count) return;
    stages.resize(count), inputs.resize(count), outputs.resize(count);
  };
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const Operation& operation = plan.operations[i];
    const bool client = std::holds_alternative<ClientStep>(operation);
    if (!client) {
      reach(numbers[i] + 1);
      stages[numbers[i]].operations.push_back(i);
      made_in[output_of(operation)] = numbers[i];
    }
    for (ValueId input : inputs_of(operation)) {
      const bool elsewhere = by_client[input] || made_in[input] != numbers[i];
      if (!client && elsewhere) inputs[numbers[i]].insert(input);
      if (!by_client[input] && (client || elsewhere)) outputs[made_in[input]].insert(input);
    }
  }
  if (!by_client[plan.output]) outputs[made_in[plan.output]].insert(plan.output);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stages[s].inputs.assign(inputs[s].begin(), inputs[s].end());
    stages[s].outputs.assign(outputs[s].begin(), outputs[s].end());
  }
  return stages;
}

}  // namespace tacit::plan
