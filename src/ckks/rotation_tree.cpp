// SPDX-License-Identifier: Apache-2.0
#include "ckks/rotation_tree.h"

#include <algorithm>

namespace tacit::ckks {

StepTable::StepTable(std::size_t modulus, std::span<const std::int64_t> steps)
    : distances_(modulus, kUnreachable), steps_(steps.begin(), steps.end()) {
  distances_[0] = 0;
  std::vector<std::size_t> reached = {0};  // by ascending distance
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (std::int64_t step : steps_) {
      const std::size_t next = reduced(static_cast<std::int64_t>(reached[i]) + step);
      if (distances_[next] != kUnreachable) continue;
      distances_[next] = distances_[reached[i]] + 1;
      reached.push_back(next);
    }
  }
}

std::int64_t StepTable::first(std::int64_t rotation) const {
  const std::uint32_t before = distance(rotation) - 1;
  return *std::ranges::find_if(steps_,
                               [&](std::int64_t step) { return distance(rotation - step) == before; });
}

std::optional<std::vector<std::int64_t>> StepTable::sum(std::int64_t rotation) const {
  if (distance(rotation) > RotationTree::kMaxRotations) return std::nullopt;
  std::vector<std::int64_t> steps;
  while (reduced(rotation) != 0) {
    steps.push_back(first(rotation));
    rotation -= steps.back();
  }
  return steps;
}

std::optional<RotationTree> make_rotation_tree(const StepTable& steps,
                                               std::span<const std::int64_t> targets) {
  RotationTree tree;
  tree.targets.resize(targets.size());
  // Of each target the nearest node so far, and how far it is from there.
  std::vector<std::size_t> nearest(targets.size(), 0);
  std::vector<std::uint32_t> distances(targets.size(), StepTable::kUnreachable);
  const auto add_node = [&](std::size_t parent, std::int64_t step, std::int64_t rotation) {
    tree.nodes.push_back({parent, step});
    for (std::size_t t = 0; t < targets.size(); ++t) {
      const std::uint32_t distance = steps.distance(targets[t] - rotation);
      if (distance >= distances[t]) continue;
      distances[t] = distance;
      nearest[t] = tree.nodes.size() - 1;
    }
  };
  add_node(0, 0, 0);
  std::vector<std::int64_t> rotations = {0};  // of each node
  for (;;) {
    // The nearest target that is not there yet.
    std::size_t next = targets.size();
    for (std::size_t t = 0; t < targets.size(); ++t)
      if (distances[t] != 0 && (next == targets.size() || distances[t] < distances[next])) next = t;
    if (next == targets.size()) break;
    if (distances[next] == StepTable::kUnreachable ||
        tree.rotations() + distances[next] > RotationTree::kMaxRotations)
      return std::nullopt;
    std::size_t node = nearest[next];
    while (steps.reduced(targets[next] - rotations[node]) != 0) {
      const std::int64_t step = steps.first(targets[next] - rotations[node]);
      rotations.push_back(rotations[node] + step);
      add_node(node, step, rotations.back());
      node = tree.nodes.size() - 1;
    }
  }
  tree.targets = nearest;
  return tree;
}

std::optional<RotationChains> make_rotation_chains(const Bsgs& bsgs, const ChainDomain& domain) {
  RotationChains chains;
  std::optional<std::vector<std::int64_t>> shift = domain.inputs.sum(static_cast<std::int64_t>(bsgs.shift));
  if (!shift) return std::nullopt;
  chains.shift = *std::move(shift);
  std::vector<std::vector<std::int64_t>> babies(bsgs.inputs()), giants(bsgs.outputs());
  for (const BsgsBaby& baby : bsgs.babies) babies[baby.input].push_back(baby.step);
  for (const BsgsGroup& group : bsgs.groups) giants[group.output].push_back(group.giant);
  const auto add_trees = [](const StepTable& steps, const std::vector<std::vector<std::int64_t>>& of,
                            std::vector<RotationTree>& trees) {
    for (const std::vector<std::int64_t>& targets : of) {
      std::optional<RotationTree> tree = make_rotation_tree(steps, targets);
      if (!tree) return false;
      trees.push_back(*std::move(tree));
    }
    return true;
  };
  if (!add_trees(domain.inputs, babies, chains.babies) || !add_trees(domain.products, giants, chains.giants))
    return std::nullopt;
  return chains;
}

std::vector<std::int64_t> power_of_two_steps(std::size_t slots) {
  std::vector<std::int64_t> steps;
  // Half of the slots is its own negative, and is counted as that.
  for (std::size_t step = 1; step < slots; step *= 2)
    steps.push_back(2 * step == slots ? -static_cast<std::int64_t>(step) : static_cast<std::int64_t>(step));
  return steps;
}

}  // namespace tacit::ckks
