// SPDX-License-Identifier: Apache-2.0
// From residues modulo some primes to residues modulo others (Halevi, Polyakov and Shoup 2018, section 2).
#pragma once

#include <span>
#include <vector>

#include "ring/context.h"

namespace tacit::ring {

// From the basis of primes m_j, M = prod m_j, to single primes t: from coefficients to values, since what follows a
// conversion is a forward transform, which takes its words as they are made.
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
  // Conversions to several targets are made piece by piece in turns, so that the y_j are near for all but the first.
  static constexpr std::size_t kMaxTargets = 2;
  struct Conversion {
    std::size_t target = 0;  // one of target_count()
    u64* out = nullptr;      // in no y
  };
  // The values modulo up to kMaxTargets targets of the polynomial x + u M for some 0 <= u < source_count(), where
  // 0 <= x < M is the number that the y_j stand for.
  void convert(std::span<const Conversion> conversions, const u64* const* y) const;
  // Rounded conversions from several sources take one array more, after the y_j: how often M goes into the sum of the
  // y_j M / m_j, rounded, which is one for all targets.
  std::size_t rounded_count() const { return source_count() == 1 ? 1 : source_count() + 1; }
  // Makes it of the y_j. Not for a single source.
  void round_quotient(u64* out, const u64* const* y) const;
  struct Division {
    std::size_t target = 0;  // one of target_count()
    u64* out = nullptr;
    const u64* dividend = nullptr;
    u64* scratch = nullptr;  // may be `out`, and `out` may be the dividend, but not both
  };
  // Values modulo up to kMaxTargets targets: out = (dividend - r) / M, where r is the representative of x in [-M/2, M/2);
  // within 2^-48 M of the ends either one of the two, but always the right one for a single source. y has rounded_count()
  // arrays.
  void divide(std::span<const Division> divisions, const u64* const* y) const;

  // M modulo target t.
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
