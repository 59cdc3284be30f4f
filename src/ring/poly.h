// SPDX-License-Identifier: Apache-2.0
// Elements of Z_Q[X]/(X^N + 1) as residues modulo the primes of Q: one limb of N words for each prime.
#pragma once

#include <cstring>
#include <span>

#include "base/aligned.h"
#include "ring/modulus.h"

namespace tacit::ring {

// `limbs` limbs of `degree` words, limb after limb, each aligned to a cache line. Which primes the limbs belong to, and
// whether they hold coefficients or NTT values, is said by whoever owns the polynomial. A fresh one is uninitialised.
class Poly {
 public:
  Poly() = default;
  Poly(std::size_t degree, std::size_t limbs) : degree_(degree), words_(degree * limbs) {}

  std::size_t degree() const { return degree_; }
  std::size_t limbs() const { return degree_ == 0 ? 0 : words_.size() / degree_; }
  std::span<u64> limb(std::size_t i) { return {words_.data() + i * degree_, degree_}; }
  std::span<const u64> limb(std::size_t i) const { return {words_.data() + i * degree_, degree_}; }
  u64* data(std::size_t i) { return words_.data() + i * degree_; }
  const u64* data(std::size_t i) const { return words_.data() + i * degree_; }
  // A copy of the first `limbs` limbs.
  Poly prefix(std::size_t limbs) const {
    Poly result(degree_, limbs);
    std::memcpy(result.words_.data(), words_.data(), result.words_.size() * sizeof(u64));
    return result;
  }
  void clear() { std::memset(words_.data(), 0, words_.size() * sizeof(u64)); }

  friend bool operator==(const Poly&, const Poly&) = default;

 private:
  std::size_t degree_ = 0;
  AlignedVector<u64> words_;
};

}  // namespace tacit::ring
