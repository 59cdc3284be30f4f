// SPDX-License-Identifier: Apache-2.0
// Under what the constant-time checks encrypt.
#pragma once

#include "ckks/parameters.h"
#include "support/program.h"

namespace tacit {

// The smallest ring, two data primes, one special prime.
inline ckks::Parameters small_parameters() {
  ckks::ParametersLiteral literal;
  literal.log_degree = 12;
  literal.primes = ring::ntt_primes(12, 33, 1);
  literal.primes.push_back(ring::ntt_primes(12, 27, 1)[0]);
  literal.special_primes = {ring::ntt_primes(12, 36, 1)[0]};
  return program::unwrap(ckks::Parameters::create(literal));
}

}  // namespace tacit
