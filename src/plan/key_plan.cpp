// SPDX-License-Identifier: Apache-2.0
#include "plan/key_plan.h"

#include <algorithm>
#include <map>

namespace tacit::plan {

namespace {

// What layers are to rotate by: of a chained one the steps of its trees.
class Uses {
 public:
  explicit Uses(std::size_t slots) : slots_(static_cast<std::int64_t>(slots)) {}

  void add(const DiagonalIndices& diagonals, BsgsSplit split, int input_level, std::size_t operation) {
    operation_ = operation;
    const ckks::Bsgs bsgs = make_bsgs(diagonals, split);
    if (bsgs.shift != 0) {
      add(RotationRole::kShift, static_cast<std::int64_t>(bsgs.shift), input_level);
      add_conjugation(input_level - 1);
    }
    for (const ckks::BsgsBaby& baby : bsgs.babies) add(RotationRole::kBaby, baby.step, input_level);
    for (const ckks::BsgsGroup& group : bsgs.groups) add(RotationRole::kGiant, group.giant, input_level);
    for (std::size_t fold : diagonals.folds)
      add(RotationRole::kFold, static_cast<std::int64_t>(fold), input_level - 1);
  }

  void add(const LayerChains& chains, bool folded, int input_level, std::size_t operation) {
    operation_ = operation;
    for (std::int64_t step : chains.transform.shift) add(RotationRole::kShift, step, input_level);
    if (folded) add_conjugation(input_level - 1);
    add(RotationRole::kBaby, chains.transform.babies, input_level);
    add(RotationRole::kGiant, chains.transform.giants, input_level);
    for (const std::vector<std::int64_t>& fold : chains.folds)
      for (std::int64_t step : fold) add(RotationRole::kFold, step, input_level - 1);
  }

  std::vector<RotationUse> take() { return std::move(uses_); }

 private:
  void add(RotationRole role, std::int64_t step, int level) {
    step &= slots_ - 1;
    if (step >= slots_ / 2) step -= slots_;
    if (step != 0) uses_.push_back({operation_, role, step, level});
  }
  void add(RotationRole role, const std::vector<ckks::RotationTree>& trees, int level) {
    for (const ckks::RotationTree& tree : trees)
      for (std::size_t node = 1; node < tree.nodes.size(); ++node) add(role, tree.nodes[node].step, level);
  }
  void add_conjugation(int level) { uses_.push_back({operation_, RotationRole::kConjugation, 0, level}); }

  std::int64_t slots_;
  std::size_t operation_ = 0;
  std::vector<RotationUse> uses_;
};

// Steps: callable from a level to the steps that chained layers may use there.
template <class Steps>
std::vector<RotationUse> rotations_of(const Plan& plan, const Steps& steps) {
  Uses uses(plan.slots);
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const auto* linear = std::get_if<Linear>(&plan.operations[i]);
    if (linear == nullptr || plan.slots == 1) continue;  // numbers rotate nothing
    const Value& in = plan.values[linear->input];
    const Value& out = plan.values[linear->output];
    const DiagonalIndices diagonals =
        diagonal_indices(plan.maps[linear->map], in.layout, in.period, out.layout, out.period, plan.slots);
    if (!linear->split.chained) {
      uses.add(diagonals, linear->split, in.level, i);
      continue;
    }
    const auto chains = make_chains(diagonals, make_bsgs(diagonals, linear->split),
                                    make_tables(diagonals, steps(in.level), steps(in.level - 1)));
    if (chains) uses.add(*chains, linear->split.shift != 0, in.level, i);
  }
  return uses.take();
}

}  // namespace

std::uint32_t element_of(const ckks::Parameters& parameters, const RotationUse& use) {
  return use.role == RotationRole::kConjugation ? ckks::conjugation_element(parameters)
                                                : ckks::rotation_element(parameters, use.step);
}

std::vector<RotationUse> required_rotations(const DiagonalIndices& diagonals, BsgsSplit split,
                                            int input_level) {
  Uses uses(diagonals.slots);
  uses.add(diagonals, split, input_level, 0);
  return uses.take();
}

std::vector<RotationUse> required_rotations(const LayerChains& chains, std::size_t slots, BsgsSplit split,
                                            int input_level) {
  Uses uses(slots);
  uses.add(chains, split.shift != 0, input_level, 0);
  return uses.take();
}

std::vector<RotationUse> required_rotations(const Plan& plan) {
  const std::size_t degree = std::size_t{1} << plan.parameters.log_degree;
  return rotations_of(plan, [&](int level) { return steps_of(degree, plan.keys, level); });
}

int relinearisation_level(const Plan& plan) {
  int level = -1;
  for (const Operation& operation : plan.operations) {
    // A polynomial's first product is that of its input with itself, at the level that it starts from.
    if (const auto* square = std::get_if<Square>(&operation))
      level = std::max(level, plan.values[square->input].level);
    else if (const auto* polynomial = std::get_if<Polynomial>(&operation))
      level = std::max(level, plan.values[polynomial->input].level);
    else if (const auto* product = std::get_if<Product>(&operation))
      level = std::max(level, plan.values[product->output].level + 1);
  }
  return level;
}

std::vector<ckks::KeyRequest> key_requests(const ckks::Parameters& parameters, const Plan& plan,
                                           const KeyPolicy& policy) {
  std::map<std::uint32_t, int> levels;
  const auto use = [&](std::uint32_t element, int level) {
    const auto [place, added] = levels.emplace(element, level);
    if (!added) place->second = std::max(place->second, level);
  };
  const std::vector<std::int64_t> steps = ckks::power_of_two_steps(parameters.slots());
  for (const RotationUse& rotation : rotations_of(plan, [&](int) { return steps; }))
    use(element_of(parameters, rotation), rotation.level);
  if (const int level = relinearisation_level(plan); level >= 0) use(ckks::kRelinearisation, level);
  std::vector<ckks::KeyRequest> requests;
  for (const auto& [element, level] : levels)
    requests.push_back({element, {level, policy.digit_size, policy.special_count}});
  return requests;
}

}  // namespace tacit::plan
