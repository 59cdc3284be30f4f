// SPDX-License-Identifier: Apache-2.0
#include "ring/context.h"

namespace tacit::ring {

Context::Context(int log_degree, std::span<const u64> primes) : log_degree_(log_degree) {
  tables_.reserve(primes.size());
  for (u64 prime : primes) tables_.emplace_back(log_degree, Modulus(prime));
}

}  // namespace tacit::ring
