// SPDX-License-Identifier: Apache-2.0
#include "plan/bsgs.h"

#include <algorithm>
#include <map>

namespace tacit::plan {

namespace {

// The representative of x modulo a power of two m in [-m/2, m/2), or 0 for m = 1.
std::int64_t centred(std::int64_t x, std::int64_t m) {
  const std::int64_t r = x & (m - 1);
  return r >= m - m / 2 ? r - m : r;
}

}  // namespace

std::size_t Bsgs::products() const {
  std::size_t count = 0;
  for (const BsgsGroup& group : groups) count += group.terms.size();
  return count;
}

std::size_t Bsgs::rotated_babies() const {
  return babies.size() - static_cast<std::size_t>(std::count(babies.begin(), babies.end(), 0));
}

std::size_t Bsgs::rotated_giants() const {
  return static_cast<std::size_t>(
      std::count_if(groups.begin(), groups.end(), [](const BsgsGroup& group) { return group.giant != 0; }));
}

Bsgs make_bsgs(const DiagonalIndices& diagonals, BsgsSplit split) {
  const auto modulus = static_cast<std::int64_t>(diagonals.modulus);
  const auto period = static_cast<std::int64_t>(diagonals.period);
  const std::int64_t width = std::min(static_cast<std::int64_t>(split.width), modulus);

  struct Place {
    std::int64_t baby;
    BsgsTerm term;
  };
  std::map<std::int64_t, std::vector<Place>> by_giant;
  Bsgs result;
  for (std::size_t index : diagonals.indices) {
    const auto d = static_cast<std::int64_t>(index);
    const std::int64_t baby = centred(d, width);
    const std::int64_t giant = centred(d - baby, modulus);
    // The rotations add up to baby + giant, which may be another member of d's class than d. D_d of one class are the
    // same where T <= R (they repeat with T in d), and shifted against each other where T > R.
    const std::int64_t moved = diagonals.folds.empty() ? 0 : baby + giant - d;
    const auto shift = static_cast<std::size_t>((moved - giant) & (period - 1));
    by_giant[giant].push_back({baby, {0, index, shift}});
    result.babies.push_back(baby);
  }
  std::sort(result.babies.begin(), result.babies.end());
  result.babies.erase(std::unique(result.babies.begin(), result.babies.end()), result.babies.end());
  for (auto& [giant, places] : by_giant) {
    BsgsGroup group{giant, {}};
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.baby < b.baby; });
    for (Place& place : places) {
      const auto found = std::lower_bound(result.babies.begin(), result.babies.end(), place.baby);
      place.term.baby = static_cast<std::size_t>(found - result.babies.begin());
      group.terms.push_back(place.term);
    }
    result.groups.push_back(std::move(group));
  }
  return result;
}

std::vector<double> bsgs_plaintext(const Diagonals& diagonals, const BsgsTerm& term) {
  std::vector<double> entries = diagonals.diagonals.at(term.diagonal);
  std::rotate(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(term.shift), entries.end());
  return entries;
}

}  // namespace tacit::plan
