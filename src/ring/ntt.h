// SPDX-License-Identifier: Apache-2.0
// The constants of the negacyclic number-theoretic transform modulo one prime.
#pragma once

#include "base/aligned.h"
#include "ring/modulus.h"

namespace tacit::ring {

// A forward transform takes coefficients below this, reduced or not: the digits of another prime, or a centred number
// lifted by a multiple of q, need no reduction of their own.
inline constexpr u64 kLazyLimit = u64{1} << 51;

// What the last stage of an inverse transform multiplies by: c / N for the sums, and c / N times that stage's root for the
// differences, for a transform times c.
struct InverseScale {
  ShoupConstant sum, difference;
};

// For Z_q[X]/(X^N + 1), q = 1 mod 2N. psi is the smallest primitive 2N-th root of unity modulo q, as in SEAL. The forward
// transform takes coefficients a to a(psi^(2 brv(j) + 1)) at position j, brv reversing log2 N bits; the constants stand
// in the order in which the Cooley-Tukey stages consume them: that of stage m, block i at m + i (Longa and Naehrig
// 2016, algorithms 1 and 2).
struct NttTable {
  NttTable(int log_degree, const Modulus& modulus);

  std::size_t degree() const { return std::size_t{1} << log_degree; }
  // For an inverse transform times c, c in [0, q).
  InverseScale inverse_scale(u64 c) const;

  int log_degree;
  Modulus modulus;
  u64 psi;
  // psi^brv(i) and floor of it times 2^52 / q; index 0 is unused.
  AlignedVector<u64> roots, root_quotients;
  // The inverses of the same.
  AlignedVector<u64> inverse_roots, inverse_root_quotients;
  // inverse_scale(1).
  InverseScale inverse_degree;
};

// The smallest primitive 2^(log_degree + 1)-th root of unity modulo q; 0 where q has none.
u64 smallest_primitive_root(int log_degree, const Modulus& modulus);

// The low `bits` bits of x in reverse order.
constexpr std::size_t reverse_bits(std::size_t x, int bits) {
  std::size_t result = 0;
  for (int i = 0; i < bits; ++i) result |= ((x >> i) & 1) << (bits - 1 - i);
  return result;
}

}  // namespace tacit::ring
