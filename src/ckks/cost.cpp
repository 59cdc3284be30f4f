// SPDX-License-Identifier: Apache-2.0
#include "ckks/cost.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "ckks/linear_transform.h"

namespace tacit::ckks {

namespace {

std::uint64_t count(int n) { return static_cast<std::uint64_t>(n); }

std::uint64_t digits(int level, const KeyShape& shape) {
  return KeyShape{level, shape.digit_size, 1}.digits();
}

}  // namespace

KernelCounts& KernelCounts::operator+=(const KernelCounts& other) {
  ntt_limbs += other.ntt_limbs;
  key_limbs += other.key_limbs;
  hoisted_limbs += other.hoisted_limbs;
  plain_limbs += other.plain_limbs;
  scalar_limbs += other.scalar_limbs;
  conversion_limbs += other.conversion_limbs;
  pointwise_limbs += other.pointwise_limbs;
  return *this;
}

KernelCounts decompose_counts(int level, const KeyShape& shape) {
  KernelCounts counts;
  counts.ntt_limbs = count(level + 1);
  for (int first = 0; first <= level; first += shape.digit_size) {
    const int size = std::min(shape.digit_size, level + 1 - first);
    const std::uint64_t targets = extended_limbs(level, shape.special_count) - count(size);
    counts.ntt_limbs += targets;
    if (size > 1) counts.conversion_limbs += count(size) * targets;  // a single residue is taken as it is
  }
  return counts;
}

KernelCounts multiply_counts(int level, const KeyShape& shape) {
  KernelCounts counts;
  counts.hoisted_limbs = 2 * digits(level, shape) * extended_limbs(level, shape.special_count);
  return counts;
}

KernelCounts switch_key_counts(int level, const KeyShape& shape, bool permuted) {
  KernelCounts counts = decompose_counts(level, shape);
  counts.key_limbs = 2 * digits(level, shape) * extended_limbs(level, shape.special_count);
  if (permuted) counts.pointwise_limbs = count(level + 1);  // what digits have already
  return counts;
}

KernelCounts mod_down_counts(int level, int special_count, bool rescale, int polys) {
  const std::uint64_t sources = count(special_count + (rescale ? 1 : 0));
  const std::uint64_t targets = count(level + (rescale ? 0 : 1));
  KernelCounts counts;
  counts.ntt_limbs = count(polys) * (sources + targets);
  counts.conversion_limbs = count(polys) * sources * targets;
  counts.pointwise_limbs = count(polys) * targets;
  return counts;
}

KernelCounts raise_counts(int level, int polys) {
  KernelCounts counts;
  counts.pointwise_limbs = count(polys) * count(level + 1);
  return counts;
}

KernelCounts rotate_counts(int level, const KeyShape& shape) {
  KernelCounts counts = switch_key_counts(level, shape, true);
  counts += mod_down_counts(level, shape.special_count, false, 2);
  counts += raise_counts(level, 1);
  return counts;
}

KernelCounts multiply_relinearise_rescale_counts(int level, const KeyShape& shape) {
  KernelCounts counts = switch_key_counts(level, shape, false);
  counts.pointwise_limbs += count(level + 1);  // the last part
  counts += raise_counts(level, 4);            // the first two, of four polynomials
  counts += mod_down_counts(level, shape.special_count, true, 2);
  return counts;
}

KernelCounts transform_counts(const TransformShape& shape) {
  const int level = shape.level, special_count = shape.special_count;
  const std::uint64_t pair = 2 * extended_limbs(level, special_count);
  KernelCounts counts;
  if (shape.folding_digit_size != 0) {
    for (std::uint32_t i = 0; i < shape.inputs; ++i) {
      counts += rotate_counts(level, {level, shape.folding_digit_size, special_count});
      counts.pointwise_limbs += 2 * count(level + 1);
    }
    for (std::uint32_t o = 0; o < shape.outputs; ++o) {
      counts += rotate_counts(level - 1, {level - 1, shape.folding_digit_size, special_count});
      counts.pointwise_limbs += 2 * count(level);
    }
  }
  std::set<std::pair<std::uint32_t, int>> decomposed;  // inputs, by digit size
  for (const auto& [input, digit_size] : shape.babies) {
    if (digit_size == 0) {
      counts += raise_counts(level, 2);
      continue;
    }
    if (decomposed.insert({input, digit_size}).second)
      counts += decompose_counts(level, {level, digit_size, special_count});
    counts += multiply_counts(level, {level, digit_size, special_count});
    counts += raise_counts(level, 1);
  }
  counts.plain_limbs += shape.products * pair;
  const std::size_t chains = LinearTransform::chains(shape.outputs);
  std::map<std::uint32_t, std::size_t> summed;  // groups, by output
  for (const auto& [output, digit_size] : shape.giants) {
    const std::size_t before = summed[output]++;
    if (digit_size != 0) {
      counts += mod_down_counts(level, special_count, false, 1);
      counts += switch_key_counts(level, {level, digit_size, special_count}, true);
      counts.pointwise_limbs += pair / 2;  // what the key does not switch
    } else if (before >= chains) {
      counts.pointwise_limbs += pair;  // onto a chain's sum; the first of a chain is its sum
    }
  }
  for (const auto& [output, groups] : summed) {
    counts.pointwise_limbs += pair * (std::min(groups, chains) - 1);
    counts += mod_down_counts(level, special_count, true, 2);
  }
  return counts;
}

KernelCounts chained_counts(const ChainedShape& shape) {
  const int level = shape.level;
  const std::uint64_t pair = 2 * count(level + 1);
  KernelCounts counts;
  for (const KeyShape& key : shape.rotations) counts += rotate_counts(level, key);
  counts.plain_limbs = shape.products * pair;
  counts.pointwise_limbs += pair * (shape.groups - shape.outputs);
  for (std::uint32_t o = 0; o < shape.outputs; ++o) {
    counts += mod_down_counts(level, 0, true, 2);
    if (!shape.conjugation) continue;
    counts += rotate_counts(level - 1, *shape.conjugation);
    counts.pointwise_limbs += 2 * count(level);
  }
  if (shape.conjugation) counts.pointwise_limbs += shape.inputs * pair;
  return counts;
}

double estimate_ms(const KernelCounts& counts, const UnitCosts& unit) {
  return 1e-6 * unit.overhead *
         (static_cast<double>(counts.ntt_limbs) * unit.ntt +
          static_cast<double>(counts.key_limbs) * unit.key_product +
          static_cast<double>(counts.hoisted_limbs) * unit.hoisted_product +
          static_cast<double>(counts.plain_limbs) * unit.plain_product +
          static_cast<double>(counts.scalar_limbs) * unit.scalar_product +
          static_cast<double>(counts.conversion_limbs) * unit.conversion +
          static_cast<double>(counts.pointwise_limbs) * unit.pointwise);
}

}  // namespace tacit::ckks
