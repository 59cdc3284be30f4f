// SPDX-License-Identifier: Apache-2.0
#include "ring/automorphism.h"

#include "ring/ntt.h"

namespace tacit::ring {

Automorphism::Automorphism(int log_degree, std::uint32_t g)
    : element(g), blocks((std::size_t{1} << log_degree) / 8), order{} {
  const u64 mask = (u64{2} << log_degree) - 1;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    u64 image = (g * (2 * u64{reverse_bits(b, log_degree - 3)} + 1)) & mask;
    u64 top = image >> (log_degree - 2);
    u64 low = image & ((u64{1} << (log_degree - 2)) - 1);
    std::size_t source = reverse_bits((low - 1) / 2, log_degree - 3);
    blocks[b] = static_cast<std::uint32_t>(8 * source + top);
  }
  for (std::size_t c = 0; c < 8; ++c) {
    for (std::size_t t = 0; t < 8; ++t) order[c][t] = reverse_bits((c + g * reverse_bits(t, 3)) & 7, 3);
  }
}

}  // namespace tacit::ring
