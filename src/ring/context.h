// SPDX-License-Identifier: Apache-2.0
// The ring size and the primes that a parameter set works with, each with its tables.
#pragma once

#include <span>
#include <vector>

#include "ring/ntt.h"
#include "ring/poly.h"

namespace tacit::ring {

class Context {
 public:
  // Every prime must be below 2^50 and 1 modulo 2^(log_degree + 1); log_degree is at least 3.
  Context(int log_degree, std::span<const u64> primes);

  int log_degree() const { return log_degree_; }
  std::size_t degree() const { return std::size_t{1} << log_degree_; }
  std::size_t count() const { return tables_.size(); }
  const Modulus& modulus(std::size_t i) const { return tables_[i].modulus; }
  const NttTable& ntt(std::size_t i) const { return tables_[i]; }

 private:
  int log_degree_;
  std::vector<NttTable> tables_;
};

}  // namespace tacit::ring
