// SPDX-License-Identifier: Apache-2.0
// From residues modulo some primes to residues modulo others (Halevi, Polyakov and Shoup 2018, section 2).
#pragma once

#include <vector>

#include "ring/context.h"

namespace tacit::ring {

// From the basis of primes m_j, M = prod m_j, to single primes t. Everything here is in coefficient domain.
class BaseConverter {
 public:
  // Positions in the context; the sources are distinct, no target is a source.
  BaseConverter(const Context& context, std::vector<std::size_t> sources, std::vector<std::size_t> targets);

  std::size_t source_count() const { return sources_.size(); }
  std::size_t target_count() const { return targets_.size(); }
  std::size_t source(std::size_t j) const { return sources_[j]; }
  std::size_t target(std::size_t t) const { return targets_[t]; }

  // For the inverse transform of limb j whose result y_j = x (M / m_j)^-1 modulo m_j the conversions take.
  const InverseScale& scale(std::size_t j) const { return scales_[j]; }
  // Words that a forward transform modulo target t takes, congruent to x + u M for some 0 <= u < source_count(), where
  // 0 <= x < M is the number that the y_j stand for. They are written to `scratch` (n words), unless y holds them.
  const u64* convert(std::size_t t, u64* scratch, const u64* const* y, std::size_t n) const;
  // Rounded conversions from several sources take one array more, after the y_j: how often M goes into the sum of the
  // y_j M / m_j, rounded, which is one for all targets.
  std::size_t rounded_count() const { return source_count() == 1 ? 1 : source_count() + 1; }
  // Makes it, n words, of the y_j. Not for a single source.
  void round_quotient(u64* out, const u64* const* y, std::size_t n) const;
  // Words that a forward transform modulo target t takes, congruent to the representative of x in [-M/2, M/2); within
  // 2^-48 M of the ends either one of the two, but always the right one for a single source. y has rounded_count() arrays.
  void convert_rounded(std::size_t t, u64* out, const u64* const* y, std::size_t n) const;

  // M^-1 modulo target t, and M modulo target t.
  ShoupConstant inverse_product(std::size_t t) const { return inverse_products_[t]; }
  ShoupConstant product(std::size_t t) const { return products_[t]; }

 private:
  const Context* context_;
  std::vector<std::size_t> sources_, targets_;
  std::vector<InverseScale> scales_;
  std::vector<double> inverses_;           // 1 / m_j
  std::vector<std::vector<u64>> factors_;  // M / m_j modulo each target, then -M; Montgomery form
  std::vector<ShoupConstant> products_, inverse_products_;
  std::vector<u64> lifts_;  // for a single source: the least multiple of each target that is at least M / 2
};

}  // namespace tacit::ring
