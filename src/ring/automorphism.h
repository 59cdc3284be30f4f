// SPDX-License-Identifier: Apache-2.0
// X -> X^g on polynomials in NTT form: a permutation of the values.
#pragma once

#include <array>

#include "base/aligned.h"
#include "ring/modulus.h"

namespace tacit::ring {

// Position j of the image holds position j' of the source, 2 brv(j') + 1 = g (2 brv(j) + 1) mod 2N. Positions that have
// their upper bits in common have the lower bits of 2 brv(j) + 1 in common, hence those of the source: each aligned block
// of 2^k positions comes from one such block. Of the eight positions 8b .. 8b+7 there are eight orders: with c_b the top
// three bits of g (2 brv(b) + 1) mod 2N, position 8b + t takes t' = brv3((c_b + g brv3(t)) mod 8) of the source block.
struct Automorphism {
  // g odd, below 2^(log_degree + 1); log_degree at least 3.
  Automorphism(int log_degree, std::uint32_t element);

  std::uint32_t element;
  // For each block: source block times 8, plus c_b.
  AlignedVector<std::uint32_t> blocks;
  // order[c][t] = t'.
  alignas(kCacheLine) std::array<std::array<u64, 8>, 8> order;
};

}  // namespace tacit::ring
