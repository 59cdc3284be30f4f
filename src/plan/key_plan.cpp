// SPDX-License-Identifier: Apache-2.0
#include "plan/key_plan.h"

#include <algorithm>
#include <map>

namespace tacit::plan {

namespace {

void add_uses(const DiagonalIndices& diagonals, BsgsSplit split, int input_level, std::size_t operation,
              std::vector<RotationUse>& uses) {
  const auto n = static_cast<std::int64_t>(diagonals.slots);
  const auto add = [&](RotationRole role, std::int64_t step, int level) {
    step &= n - 1;
    if (step >= n / 2) step -= n;
    if (step != 0) uses.push_back({operation, role, step, level});
  };
  const ckks::Bsgs bsgs = make_bsgs(diagonals, split);
  if (bsgs.shift != 0) {
    add(RotationRole::kShift, static_cast<std::int64_t>(bsgs.shift), input_level);
    uses.push_back({operation, RotationRole::kConjugation, 0, input_level - 1});
  }
  for (const ckks::BsgsBaby& baby : bsgs.babies) add(RotationRole::kBaby, baby.step, input_level);
  for (const ckks::BsgsGroup& group : bsgs.groups) add(RotationRole::kGiant, group.giant, input_level);
  for (std::size_t fold : diagonals.folds)
    add(RotationRole::kFold, static_cast<std::int64_t>(fold), input_level - 1);
}

}  // namespace

std::uint32_t element_of(const ckks::Parameters& parameters, const RotationUse& use) {
  return use.role == RotationRole::kConjugation ? ckks::conjugation_element(parameters)
                                                : ckks::rotation_element(parameters, use.step);
}

std::vector<RotationUse> required_rotations(const DiagonalIndices& diagonals, BsgsSplit split,
                                            int input_level) {
  std::vector<RotationUse> uses;
  add_uses(diagonals, split, input_level, 0, uses);
  return uses;
}

std::vector<RotationUse> required_rotations(const Plan& plan) {
  std::vector<RotationUse> uses;
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const auto* linear = std::get_if<Linear>(&plan.operations[i]);
    if (linear == nullptr || plan.slots == 1) continue;  // numbers rotate nothing
    const Value& in = plan.values[linear->input];
    const Value& out = plan.values[linear->output];
    const DiagonalIndices diagonals =
        diagonal_indices(plan.maps[linear->map], in.layout, in.period, out.layout, out.period, plan.slots);
    add_uses(diagonals, linear->split, in.level, i, uses);
  }
  return uses;
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
  for (const RotationUse& rotation : required_rotations(plan))
    use(element_of(parameters, rotation), rotation.level);
  if (const int level = relinearisation_level(plan); level >= 0) use(ckks::kRelinearisation, level);
  std::vector<ckks::KeyRequest> requests;
  for (const auto& [element, level] : levels)
    requests.push_back({element, {level, policy.digit_size, policy.special_count}});
  return requests;
}

}  // namespace tacit::plan
