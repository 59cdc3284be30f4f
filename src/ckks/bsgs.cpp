// SPDX-License-Identifier: Apache-2.0
#include "ckks/bsgs.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace tacit::ckks {

namespace {

// The representative of x modulo a power of two m in [-m/2, m/2), or 0 for m = 1.
std::int64_t centred(std::int64_t x, std::int64_t m) {
  const std::int64_t r = x & (m - 1);
  return r >= m - m / 2 ? r - m : r;
}

// The multiple of `width` for which x minus it is in [-width/2, width/2).
std::int64_t nearest_multiple(std::int64_t x, std::int64_t width) {
  const std::int64_t shifted = x + width / 2;
  const std::int64_t remainder = shifted % width;
  return shifted - (remainder < 0 ? remainder + width : remainder);
}

}  // namespace

std::size_t Bsgs::products() const {
  std::size_t count = 0;
  for (const BsgsGroup& group : groups) count += group.terms.size();
  return count;
}

std::size_t Bsgs::rotated_babies() const {
  return babies.size() - static_cast<std::size_t>(std::ranges::count(babies, 0, &BsgsBaby::step));
}

std::size_t Bsgs::rotated_giants() const {
  return groups.size() - static_cast<std::size_t>(std::ranges::count(groups, 0, &BsgsGroup::giant));
}

std::uint32_t Bsgs::inputs() const { return babies.empty() ? 0 : babies.back().input + 1; }

std::uint32_t Bsgs::outputs() const {
  std::uint32_t count = 0;
  for (std::size_t g = 0; g < groups.size(); ++g)
    count += g == 0 || groups[g].output != groups[g - 1].output ? 1 : 0;
  return count;
}

Bsgs make_bsgs(std::span<const DiagonalIndex> diagonals, std::size_t modulus, BsgsSplit split) {
  const auto m = static_cast<std::int64_t>(modulus);
  const auto w = static_cast<std::int64_t>(std::min(split.width, modulus));
  struct Pair {
    std::optional<std::size_t> direct, shifted;
  };
  std::map<DiagonalIndex, Pair> pairs;  // by what they are rotated by, without the shift
  for (const DiagonalIndex& diagonal : diagonals) {
    Pair& pair = pairs[{diagonal.output, diagonal.input, diagonal.index & ~split.shift}];
    ((diagonal.index & split.shift) == 0 ? pair.direct : pair.shifted) = diagonal.index;
  }
  struct Place {
    BsgsBaby baby;
    Pair pair;
  };
  std::map<std::pair<std::uint32_t, std::int64_t>, std::vector<Place>> by_giant;
  Bsgs result;
  result.shift = split.shift;
  for (const auto& [place, pair] : pairs) {
    const auto index = static_cast<std::int64_t>(place.index);
    const std::int64_t d = split.chained ? index : centred(index, m);
    const std::int64_t multiple = split.chained ? d - d % w : nearest_multiple(d, w);
    const BsgsBaby baby{place.input, d - multiple};
    by_giant[{place.output, split.chained ? multiple : centred(multiple, m)}].push_back({baby, pair});
    result.babies.push_back(baby);
  }
  std::ranges::sort(result.babies);
  const auto repeated = std::ranges::unique(result.babies);
  result.babies.erase(repeated.begin(), repeated.end());
  for (auto& [key, places] : by_giant) {
    BsgsGroup group{key.second, {}, key.first};
    std::ranges::sort(places, {}, &Place::baby);
    for (const Place& place : places) {
      const auto found = std::ranges::lower_bound(result.babies, place.baby);
      group.terms.push_back(
          {static_cast<std::size_t>(found - result.babies.begin()), place.pair.direct, place.pair.shifted});
    }
    result.groups.push_back(std::move(group));
  }
  return result;
}

std::vector<DiagonalIndex> one_block(std::span<const std::size_t> indices) {
  std::vector<DiagonalIndex> diagonals;
  for (std::size_t index : indices) diagonals.push_back({0, 0, index});
  return diagonals;
}

std::vector<double> rotate_values(std::vector<double> values, std::int64_t step) {
  const auto size = static_cast<std::int64_t>(values.size());
  if (size == 0) return values;
  std::rotate(values.begin(), values.begin() + (step % size + size) % size, values.end());
  return values;
}

std::vector<std::size_t> split_widths(std::size_t modulus) {
  std::vector<std::size_t> widths;
  for (std::size_t width = 1; width <= modulus; width *= 2) {
    if (width >= 4) widths.push_back(width / 4 * 3);
    widths.push_back(width);
  }
  return widths;
}

std::vector<BsgsSplit> splits_for(std::size_t modulus) {
  std::vector<BsgsSplit> splits;
  for (std::size_t width : split_widths(modulus)) {
    splits.push_back({width, 0});
    for (std::size_t shift = 1; shift < modulus; shift *= 2) splits.push_back({width, shift});
  }
  return splits;
}

TransformShape transform_shape(const Bsgs& bsgs, const TransformDomain& domain) {
  TransformShape shape;
  shape.level = domain.level;
  shape.special_count = domain.special_count;
  shape.products = bsgs.products();
  shape.inputs = bsgs.inputs();
  shape.outputs = bsgs.outputs();
  std::set<std::int64_t> steps;
  for (const BsgsBaby& baby : bsgs.babies) {
    shape.babies.push_back({baby.input, baby.step == 0 ? 0 : domain.baby_digit_size});
    steps.insert(baby.step);
  }
  for (const BsgsGroup& group : bsgs.groups) {
    // A rotation that is a baby too has one key.
    const bool shared = steps.contains(group.giant);
    shape.giants.push_back({group.output, group.giant == 0 ? 0
                                          : shared         ? domain.baby_digit_size
                                                           : domain.giant_digit_size});
  }
  if (bsgs.shift != 0) shape.folding_digit_size = domain.baby_digit_size;
  return shape;
}

BsgsSplit choose_split(std::span<const DiagonalIndex> diagonals, std::size_t modulus,
                       const TransformDomain& domain, const UnitCosts& unit) {
  BsgsSplit best;
  double least = std::numeric_limits<double>::infinity();
  for (const BsgsSplit& split : splits_for(modulus)) {
    const Bsgs bsgs = make_bsgs(diagonals, modulus, split);
    const double milliseconds = estimate_ms(transform_counts(transform_shape(bsgs, domain)), unit);
    if (milliseconds >= least) continue;
    least = milliseconds;
    best = split;
  }
  return best;
}

}  // namespace tacit::ckks
