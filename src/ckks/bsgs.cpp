// SPDX-License-Identifier: Apache-2.0
#include "ckks/bsgs.h"

#include <algorithm>
#include <limits>
#include <map>

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
  return babies.size() - static_cast<std::size_t>(std::ranges::count(babies, 0));
}

std::size_t Bsgs::rotated_giants() const {
  return groups.size() - static_cast<std::size_t>(std::ranges::count(groups, 0, &BsgsGroup::giant));
}

Bsgs make_bsgs(std::span<const std::size_t> diagonals, std::size_t modulus, std::size_t width) {
  const auto m = static_cast<std::int64_t>(modulus);
  const auto w = static_cast<std::int64_t>(std::min(width, modulus));
  struct Place {
    std::int64_t baby;
    std::size_t diagonal;
  };
  std::map<std::int64_t, std::vector<Place>> by_giant;
  Bsgs result;
  for (std::size_t diagonal : diagonals) {
    const std::int64_t d = centred(static_cast<std::int64_t>(diagonal), m);
    const std::int64_t multiple = nearest_multiple(d, w);
    by_giant[centred(multiple, m)].push_back({d - multiple, diagonal});
    result.babies.push_back(d - multiple);
  }
  std::ranges::sort(result.babies);
  const auto repeated = std::ranges::unique(result.babies);
  result.babies.erase(repeated.begin(), repeated.end());
  for (auto& [giant, places] : by_giant) {
    BsgsGroup group{giant, {}};
    std::ranges::sort(places, {}, &Place::baby);
    for (const Place& place : places) {
      const auto found = std::ranges::lower_bound(result.babies, place.baby);
      group.terms.push_back({static_cast<std::size_t>(found - result.babies.begin()), place.diagonal});
    }
    result.groups.push_back(std::move(group));
  }
  return result;
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

TransformShape transform_shape(const Bsgs& bsgs, const TransformDomain& domain) {
  TransformShape shape{domain.level, domain.special_count, {}, {}, bsgs.products()};
  for (std::int64_t baby : bsgs.babies) shape.babies.push_back(baby == 0 ? 0 : domain.baby_digit_size);
  for (const auto& [giant, terms] : bsgs.groups) {
    // A rotation that is a baby too has one key.
    const bool shared = std::ranges::binary_search(bsgs.babies, giant);
    shape.giants.push_back(giant == 0 ? 0 : shared ? domain.baby_digit_size : domain.giant_digit_size);
  }
  return shape;
}

std::size_t choose_split(std::span<const std::size_t> diagonals, std::size_t modulus,
                         const TransformDomain& domain, const UnitCosts& unit) {
  std::size_t best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t width : split_widths(modulus)) {
    const Bsgs bsgs = make_bsgs(diagonals, modulus, width);
    const double milliseconds = estimate_ms(transform_counts(transform_shape(bsgs, domain)), unit);
    if (milliseconds >= least) continue;
    least = milliseconds;
    best = width;
  }
  return best;
}

}  // namespace tacit::ckks
