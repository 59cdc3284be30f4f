// SPDX-License-Identifier: Apache-2.0
// The constants of the negacyclic number-theoretic transform modulo one prime.
#pragma once

#include "base/aligned.h"
#include "ring/modulus.h"

namespace tacit::ring {

// For Z_q[X]/(X^N + 1), q = 1 mod 2N. psi is the smallest primitive 2N-th root of unity modulo q, as in SEAL. The forward
// transform takes coefficients a to a(psi^(2 brv(j) + 1)) at position j, brv reversing log2 N bits; the constants stand
// in the order in which the Cooley-Tukey stages consume them: that of stage m, block i at m + i (Longa and Naehrig
// 2016, algorithms 1 and 2).
struct NttTable {
  NttTable(int log_degree, const Modulus& modulus);

  std::size_t degree() const { return std::size_t{1} << log_degree; }

  int log_degree;
  Modulus modulus;
  u64 psi;
  // psi^brv(i) and floor of it times 2^52 / q; index 0 is unused.
  AlignedVector<u64> roots, root_quotients;
  // The inverses of the same.
  AlignedVector<u64> inverse_roots, inverse_root_quotients;
  // N^-1, and N^-1 times the inverse root of the last inverse stage, into which the division by N is folded.
  ShoupConstant inverse_degree, inverse_degree_root;
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
