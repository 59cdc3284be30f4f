// SPDX-License-Identifier: Apache-2.0
#include "compiler/chain.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tacit::compiler {

namespace {

double log2_of(ring::u64 prime) { return std::log2(static_cast<double>(prime)); }

}  // namespace

Result<ckks::ParametersLiteral> make_chain(int log_degree, int scale_bits, int depth, int special_count) {
  const int base_bits = scale_bits + kHeadroomBits;
  const int special_bits = std::min(base_bits + kSpecialBits, ring::kMaxPrimeBits);
  ckks::ParametersLiteral literal;
  literal.log_degree = log_degree;
  literal.primes = ring::ntt_primes(log_degree, base_bits, 1, true);
  literal.special_primes = ring::ntt_primes(log_degree, special_bits, 1, true);
  if (special_count > 1) {
    const auto further = static_cast<std::size_t>(special_count - 1);
    const std::vector<ring::u64> primes = ring::ntt_primes(log_degree, scale_bits + 1, further, true);
    if (primes.size() != further) literal.special_primes.clear();
    literal.special_primes.insert(literal.special_primes.end(), primes.begin(), primes.end());
  }
  std::vector<ring::u64> others;
  if (depth > 0) others = ring::ntt_primes(log_degree, scale_bits, static_cast<std::size_t>(depth));
  const bool near = std::all_of(others.begin(), others.end(), [&](ring::u64 prime) {
    return std::abs(log2_of(prime) - scale_bits) <= kMaxDrift;
  });
  const bool far = std::all_of(literal.special_primes.begin(), literal.special_primes.end(),
                               [&](ring::u64 prime) { return log2_of(prime) > scale_bits + 2 * kMaxDrift; });
  if (literal.primes.empty() || literal.special_primes.size() != static_cast<std::size_t>(special_count) ||
      others.size() != static_cast<std::size_t>(depth) || !near || !far ||
      others.size() + 1 + literal.special_primes.size() > ckks::kMaxPrimes)
    return Error{ErrorCode::kParametersInvalid, "there are not enough primes of " +
                                                    std::to_string(scale_bits) + " bits for ring degree 2^" +
                                                    std::to_string(log_degree)};
  literal.primes.insert(literal.primes.end(), others.begin(), others.end());
  double log_modulus = 0;
  for (ring::u64 prime : literal.primes) log_modulus += log2_of(prime);
  for (ring::u64 prime : literal.special_primes) log_modulus += log2_of(prime);
  if (log_modulus > ckks::max_log_modulus(log_degree))
    return Error{ErrorCode::kParametersInsecure,
                 std::to_string(depth) + " levels with a scale of 2^" + std::to_string(scale_bits) +
                     " are more than ring degree 2^" + std::to_string(log_degree) + " keeps secure"};
  return literal;
}

int longest_chain(int log_degree, int scale_bits) {
  const int bound = ckks::max_log_modulus(log_degree) / scale_bits;
  int depth = std::min(bound, static_cast<int>(ckks::kMaxPrimes) - 2);
  while (depth >= 0 && !make_chain(log_degree, scale_bits, depth).ok()) --depth;
  return depth;
}

}  // namespace tacit::compiler
