// SPDX-License-Identifier: Apache-2.0
#include "plan/chains.h"

#include <algorithm>
#include <cstdlib>

namespace tacit::plan {

void sort_steps(std::vector<std::int64_t>& steps) {
  std::ranges::sort(steps, [](std::int64_t a, std::int64_t b) {
    return std::abs(a) != std::abs(b) ? std::abs(a) < std::abs(b) : a > b;
  });
}

std::vector<std::int64_t> steps_of(std::size_t degree, std::span<const ckks::KeyRequest> keys, int level) {
  const auto slots = static_cast<std::int64_t>(degree / 2);
  std::vector<std::int64_t> steps;
  std::uint32_t element = 3;  // of the rotation by 1 (ckks::rotation_element)
  for (std::int64_t step = 1; step < slots; ++step) {
    const auto key = std::ranges::lower_bound(keys, element, {}, &ckks::KeyRequest::element);
    if (key != keys.end() && key->element == element && key->shape.level >= level)
      steps.push_back(step < slots / 2 ? step : step - slots);
    element = element * 3 & static_cast<std::uint32_t>(2 * degree - 1);
  }
  sort_steps(steps);
  return steps;
}

namespace {

std::size_t rotations(const std::vector<ckks::RotationTree>& trees) {
  std::size_t sum = 0;
  for (const ckks::RotationTree& tree : trees) sum += tree.rotations();
  return sum;
}

}  // namespace

std::size_t LayerChains::babies() const { return rotations(transform.babies); }
std::size_t LayerChains::giants() const { return rotations(transform.giants); }

ChainTables make_tables(const DiagonalIndices& diagonals, const std::vector<std::int64_t>& before,
                        const std::vector<std::int64_t>& after) {
  // A layer with folds makes a longer period shorter; any other one's input repeats with the modulus.
  const std::size_t input_period = diagonals.folds.empty() ? diagonals.modulus : diagonals.period;
  ChainTables tables{{{input_period, before}, {diagonals.period, before}}, {}};
  for (std::size_t fold : diagonals.folds) tables.folds.emplace_back(2 * fold, after);
  return tables;
}

ChainTables make_tables(const Plan& plan, const Linear& linear, const DiagonalIndices& diagonals) {
  const std::size_t degree = std::size_t{1} << plan.parameters.log_degree;
  const int level = plan.values[linear.input].level;
  return make_tables(diagonals, steps_of(degree, plan.keys, level), steps_of(degree, plan.keys, level - 1));
}

std::optional<LayerChains> make_chains(const DiagonalIndices& diagonals, const ckks::Bsgs& bsgs,
                                       const ChainTables& tables) {
  std::optional<ckks::RotationChains> transform = make_rotation_chains(bsgs, tables.transform);
  if (!transform) return std::nullopt;
  LayerChains chains{*std::move(transform), {}};
  for (std::size_t f = 0; f < diagonals.folds.size(); ++f) {
    std::optional<std::vector<std::int64_t>> steps =
        tables.folds[f].sum(static_cast<std::int64_t>(diagonals.folds[f]));
    if (!steps) return std::nullopt;
    chains.folds.push_back(*std::move(steps));
  }
  return chains;
}

}  // namespace tacit::plan
