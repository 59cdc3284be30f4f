// SPDX-License-Identifier: Apache-2.0
#include "compiler/split_search.h"

#include <algorithm>

#include "ckks/wire.h"

namespace tacit::compiler {

namespace {

// Folding is worth a rotation and a conjugation only where it saves this share of the products.
constexpr double kFoldedShare = 0.75;

}  // namespace

void KeyNeed::merge(const KeyNeed& other) {
  level = std::max(level, other.level);
  rescaled = rescaled && other.rescaled;
}

KeyPrices::KeyPrices(const ckks::Parameters& parameters) {
  for (bool rescaled : {false, true})
    for (int level = 0; level <= parameters.max_level(); ++level) {
      const ckks::KeyShape shape = key_shape(parameters, level, rescaled);
      keys_[rescaled ? 1 : 0].push_back({shape, ckks::key_bytes(parameters, shape)});
    }
}

bool SplitSearch::complete() const {
  return std::ranges::none_of(choices_, [](const auto* choices) { return choices->empty(); });
}

std::vector<std::size_t> SplitSearch::descend(std::vector<std::size_t> start, double price) const {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      const KeyNeeds others = needs(start, i);
      std::size_t best = start[i];
      double least = cost((*choices_[i])[best], others, price);
      for (std::size_t c = 0; c < choices_[i]->size(); ++c) {
        const double candidate = cost((*choices_[i])[c], others, price);
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

double SplitSearch::cost(const std::vector<std::size_t>& chosen, double price) const {
  double cost = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) cost += (*choices_[i])[chosen[i]].milliseconds;
  for (const auto& [element, need] : needs(chosen))
    cost += price * 1e-6 * static_cast<double>(prices_.bytes(need));
  return cost;
}

Splits SplitSearch::result(const std::vector<std::size_t>& chosen, int relinearisation_level) const {
  KeyNeeds all = needs(chosen);
  if (relinearisation_level >= 0) all[ckks::kRelinearisation] = {relinearisation_level, true};
  // A client is known by its keys' tag, so that a model without rotations and products asks for a small key.
  if (all.empty()) all[ckks::kRelinearisation] = {0, true};
  Splits splits;
  for (const auto& [element, need] : all) {
    splits.keys.push_back({element, prices_.shape(need)});
    splits.key_bytes += prices_.bytes(need);
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const SplitChoice& choice = (*choices_[i])[chosen[i]];
    splits.splits.push_back(choice.split);
    splits.milliseconds += choice.milliseconds;
  }
  return splits;
}

KeyNeeds SplitSearch::needs(const std::vector<std::size_t>& chosen, std::size_t without) const {
  KeyNeeds all;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    if (i != without)
      for (const auto& [element, need] : (*choices_[i])[chosen[i]].needs) all[element].merge(need);
  return all;
}

double SplitSearch::cost(const SplitChoice& choice, const KeyNeeds& others, double price) const {
  double added = 0;
  for (const auto& [element, need] : choice.needs) {
    KeyNeed merged = need;
    const auto found = others.find(element);
    if (found != others.end()) {
      merged.merge(found->second);
      added -= static_cast<double>(prices_.bytes(found->second));
    }
    added += static_cast<double>(prices_.bytes(merged));
  }
  return choice.milliseconds + price * 1e-6 * added;
}

std::vector<std::size_t> candidate_shifts(const plan::DiagonalIndices& diagonals) {
  std::vector<std::size_t> shifts = {0};
  const double enough = kFoldedShare * static_cast<double>(diagonals.indices.size());
  for (std::size_t shift = 1; shift < diagonals.modulus; shift *= 2)
    if (static_cast<double>(make_bsgs(diagonals, {1, shift}).products()) <= enough) shifts.push_back(shift);
  return shifts;
}

}  // namespace tacit::compiler
