// SPDX-License-Identifier: Apache-2.0
#include "compiler/splits.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ckks/wire.h"
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

// What is known of the key for one rotation.
struct Need {
  int level = -1;
  bool rescaled = true;

  void merge(const Need& other) {
    level = std::max(level, other.level);
    rescaled = rescaled && other.rescaled;
  }
};

// One way to split one layer.
struct Choice {
  plan::BsgsSplit split;
  double milliseconds = 0;
  std::map<std::uint32_t, Need> needs;  // by element
};

// Folding is worth a rotation and a conjugation only where it saves this share of the products.
constexpr double kFoldedShare = 0.75;

// Every power of two as the babies' width, without folding and with each shift that pairs enough diagonals.
std::vector<plan::BsgsSplit> candidate_splits(const plan::DiagonalIndices& diagonals) {
  std::vector<std::size_t> shifts = {0};
  const double enough = kFoldedShare * static_cast<double>(diagonals.indices.size());
  for (std::size_t shift = 1; shift < diagonals.modulus; shift *= 2)
    if (static_cast<double>(make_bsgs(diagonals, {1, shift}).products()) <= enough) shifts.push_back(shift);
  std::vector<plan::BsgsSplit> splits;
  for (std::size_t width = 1; width <= diagonals.modulus; width *= 2)
    for (std::size_t shift : shifts) splits.push_back({width, shift});
  return splits;
}

class Search {
 public:
  Search(const ckks::Parameters& parameters, std::span<const LinearUse> layers, int relinearisation_level)
      : parameters_(parameters), relinearisation_level_(relinearisation_level) {
    for (bool rescaled : {false, true})
      for (int level = 0; level <= parameters.max_level(); ++level)
        bytes_[rescaled].push_back(
            static_cast<double>(ckks::key_bytes(parameters, key_shape(parameters, level, rescaled))));
    const ckks::UnitCosts unit = fixed_unit_costs(parameters);
    for (const LinearUse& layer : layers) {
      const ckks::TransformDomain domain{layer.level, parameters.special_count(),
                                         key_shape(parameters, layer.level, false).digit_size,
                                         key_shape(parameters, layer.level, true).digit_size};
      std::vector<Choice> choices;
      for (const plan::BsgsSplit& split : candidate_splits(*layer.diagonals)) {
        Choice choice{split, 0, {}};
        choice.milliseconds =
            ckks::estimate_ms(runtime::linear_cost(*layer.diagonals, choice.split, domain), unit);
        for (const plan::RotationUse& use :
             plan::required_rotations(*layer.diagonals, choice.split, layer.level))
          choice.needs[element_of(parameters, use)].merge(
              {use.level, use.role == plan::RotationRole::kGiant});
        choices.push_back(std::move(choice));
      }
      choices_.push_back(std::move(choices));
    }
  }

  // The best choice for each layer at this price, descending from `start`.
  std::vector<std::size_t> descend(std::vector<std::size_t> start, double price) const {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < choices_.size(); ++i) {
        const std::map<std::uint32_t, Need> others = needs(start, i);
        std::size_t best = start[i];
        double least = cost(choices_[i][best], others, price);
        for (std::size_t c = 0; c < choices_[i].size(); ++c) {
          const double candidate = cost(choices_[i][c], others, price);
          if (candidate < least * (1 - 1e-9)) {
            least = candidate;
            best = c;
          }
        }
        changed = changed || best != start[i];
        start[i] = best;
      }
    }
    return start;
  }

  std::vector<std::size_t> start() const { return std::vector<std::size_t>(choices_.size(), 0); }

  Splits result(const std::vector<std::size_t>& chosen) const {
    Splits splits;
    std::map<std::uint32_t, ckks::KeyShape> shapes;
    if (relinearisation_level_ >= 0)
      shapes[ckks::kRelinearisation] = key_shape(parameters_, relinearisation_level_, true);
    for (const auto& [element, need] : needs(chosen, choices_.size()))
      shapes[element] = key_shape(parameters_, need.level, need.rescaled);
    // A client is known by its keys' tag, so that a model without rotations and products asks for a small key.
    if (shapes.empty()) shapes[ckks::kRelinearisation] = key_shape(parameters_, 0, true);
    for (const auto& [element, shape] : shapes) {
      splits.keys.push_back({element, shape});
      splits.key_bytes += ckks::key_bytes(parameters_, shape);
    }
    for (std::size_t i = 0; i < chosen.size(); ++i) splits.splits.push_back(choices_[i][chosen[i]].split);
    return splits;
  }

 private:
  double bytes(const Need& need) const {
    return bytes_[need.rescaled ? 1 : 0][static_cast<std::size_t>(need.level)];
  }

  std::map<std::uint32_t, Need> needs(const std::vector<std::size_t>& chosen, std::size_t without) const {
    std::map<std::uint32_t, Need> all;
    for (std::size_t i = 0; i < chosen.size(); ++i)
      if (i != without)
        for (const auto& [element, need] : choices_[i][chosen[i]].needs) all[element].merge(need);
    return all;
  }

  // Time of the layer and price of the bytes that its rotations add to the others'.
  double cost(const Choice& choice, const std::map<std::uint32_t, Need>& others, double price) const {
    double added = 0;
    for (const auto& [element, need] : choice.needs) {
      Need merged = need;
      const auto found = others.find(element);
      if (found != others.end()) {
        merged.merge(found->second);
        added -= bytes(found->second);
      }
      added += bytes(merged);
    }
    return choice.milliseconds + price * 1e-6 * added;
  }

  const ckks::Parameters& parameters_;
  int relinearisation_level_;
  std::vector<double> bytes_[2];  // of a key, by `rescaled` and level
  std::vector<std::vector<Choice>> choices_;
};

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

Splits choose_splits(const ckks::Parameters& parameters, std::span<const LinearUse> layers,
                     int relinearisation_level, std::uint64_t key_budget) {
  const Search search(parameters, layers, relinearisation_level);
  double price = kBytePrice;
  std::vector<std::size_t> chosen = search.descend(search.start(), price);
  Splits best = search.result(chosen);
  for (int i = 0; i < kPriceDoublings && best.key_bytes > key_budget; ++i) {
    price *= 2;
    chosen = search.descend(chosen, price);
    Splits candidate = search.result(chosen);
    if (candidate.key_bytes < best.key_bytes) best = std::move(candidate);
  }
  return best;
}

}  // namespace tacit::compiler
