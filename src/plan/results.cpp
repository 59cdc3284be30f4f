// SPDX-License-Identifier: Apache-2.0
#include "plan/results.h"

#include <algorithm>
#include <cmath>

#include "plan/key_plan.h"

namespace tacit::plan {

namespace {

// sum_k c_k T_k(x), by Clenshaw's recurrence.
double chebyshev_sum(const std::vector<double>& c, double x) {
  double next = 0, after = 0;
  for (std::size_t k = c.size(); k-- > 1;) {
    const double value = c[k] + 2 * x * next - after;
    after = next;
    next = value;
  }
  return c[0] + x * next - after;
}

}  // namespace

int result_level(const Plan& plan, ValueId id) {
  constexpr double kRoomBits = 3;  // a factor 4, and the sign
  for (const Stage& stage : stages_of(plan))
    if (std::ranges::find(stage.inputs, id) != stage.inputs.end()) return plan.values[id].level;
  const Value& value = plan.values[id];
  double bits = 0;
  for (int level = 0; level < value.level; ++level) {
    bits += std::log2(static_cast<double>(plan.parameters.primes[static_cast<std::size_t>(level)]));
    if (std::log2(value.scale) + std::log2(value.bound) + kRoomBits <= bits) return level;
  }
  return value.level;
}

std::vector<double> unused_slots(const Plan& plan, const Stage& stage) {
  // What the client sends has zeros there, and what an earlier stage has answered was made so.
  std::vector<double> held(plan.values.size(), 0);
  for (std::size_t i : stage.operations) {
    const Operation& operation = plan.operations[i];
    double& made = held[output_of(operation)];
    if (const auto* square = std::get_if<Square>(&operation))
      made = held[square->input] * held[square->input];
    else if (const auto* polynomial = std::get_if<Polynomial>(&operation))
      made = chebyshev_sum(polynomial->coefficients, held[polynomial->input]);
    else if (const auto* add = std::get_if<Add>(&operation))
      made = held[add->left] + held[add->right];
    else if (const auto* product = std::get_if<Product>(&operation))
      made = held[product->left] * held[product->right];
    else if (const auto* rescaling = std::get_if<Rescaling>(&operation))
      made = held[rescaling->input] * rescaling->factor;
  }
  std::vector<double> results;
  for (ValueId id : stage.outputs) results.push_back(held[id]);
  return results;
}

std::vector<bool> used_slots(const Layout& layout, std::size_t period) {
  std::vector<bool> used(period, false);
  for (int c = 0; c < layout.shape.channels; ++c)
    for (int y = 0; y < layout.shape.height; ++y)
      for (int x = 0; x < layout.shape.width; ++x) used[layout.slot(c, y, x)] = true;
  return used;
}

int highest_result_level(const Plan& plan) {
  int highest = -1;
  for (const Stage& stage : stages_of(plan))
    for (ValueId id : stage.outputs) highest = std::max(highest, result_level(plan, id));
  return highest;
}

bool can_rerandomise(const std::vector<ckks::KeyRequest>& keys, int level) {
  return std::ranges::any_of(keys, [&](const ckks::KeyRequest& key) {
    return ckks::zero_digit(key.shape, level) < key.shape.digits();
  });
}

std::optional<ckks::KeyRequest> missing_zero_key(const ckks::Parameters& parameters,
                                                 const std::vector<ckks::KeyRequest>& keys, int level) {
  if (level < 0 || level >= parameters.max_level() || can_rerandomise(keys, level)) return std::nullopt;
  // Neither a rotation, whose element is a power of 3, nor the conjugation, -1.
  const auto element = static_cast<std::uint32_t>(2 * parameters.degree() - 3);
  return ckks::KeyRequest{element, {level + 1, 1, 1}};
}

void add_zero_key(const ckks::Parameters& parameters, Plan& plan) {
  const auto key = missing_zero_key(parameters, plan.keys, highest_result_level(plan));
  if (!key) return;
  const auto place = std::ranges::lower_bound(plan.keys, key->element, {}, &ckks::KeyRequest::element);
  plan.keys.insert(place, *key);
}

}  // namespace tacit::plan
