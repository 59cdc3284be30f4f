// SPDX-License-Identifier: Apache-2.0
// What the AVX-512 kernels share: eight residues at a time through the 52-bit multiply-add (IFMA). lo52/hi52 name the low
// and high half of a 104-bit product; both read the low 52 bits of their factors and add to 64-bit lanes.
#pragma once

#include <immintrin.h>

#include <algorithm>

#include "ring/kernels/kernels.h"

namespace tacit::ring::avx512 {

using Vector = __m512i;

inline Vector load(const u64* p) { return _mm512_load_si512(p); }
inline void store(u64* p, Vector v) { _mm512_store_si512(p, v); }
inline Vector broadcast(u64 x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
inline Vector lo52(Vector accumulator, Vector a, Vector b) {
  return _mm512_madd52lo_epu64(accumulator, a, b);
}
inline Vector hi52(Vector accumulator, Vector a, Vector b) {
  return _mm512_madd52hi_epu64(accumulator, a, b);
}
inline Vector zero() { return _mm512_setzero_si512(); }
inline Vector add(Vector a, Vector b) { return _mm512_add_epi64(a, b); }
inline Vector subtract(Vector a, Vector b) { return _mm512_sub_epi64(a, b); }

// x - m where x >= m, else x: the wrapped difference is the larger of the two as an unsigned number.
inline Vector subtract_if_at_least(Vector x, Vector m) { return _mm512_min_epu64(x, subtract(x, m)); }

// A constant of Shoup's product in every lane.
struct ShoupLanes {
  ShoupLanes() = default;
  explicit ShoupLanes(ShoupConstant w) : value(broadcast(w.value)), quotient(broadcast(w.quotient)) {}
  // floor(w y / q), or one less, for the low 52 bits of y.
  Vector quotient_of(Vector y) const { return hi52(zero(), quotient, y); }
  Vector value, quotient;
};

// One prime's constants in every lane.
struct Lanes {
  explicit Lanes(const Modulus& modulus)
      : q(broadcast(modulus.value())),
        two_q(broadcast(2 * modulus.value())),
        minus_q(broadcast((u64{1} << kRadixBits) - modulus.value())),
        inverse(broadcast(modulus.inverse_mod_radix())),
        radix_quotient(broadcast(modulus.radix_quotient())),
        mask(broadcast(kRadixMask)) {}

  // "Open": right modulo 2^52, the twelve bits above being anything, in the result and in x and y.
  // sum + (w y mod q in [0, 2q)), `quotient` being w.quotient_of(y).
  Vector multiply_add_open(Vector sum, const ShoupLanes& w, Vector y, Vector quotient) const {
    return lo52(lo52(sum, w.value, y), quotient, minus_q);
  }
  Vector multiply_open(const ShoupLanes& w, Vector y) const {
    return multiply_add_open(zero(), w, y, w.quotient_of(y));
  }
  // x mod q in [0, 2q).
  Vector reduce_open(Vector x) const { return lo52(x, hi52(zero(), radix_quotient, x), minus_q); }
  Vector close(Vector x) const { return _mm512_and_si512(x, mask); }

  // w y mod q in [0, 2q) for y < 2^52.
  Vector multiply_lazy(const ShoupLanes& w, Vector y) const { return close(multiply_open(w, y)); }
  // x mod q in [0, 2q) for x < 2^52.
  Vector reduce_lazy(Vector x) const { return close(reduce_open(x)); }
  Vector canonical_from_two_q(Vector x) const { return subtract_if_at_least(x, q); }
  Vector canonical_from_four_q(Vector x) const {
    return canonical_from_two_q(subtract_if_at_least(x, two_q));
  }
  // (high 2^52 + low) / 2^52 mod q in (0, 5q] for sums below 4q 2^52, where `low` may exceed 52 bits. The low halves
  // of the sum and of m q cancel exactly, so only their high halves are subtracted.
  Vector reduce_montgomery_lazy(Vector high, Vector low) const {
    const Vector carry = _mm512_srli_epi64(low, kRadixBits);
    const Vector m = lo52(zero(), low, inverse);
    return subtract(add(add(high, carry), q), hi52(zero(), m, q));
  }
  Vector reduce_montgomery(Vector high, Vector low) const {
    const Vector r = reduce_montgomery_lazy(high, low);
    return canonical_from_four_q(subtract_if_at_least(r, add(two_q, two_q)));
  }
  // The same for sums below q 2^52, for which the lazy result is in (0, 2q).
  Vector reduce_montgomery_below_q(Vector high, Vector low) const {
    return canonical_from_two_q(reduce_montgomery_lazy(high, low));
  }

  Vector q, two_q, minus_q, inverse, radix_quotient, mask;
};

// Eight permuted words, those of block b of the image.
class Permuted {
 public:
  explicit Permuted(const Automorphism& automorphism, std::size_t b)
      : from_(automorphism.blocks[b] & ~7u),
        order_(load(automorphism.order[automorphism.blocks[b] & 7].data())) {}
  Vector of(const u64* in) const { return _mm512_permutexvar_epi64(order_, load(in + from_)); }

 private:
  std::size_t from_;
  Vector order_;
};

// Asks for what a permutation will bring from `count` limbs to the page after that of block b, into the second-level cache.
// An automorphism brings each aligned page from one page, in some order (ring/automorphism.h, for blocks of any power of
// two); asked for from its first line to its last, the processor foresees the rest of it. Inlined, or GCC drops the call
// as one without effects.
[[gnu::always_inline]] inline void prefetch_permuted(const Automorphism& permutation, std::size_t b,
                                                     const u64* const* limbs, std::size_t count) {
  constexpr std::size_t kPageBlocks = 64;
  const auto& blocks = permutation.blocks;
  const std::size_t next = std::min((b / kPageBlocks + 1) * kPageBlocks, blocks.size() - 1);
  const std::size_t from = blocks[next] / (8 * kPageBlocks) * (8 * kPageBlocks) + b % kPageBlocks * 8;
  for (std::size_t j = 0; j < count; ++j) __builtin_prefetch(limbs[j] + from, /*rw=*/0, /*locality=*/2);
}

// The instructions that all of these kernels need.
bool available();
void forward_ntt(const NttTable& table, u64* out, const u64* in);
void forward_ntt_streamed(std::span<const StreamedNtt> transforms, const NttStream& stream);
void inverse_ntt(const NttTable& table, const InverseScale& scale, const Automorphism* permutation, u64* out,
                 const u64* in);
void scalar_product(const Modulus& q, const ScalarProduct& arguments, std::size_t n);
void keystream(const std::uint8_t key[32], u64 first, std::uint8_t* out, std::size_t count);

}  // namespace tacit::ring::avx512
