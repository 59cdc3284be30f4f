// SPDX-License-Identifier: Apache-2.0
#include "ring/modulus.h"

#include <bit>
#include <cassert>

namespace tacit::ring {

Modulus::Modulus(u64 q) : q_(q), bits_(std::bit_width(q)) {
  assert(q % 2 == 1 && q > 2 && bits_ <= kMaxPrimeBits);
  // Newton's iteration doubles the correct low bits; q is its own inverse modulo 8.
  u64 inverse = q;
  for (int i = 0; i < 5; ++i) inverse *= 2 - q * inverse;
  inverse_mod_radix_ = inverse & kRadixMask;
  radix_ = (u64{1} << kRadixBits) % q;
  radix_quotient_ = (u64{1} << kRadixBits) / q;
}

u64 Modulus::power(u64 base, u64 exponent) const {
  u64 result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

u64 Modulus::reduce_montgomery(u128 sum) const {
  // m q agrees with the sum in the low 52 bits, so the difference is a multiple of 2^52 (Montgomery 1985).
  u64 low = static_cast<u64>(sum) & kRadixMask;
  u64 m = (low * inverse_mod_radix_) & kRadixMask;
  u64 high = static_cast<u64>(sum >> kRadixBits);
  u64 subtrahend = static_cast<u64>((u128{m} * q_) >> kRadixBits);
  return subtract(multiply_shoup(shoup_one(), high), subtrahend);  // secrets come here: no division
}

bool is_prime(u64 n) {
  constexpr u64 kBases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
  if (n < 2) return false;
  for (u64 p : kBases) {
    if (n % p == 0) return n == p;
  }
  u64 odd = n - 1;
  int twos = std::countr_zero(odd);
  odd >>= twos;
  auto multiply = [n](u64 a, u64 b) { return static_cast<u64>(u128{a} * b % n); };
  for (u64 base : kBases) {
    u64 x = 1, square = base;
    for (u64 e = odd; e != 0; e >>= 1) {
      if (e & 1) x = multiply(x, square);
      square = multiply(square, square);
    }
    bool composite = x != 1 && x != n - 1;
    for (int i = 1; composite && i < twos; ++i) {
      x = multiply(x, x);
      composite = x != n - 1;
    }
    if (composite) return false;
  }
  return true;
}

std::vector<u64> ntt_primes(int log_degree, int bits, std::size_t count, bool below_only) {
  const u64 step = u64{1} << (log_degree + 1);
  if (bits <= log_degree + 1 || bits > kMaxPrimeBits) return {};
  const u64 centre = u64{1} << bits;
  u64 below = centre + 1, above = centre + 1;  // 2^bits + 1 itself is counted as above
  auto next_below = [&]() -> u64 {
    while (below > step) {
      below -= step;
      if (is_prime(below)) return below;
    }
    return 0;
  };
  auto next_above = [&]() -> u64 {
    // The last step of a candidate must stay within 50 bits and within a factor two of the size asked for.
    for (; above < 2 * centre && above < u64{1} << kMaxPrimeBits; above += step) {
      if (is_prime(above)) {
        u64 prime = above;
        above += step;
        return prime;
      }
    }
    return 0;
  };
  std::vector<u64> primes;
  while (primes.size() < count) {
    bool from_below = below_only || primes.size() % 2 == 0 || bits == kMaxPrimeBits;
    u64 prime = from_below ? next_below() : next_above();
    if (prime == 0) return {};
    primes.push_back(prime);
  }
  return primes;
}

}  // namespace tacit::ring
