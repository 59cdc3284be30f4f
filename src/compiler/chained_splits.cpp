// SPDX-License-Identifier: Apache-2.0
#include "compiler/chained_splits.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "base/parallel.h"
#include "compiler/split_search.h"
#include "plan/key_plan.h"
#include "runtime/cost.h"

namespace tacit::compiler {

namespace {

// Splits into more babies or groups than this times the square root of the products are not tried.
constexpr double kUnbalanced = 8;
constexpr int kAbsent = -1;

// One layer with everything that does not depend on the steps.
struct ChainedLayer {
  const plan::DiagonalIndices* diagonals = nullptr;
  int level = 0;
  std::vector<std::pair<plan::BsgsSplit, ckks::Bsgs>> splits;
};

ChainedLayer prepare(const LinearUse& use) {
  ChainedLayer layer{use.diagonals, use.level, {}};
  const std::vector<std::size_t> shifts = candidate_shifts(*use.diagonals);
  for (std::size_t width = 1; width <= use.diagonals->modulus; width *= 2)
    for (std::size_t shift : shifts) {
      const plan::BsgsSplit split{width, shift, true};
      ckks::Bsgs bsgs = make_bsgs(*use.diagonals, split);
      const double most = kUnbalanced * std::sqrt(static_cast<double>(bsgs.products()));
      if (static_cast<double>(std::max(bsgs.babies.size(), bsgs.groups.size())) <= most)
        layer.splits.emplace_back(split, std::move(bsgs));
    }
  return layer;
}

class ChainedSearch {
 public:
  ChainedSearch(const ckks::Parameters& parameters, std::span<const LinearUse> uses)
      : parameters_(parameters), prices_(parameters), unit_(fixed_unit_costs(parameters)) {
    layers_.resize(uses.size());
    parallel_for(uses.size(), [&](std::size_t i) { layers_[i] = prepare(uses[i]); });
    std::set<int> levels = {kAbsent};
    for (const ChainedLayer& layer : layers_) {
      levels.insert(layer.level);
      if (!layer.diagonals->folds.empty()) levels.insert(layer.level - 1);
    }
    levels_.assign(levels.begin(), levels.end());
    made_.resize(layers_.size());
  }

  // The keys' levels by step, kAbsent for none, and what comes of them.
  struct State {
    std::vector<int> levels;
    double cost = std::numeric_limits<double>::infinity();
  };

  // From the step 1 alone, which makes up all rotations, and from all steps: what is better in the end.
  std::vector<StepLevel> search() {
    std::size_t longest = 1;
    for (const ChainedLayer& layer : layers_) longest = std::max(longest, layer.diagonals->period);
    for (std::int64_t step : ckks::power_of_two_steps(longest)) {
      steps_.push_back(step);
      if (step > 0) steps_.push_back(-step);
    }
    plan::sort_steps(steps_);
    std::vector<int> one(steps_.size(), kAbsent);
    if (!one.empty()) one.front() = levels_.back();
    State best = improve(evaluate(one));
    State other = improve(evaluate(std::vector<int>(steps_.size(), levels_.back())));
    if (other.cost < best.cost) best = std::move(other);
    std::vector<StepLevel> found;
    for (std::size_t s = 0; s < steps_.size(); ++s)
      if (best.levels[s] != kAbsent) found.push_back({steps_[s], best.levels[s]});
    return found;
  }

  Splits result(std::span<const StepLevel> steps, int relinearisation_level) {
    std::vector<int> levels;
    for (const StepLevel& step : steps) {
      steps_.push_back(step.step);
      levels.push_back(step.level);
    }
    const SplitSearch search = search_at(levels);
    return search.result(choose(search), relinearisation_level);
  }

 private:
  // Moves for as long as one helps: always the best of those of one step; where none helps, of those that put one step in
  // the place of another. A new step may be used at any level, since what it costs there is weighed for each layer.
  State improve(State best) {
    for (;;) {
      State found = best;
      for (std::size_t s = 0; s < steps_.size(); ++s) {
        if (best.levels[s] == kAbsent) {
          try_levels(best, {{s, levels_.back()}}, found);
          continue;
        }
        try_levels(best, {{s, kAbsent}}, found);
        const auto lower = std::ranges::lower_bound(levels_, best.levels[s]);
        if (lower != levels_.begin()) try_levels(best, {{s, *std::prev(lower)}}, found);
      }
      for (std::size_t s = 0; s < steps_.size() && found.cost == best.cost; ++s)
        for (std::size_t t = 0; t < steps_.size() && best.levels[s] != kAbsent; ++t)
          if (best.levels[t] == kAbsent) try_levels(best, {{s, kAbsent}, {t, levels_.back()}}, found);
      if (found.cost == best.cost) return best;
      best = std::move(found);
    }
  }

