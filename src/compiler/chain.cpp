// SPDX-License-Identifier: Apache-2.0
#include "compiler/chain.h"

#include <string>

namespace tacit::compiler {

Result<ckks::Parameters> make_chain(int log_degree, int scale_bits, int depth) {
  ckks::ParametersLiteral literal;
  literal.log_degree = log_degree;
  const int base_bits = scale_bits + kHeadroomBits;
  const std::vector<ring::u64> base = ring::ntt_primes(log_degree, base_bits, 1, true);
  const std::vector<ring::u64> special = ring::ntt_primes(log_degree, base_bits + kSpecialBits, 1, true);
  const std::vector<ring::u64> others =
      depth == 0 ? std::vector<ring::u64>{}
                 : ring::ntt_primes(log_degree, scale_bits, static_cast<std::size_t>(depth));
  if (base.empty() || special.empty() || others.size() != static_cast<std::size_t>(depth))
    return Error{ErrorCode::kParametersInvalid, "there are not enough primes of " + std::to_string(scale_bits) +
                                                    " bits for ring degree 2^" + std::to_string(log_degree)};
  literal.primes = base;
  literal.primes.insert(literal.primes.end(), others.begin(), others.end());
  literal.special_primes = special;
  return ckks::Parameters::create(std::move(literal));
}

int longest_chain(int log_degree, int scale_bits) {
  const int room = ckks::max_log_modulus(log_degree) - 2 * (scale_bits + kHeadroomBits) - kSpecialBits;
  // The primes are within a bit of their nominal size, so that the longest chain is near the nominal one.
  for (int depth = room / scale_bits + 1; depth >= 0; --depth)
    if (make_chain(log_degree, scale_bits, depth).ok()) return depth;
  return -1;
}

}  // namespace tacit::compiler
