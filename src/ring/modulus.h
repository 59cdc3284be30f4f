// SPDX-License-Identifier: Apache-2.0
// Arithmetic modulo one prime below 2^50, the only kind of modulus there is in Tacit (architecture, decision 2).
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace tacit::ring {

using u64 = std::uint64_t;
using u128 = unsigned __int128;

// Residues are below 2^50, so that lazy values in [0, 4q) still fit the 52-bit multiplier of AVX-512 IFMA.
inline constexpr int kMaxPrimeBits = 50;
// Montgomery and Shoup constants are relative to R = 2^52, the width of that multiplier.
inline constexpr int kRadixBits = 52;
inline constexpr u64 kRadixMask = (u64{1} << kRadixBits) - 1;

// A constant w in [0, q) with floor(w 2^52 / q), for products by w without division (Shoup; Harvey 2014, section 2).
struct ShoupConstant {
  u64 value = 0;
  u64 quotient = 0;
};

// Secrets go through these: written as a choice, they were compiled to branches.
// x + m where x, taken as a signed number, is negative, else x.
constexpr u64 add_if_negative(u64 x, u64 m) { return x + (m & (0 - (x >> 63))); }
// x - m where x >= m, else x; both below 2^63.
constexpr u64 subtract_if_at_least(u64 x, u64 m) { return add_if_negative(x - m, m); }

// An odd prime q < 2^50 with what its reductions need. Residues are canonical, in [0, q), unless said otherwise.
class Modulus {
 public:
  Modulus() = default;
  // `q` must be an odd prime below 2^50; is_prime() tells.
  explicit Modulus(u64 q);

  u64 value() const { return q_; }
  // ceil(log2 q): the bits of a residue on the wire.
  int bits() const { return bits_; }
  // -> q^-1 mod 2^52, for Montgomery reduction.
  u64 inverse_mod_radix() const { return inverse_mod_radix_; }
  // 2^52 mod q.
  u64 radix() const { return radix_; }
  // floor(2^52 / q): reduces x < 2^52 to [0, 2q).
  u64 radix_quotient() const { return radix_quotient_; }

  // x mod q for any x.
  u64 reduce(u64 x) const { return x % q_; }
  u64 reduce_wide(u128 x) const { return static_cast<u64>(x % q_); }
  // x mod q for a signed x of any size.
  u64 reduce_signed(std::int64_t x) const {
    std::int64_t r = x % static_cast<std::int64_t>(q_);
    return static_cast<u64>(r < 0 ? r + static_cast<std::int64_t>(q_) : r);
  }
  // The residue's representative in (-q/2, q/2).
  std::int64_t centred(u64 x) const {
    return x > q_ / 2 ? static_cast<std::int64_t>(x) - static_cast<std::int64_t>(q_)
                      : static_cast<std::int64_t>(x);
  }
  u64 add(u64 a, u64 b) const { return subtract_if_at_least(a + b, q_); }
  u64 subtract(u64 a, u64 b) const { return add_if_negative(a - b, q_); }
  u64 negate(u64 a) const { return add_if_negative(0 - a, q_); }
  u64 multiply(u64 a, u64 b) const { return reduce_wide(u128{a} * b); }
  u64 power(u64 base, u64 exponent) const;
  // a^-1 mod q; a must not be 0 modulo q.
  u64 inverse(u64 a) const { return power(reduce(a), q_ - 2); }

  // The constant 1: multiplying by it reduces.
  ShoupConstant shoup_one() const { return {1, radix_quotient_}; }
  ShoupConstant shoup(u64 w) const { return {w, static_cast<u64>((u128{w} << kRadixBits) / q_)}; }
  // w y mod q in [0, 2q) for any y < 2^52.
  u64 multiply_shoup_lazy(ShoupConstant w, u64 y) const {
    u64 quotient = static_cast<u64>((u128{w.quotient} * y) >> kRadixBits);
    return w.value * y - quotient * q_;
  }
  u64 multiply_shoup(ShoupConstant w, u64 y) const {
    return subtract_if_at_least(multiply_shoup_lazy(w, y), q_);
  }
  // a 2^52 mod q: Montgomery form, in which the constant side of inner products is kept.
  u64 to_montgomery(u64 a) const { return multiply(a, radix_); }
  // sum 2^-52 mod q, canonical, for any sum below 2^104.
  u64 reduce_montgomery(u128 sum) const;

  friend bool operator==(const Modulus& a, const Modulus& b) { return a.q_ == b.q_; }

 private:
  u64 q_ = 0;
  int bits_ = 0;
  u64 inverse_mod_radix_ = 0;
  u64 radix_ = 0;
  u64 radix_quotient_ = 0;
};

// Proven, not probable: Miller-Rabin with the first twelve primes as bases decides every 64-bit number
// (Sorenson and Webster 2015).
bool is_prime(u64 n);

// The `count` primes p = 1 mod 2^(log_degree + 1) nearest to 2^bits, alternately below and above it, starting below:
// their product stays near 2^(bits count), so scales do not drift. Primes below 2^bits only, descending, where
// `below_only`. Empty where there are not that many of at most 50 bits.
std::vector<u64> ntt_primes(int log_degree, int bits, std::size_t count, bool below_only = false);

}  // namespace tacit::ring