  // The state with these steps at these levels, into `found` where it is better.
  void try_levels(const State& from, std::initializer_list<std::pair<std::size_t, int>> changes,
                  State& found) {
    std::vector<int> levels = from.levels;
    for (const auto& [step, level] : changes) levels[step] = level;
    State moved = evaluate(levels);
    if (moved.cost < found.cost * (1 - 1e-9)) found = std::move(moved);
  }

  std::vector<std::int64_t> steps_at(const std::vector<int>& levels, int level) const {
    std::vector<std::int64_t> steps;
    for (std::size_t s = 0; s < steps_.size(); ++s)
      if (levels[s] >= level) steps.push_back(steps_[s]);
    return steps;
  }

  // What a layer may do with these steps: made once for each set of them.
  const std::vector<SplitChoice>& choices(std::size_t index, const std::vector<int>& levels) {
    const ChainedLayer& layer = layers_[index];
    const std::vector<std::int64_t> before = steps_at(levels, layer.level);
    const std::vector<std::int64_t> after =
        layer.diagonals->folds.empty() ? std::vector<std::int64_t>() : steps_at(levels, layer.level - 1);
    const auto [place, added] = made_[index].try_emplace({before, after});
    if (!added) return place->second;
    const plan::ChainTables tables = make_tables(*layer.diagonals, before, after);
    for (const auto& [split, bsgs] : layer.splits)
      if (std::optional<SplitChoice> choice = make_choice(layer, split, bsgs, tables))
        place->second.push_back(*std::move(choice));
    return place->second;
  }

  std::optional<SplitChoice> make_choice(const ChainedLayer& layer, const plan::BsgsSplit& split,
                                         const ckks::Bsgs& bsgs, const plan::ChainTables& tables) const {
    const auto chains = plan::make_chains(*layer.diagonals, bsgs, tables);
    if (!chains) return std::nullopt;
    SplitChoice choice{split, 0, {}};
    for (const plan::RotationUse& use :
         required_rotations(*chains, layer.diagonals->slots, split, layer.level))
      choice.needs[element_of(parameters_, use)].merge({use.level, use.role == plan::RotationRole::kGiant});
    const auto cost =
        runtime::chained_cost(bsgs, *chains, layer.diagonals->slots, layer.level,
                              [&](const plan::RotationUse& use) -> Result<ckks::KeyShape> {
                                return prices_.shape(choice.needs.at(element_of(parameters_, use)));
                              });
    choice.milliseconds = ckks::estimate_ms(cost.value(), unit_);
    return choice;
  }

  SplitSearch search_at(const std::vector<int>& levels) {
    std::vector<const std::vector<SplitChoice>*> of_layers(layers_.size());
    parallel_for(layers_.size(), [&](std::size_t i) { of_layers[i] = &choices(i, levels); });
    return {prices_, std::move(of_layers)};
  }

  std::vector<std::size_t> choose(const SplitSearch& search) const {
    return search.descend(search.start(), kSmallKeysPrice);
  }

  // Keeps of the levels only what is used: the same choices can then be made, since a shortest sum does not depend on steps
  // that it does not have.
  State evaluate(const std::vector<int>& levels) {
    const SplitSearch search = search_at(levels);
    if (!search.complete()) return {levels, std::numeric_limits<double>::infinity()};
    const std::vector<std::size_t> chosen = choose(search);
    State state{std::vector<int>(steps_.size(), kAbsent), search.cost(chosen, kSmallKeysPrice)};
    const KeyNeeds needs = search.needs(chosen);
    for (std::size_t s = 0; s < steps_.size(); ++s)
      if (const auto need = needs.find(ckks::rotation_element(parameters_, steps_[s])); need != needs.end())
        state.levels[s] = need->second.level;
    return state;
  }

  const ckks::Parameters& parameters_;
  KeyPrices prices_;
  ckks::UnitCosts unit_;
  std::vector<ChainedLayer> layers_;
  std::vector<int> levels_;          // that a key may have
  std::vector<std::int64_t> steps_;  // that there may be keys for
  // By layer, and by the steps at its input's and its output's level.
  std::vector<
      std::map<std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>>, std::vector<SplitChoice>>>
      made_;
};

}  // namespace

std::vector<StepLevel> find_steps(const ckks::Parameters& parameters, std::span<const LinearUse> layers) {
  return ChainedSearch(parameters, layers).search();
}

Splits choose_chained_splits(const ckks::Parameters& parameters, std::span<const LinearUse> layers,
                             int relinearisation_level, std::span<const StepLevel> steps) {
  return ChainedSearch(parameters, layers).result(steps, relinearisation_level);
}

}  // namespace tacit::compiler
