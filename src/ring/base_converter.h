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

  // y = x (M / m_j)^-1 modulo m_j, canonical; in place allowed. What `convert` and `convert_rounded` take.
  void prepare(std::size_t j, u64* y, const u64* x, std::size_t n) const;
  // x + u M modulo target t for some 0 <= u < source_count(), where 0 <= x < M is the number that the y_j stand for.
  void convert(std::size_t t, u64* out, const u64* const* y, std::size_t n) const;
  // The representative of x in [-M/2, M/2) modulo target t; within 2^-48 M of the ends either one of the two.
  void convert_rounded(std::size_t t, u64* out, const u64* const* y, std::size_t n) const;

  // M^-1 modulo target t, and M modulo target t.
  ShoupConstant inverse_product(std::size_t t) const { return inverse_products_[t]; }
  ShoupConstant product(std::size_t t) const { return products_[t]; }

 private:
  void run(std::size_t t, u64* out, const u64* const* y, const double* inverses, std::size_t n) const;

  const Context* context_;
  std::vector<std::size_t> sources_, targets_;
  std::vector<ShoupConstant> preparations_;  // (M / m_j)^-1 modulo m_j
  std::vector<double> inverses_;             // 1 / m_j
  std::vector<std::vector<u64>> factors_;    // M / m_j modulo each target, Montgomery form
  std::vector<ShoupConstant> products_, inverse_products_;
};

}  // namespace tacit::ring
