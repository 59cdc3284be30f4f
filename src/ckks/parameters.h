// SPDX-License-Identifier: Apache-2.0
// CKKS parameters. A Parameters object exists only if it passed the 128-bit gate: there is no other way to make one.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "ring/context.h"

namespace tacit::ckks {

using ring::u64;

inline constexpr int kMinLogDegree = 12;
inline constexpr int kMaxLogDegree = 16;
inline constexpr std::size_t kMaxPrimes = 64;

// What a parameter set is made of, unchecked.
struct ParametersLiteral {
  int log_degree = 0;               // log2 N, 12 to 16
  std::vector<u64> primes;          // q_0 ... q_L: distinct, = 1 mod 2N, below 2^50
  std::vector<u64> special_primes;  // p_0 ...: likewise; at least one

  friend bool operator==(const ParametersLiteral&, const ParametersLiteral&) = default;
};

// The largest log2(QP) at which uniform ternary secrets of degree 2^log_degree keep 128 bits of classical security,
// P included: "Security Guidelines for Implementing Homomorphic Encryption" (2024), Table 5.2. 0 for other degrees.
int max_log_modulus(int log_degree);

// How a switching key is laid out: it serves ciphertexts of level `level` and below; the primes q_0 .. q_level are
// grouped in order into digits of `digit_size`; P is the product of the first `special_count` special primes.
struct KeyShape {
  int level = 0;
  int digit_size = 1;
  int special_count = 1;

  std::size_t digits() const { return static_cast<std::size_t>((level + digit_size) / digit_size); }
  friend auto operator<=>(const KeyShape&, const KeyShape&) = default;
};

// Limbs over q_0 .. q_level, p_0 .. p_{special_count-1}.
inline std::size_t extended_limbs(int level, int special_count) {
  return static_cast<std::size_t>(level) + 1 + static_cast<std::size_t>(special_count);
}

// Immutable and cheap to copy. Level l means that the limbs q_0 .. q_l are left; a fresh ciphertext may have any level
// up to max_level().
class Parameters {
 public:
  // kParametersInvalid where the primes are not such primes, kParametersInsecure where QP is too large for N.
  static Result<Parameters> create(ParametersLiteral literal);

  const ParametersLiteral& literal() const;
  int log_degree() const { return literal().log_degree; }
  std::size_t degree() const { return std::size_t{1} << log_degree(); }
  std::size_t slots() const { return degree() / 2; }
  int max_level() const { return static_cast<int>(literal().primes.size()) - 1; }
  int special_count() const { return static_cast<int>(literal().special_primes.size()); }
  // log2 of Q P.
  double log_modulus() const;

  // q_0 .. q_L, then p_0 ..
  const ring::Context& ring() const;
  const ring::Modulus& prime(int level) const { return ring().modulus(static_cast<std::size_t>(level)); }
  // The position in ring() of limb `i` over q_0 .. q_level, p_0 ..
  std::size_t limb_index(int level, std::size_t i) const {
    const auto limbs = static_cast<std::size_t>(level) + 1;
    return i < limbs ? i : special_index(static_cast<int>(i - limbs));
  }
  // q_0 .. q_level, p_0 .. p_{special_count-1}.
  std::vector<ring::Modulus> extended_moduli(int level, int special_count) const;
  // The position of special prime `i` in ring().
  std::size_t special_index(int i) const { return literal().primes.size() + static_cast<std::size_t>(i); }

  // What a key of this shape depends on: N, q_0 .. q_level and the first special_count special primes. Two parameter
  // sets that agree in these can share the key. BLAKE2b-256 of those numbers as little-endian 64-bit words.
  Digest basis_digest(int level, int special_count) const;
  // Whether a key of this shape can exist here.
  bool admits(const KeyShape& shape) const;

  friend bool operator==(const Parameters& a, const Parameters& b) { return a.literal() == b.literal(); }

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace tacit::ckks
