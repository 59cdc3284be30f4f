// SPDX-License-Identifier: Apache-2.0
// Parameter sets from anywhere: nothing passes the gate that is not secure, and what passes has the primes it was given.
//
// Input: a ring, the numbers of primes and special primes, then for each a byte of bits and either its number or any word.
#include <array>

#include "ckks/parameters.h"
#include "ring/modulus.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

constexpr std::array kLogDegrees = {12, 12, 12, 12, 13, 13, 14, 15, 16, 11, 17, 0, -1, 64, 1 << 30};

ckks::u64 prime(Input& in, int log_degree) {
  const std::uint8_t bits = in.byte();
  if (bits > log_degree + 1 && bits <= ring::kMaxPrimeBits && log_degree >= 3 && log_degree <= 16) {
    static std::map<std::pair<int, int>, std::vector<ckks::u64>> known;
    auto [entry, fresh] = known.try_emplace({log_degree, bits});
    for (std::size_t count = 4; fresh && entry->second.empty() && count > 0; --count)
      entry->second = ring::ntt_primes(log_degree, bits, count);
    if (!entry->second.empty()) return entry->second[in.below(entry->second.size())];
  }
  return in.word();
}

TACIT_FUZZ_TARGET(parameters) {
  Input in(input);
  ckks::ParametersLiteral literal;
  literal.log_degree = kLogDegrees[in.below(kLogDegrees.size())];
  const std::size_t primes = in.below(80), special = in.below(10);
  for (std::size_t i = 0; i < primes; ++i) literal.primes.push_back(prime(in, literal.log_degree));
  for (std::size_t i = 0; i < special; ++i) literal.special_primes.push_back(prime(in, literal.log_degree));

  const auto made = ckks::Parameters::create(literal);
  if (!accepted(made)) return;
  require(made->literal() == literal, "parameters are what they were made from");
  require(made->log_modulus() <= ckks::max_log_modulus(literal.log_degree), "no parameters are insecure");
  require(made->max_level() + 1 == static_cast<int>(primes) && special > 0, "there is a special prime");
  const auto again = ckks::Parameters::create(made->literal());
  require(again.ok() && *again == *made, "parameters can be made again");
}

}  // namespace
}  // namespace tacit::fuzz
