// SPDX-License-Identifier: Apache-2.0
#include "compiler/splits.h"

#include <cmath>

#include "compiler/chained_splits.h"
#include "compiler/split_search.h"
#include "plan/key_plan.h"
#include "runtime/cost.h"
#include "runtime/noise.h"

namespace tacit::compiler {

namespace {

constexpr int kPriceDoublings = 14;
// Up to so many switched polynomials are summed before one division: giants of a layer.
constexpr double kSwitchesPerDivision = 64;
// Key switching may add this share of the standard deviation that rounding has anyway.
constexpr double kNoiseShare = 0.5;

// Nanoseconds for one word of a limb; only their proportions matter, as they were on an AVX-512 IFMA machine with keys
// and plaintexts in memory.
constexpr double kNttPerLog = 0.085, kKeyProduct = 0.25, kHoistedProduct = 0.3, kPlainProduct = 0.17,
                 kConversion = 0.175, kPointwise = 0.18, kScalarProduct = 0.06;

// Every power of two as the babies' width, with each shift.
std::vector<SplitChoice> hoisted_choices(const ckks::Parameters& parameters, const KeyPrices& prices,
                                         const LinearUse& layer) {
  const ckks::UnitCosts unit = fixed_unit_costs(parameters);
  const ckks::TransformDomain domain{layer.level, parameters.special_count(),
                                     prices.shape({layer.level, false}).digit_size,
                                     prices.shape({layer.level, true}).digit_size};
  const std::vector<std::size_t> shifts = candidate_shifts(*layer.diagonals);
  std::vector<SplitChoice> choices;
  for (std::size_t width = 1; width <= layer.diagonals->modulus; width *= 2)
    for (std::size_t shift : shifts) {
      SplitChoice choice{{width, shift}, 0, {}};
      choice.milliseconds =
          ckks::estimate_ms(runtime::linear_cost(*layer.diagonals, choice.split, domain), unit);
      for (const plan::RotationUse& use :
           plan::required_rotations(*layer.diagonals, choice.split, layer.level))
        choice.needs[element_of(parameters, use)].merge({use.level, use.role == plan::RotationRole::kGiant});
      choices.push_back(std::move(choice));
    }
  return choices;
}

}  // namespace

ckks::UnitCosts fixed_unit_costs(const ckks::Parameters& parameters) {
  const auto n = static_cast<double>(parameters.degree());
  ckks::UnitCosts unit;
  unit.degree = parameters.degree();
  unit.ntt = kNttPerLog * parameters.log_degree() * n;
  unit.key_product = kKeyProduct * n;
  unit.hoisted_product = kHoistedProduct * n;
  unit.plain_product = kPlainProduct * n;
  unit.conversion = kConversion * n;
  unit.pointwise = kPointwise * n;
  unit.scalar_product = kScalarProduct * n;
  return unit;
}

ckks::KeyShape key_shape(const ckks::Parameters& parameters, int level, bool rescaled) {
  ckks::KeyShape shape{level, 1, parameters.special_count()};
  // At level 0 there is nothing left to divide by.
  const double prime = rescaled && level > 0 ? static_cast<double>(parameters.prime(level).value()) : 1;
  const double switches = rescaled ? kSwitchesPerDivision : 1;
  const runtime::NoiseModel model(parameters);
  for (int digit_size = 2; digit_size <= level + 1; ++digit_size) {
    const ckks::KeyShape larger{level, digit_size, parameters.special_count()};
    const double noise = std::sqrt(switches) * model.key_switch(larger, level) / prime;
    if (noise > kNoiseShare * model.division()) break;
    shape = larger;
  }
  return shape;
}

namespace {

Splits choose_hoisted(const ckks::Parameters& parameters, std::span<const LinearUse> layers,
                      int relinearisation_level, std::uint64_t key_budget) {
  const KeyPrices prices(parameters);
  std::vector<std::vector<SplitChoice>> choices;
  choices.reserve(layers.size());
  std::vector<const std::vector<SplitChoice>*> pointers;
  pointers.reserve(layers.size());
  for (const LinearUse& layer : layers) choices.push_back(hoisted_choices(parameters, prices, layer));
  for (const std::vector<SplitChoice>& of_layer : choices) pointers.push_back(&of_layer);
  const SplitSearch search(prices, std::move(pointers));
  double price = kBytePrice;
  std::vector<std::size_t> chosen = search.descend(search.start(), price);
  Splits best = search.result(chosen, relinearisation_level);
  for (int i = 0; i < kPriceDoublings && best.key_bytes > key_budget; ++i) {
    price *= 2;
    chosen = search.descend(chosen, price);
    Splits candidate = search.result(chosen, relinearisation_level);
    if (candidate.key_bytes < best.key_bytes) best = std::move(candidate);
  }
  return best;
}

}  // namespace

Splits choose_splits(const ckks::Parameters& parameters, std::span<const LinearUse> layers,
                     int relinearisation_level, const KeyGoal& goal) {
  Splits hoisted = choose_hoisted(parameters, layers, relinearisation_level, goal.steps ? 0 : goal.budget);
  if (!goal.steps) return hoisted;
  Splits chained = choose_chained_splits(parameters, layers, relinearisation_level, *goal.steps);
  const auto cost = [](const Splits& splits) {
    return splits.milliseconds + kSmallKeysPrice * 1e-6 * static_cast<double>(splits.key_bytes);
  };
  return cost(chained) < cost(hoisted) ? chained : hoisted;
}

}  // namespace tacit::compiler
