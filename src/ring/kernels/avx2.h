// SPDX-License-Identifier: Apache-2.0
// What the AVX2 kernels share: four residues at a time as doubles, since AVX2 multiplies no 64-bit integers. A fused
// multiply-add gives the rounding error of a product exactly (Dekker 1971 with the FMA in place of Veltkamp's
// splitting), and a product by the reciprocal of q gives the quotient but for one or two (Shoup's floating-point
// reduction in NTL), so residues are signed here and what matters of a number is its magnitude. Everything counts on
// rounding to nearest, the mode that a program starts in.
//
// Every double is an integer of magnitude at most 2^53, hence exact. A multiplier w is called centred if |w| < q/2.
#pragma once

#include <immintrin.h>

#include "ring/kernels/kernels.h"

namespace tacit::ring::avx2 {

using Vector = __m256d;
using Words = __m256i;

inline Words load(const u64* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }
inline void store(u64* p, Words w) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), w); }
inline Words broadcast(u64 x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
inline Vector broadcast(double x) { return _mm256_set1_pd(x); }
inline Vector add(Vector a, Vector b) { return _mm256_add_pd(a, b); }
inline Vector subtract(Vector a, Vector b) { return _mm256_sub_pd(a, b); }

// The unit in the last place of a double in [2^52, 2^53) is one: its low 52 bits are the integer above 2^52.
inline constexpr double kIntegerBias = 0x1p52;
// Added and subtracted again, it rounds a number of magnitude at most 2^51 to an integer.
inline constexpr double kRoundingBias = 0x1.8p52;

// Words below 2^52 as doubles.
inline Vector to_doubles(Words w) {
  const Vector bias = broadcast(kIntegerBias);
  return subtract(_mm256_castsi256_pd(_mm256_or_si256(w, _mm256_castpd_si256(bias))), bias);
}

// A multiplier and its quotient by q.
struct Factor {
  Vector value, quotient;
};

// One prime's constants in every lane.
struct Lanes {
  explicit Lanes(const Modulus& modulus)
      : q(broadcast(static_cast<double>(modulus.value()))),
        inverse(broadcast(1.0 / static_cast<double>(modulus.value()))),
        half_q(broadcast(0.5 * static_cast<double>(modulus.value()))),
        integer_bias_plus_q(broadcast(kIntegerBias + static_cast<double>(modulus.value()))) {}

  // Residues in [0, q) as multipliers.
  Factor factor(Vector w) const { return {w, _mm256_mul_pd(w, inverse)}; }
  Factor factor_centred(Vector w) const {
    return factor(subtract(w, _mm256_and_pd(_mm256_cmp_pd(w, half_q, _CMP_GT_OQ), q)));
  }
  Factor factor_centred(u64 w) const { return factor_centred(broadcast(static_cast<double>(w))); }

  // x w modulo q, of magnitude at most (1/2 + e) q with e = 2^-52 |x w| / q, for |x w| <= 2^51 q: for |x| <= 2^52 if w
  // is centred, else for |x| <= 2^51. The quotient is off by e at most: its two roundings, of 1/q and of w/q, are of one
  // part in 2^53 each, and fma rounds the product once, to an integer.
  Vector multiply(Vector x, const Factor& w) const {
    const Vector high = _mm256_mul_pd(x, w.value);
    const Vector low = _mm256_fmsub_pd(x, w.value, high);
    return add(_mm256_fnmadd_pd(rounded_product(x, w.quotient), q, high), low);
  }
  // a b modulo q, of magnitude below 3q/4, for |a|, |b| <= q: e as above, from the roundings of 1/q and of a b.
  Vector multiply(Vector a, Vector b) const {
    const Vector high = _mm256_mul_pd(a, b);
    const Vector low = _mm256_fmsub_pd(a, b, high);
    return add(_mm256_fnmadd_pd(rounded_product(high, inverse), q, high), low);
  }
  // x modulo q for any x of magnitude at most 2^51 q. That of the result exceeds q/2 by at most 2^-53 |x|.
  Vector reduce(Vector x) const { return _mm256_fnmadd_pd(rounded_product(x, inverse), q, x); }
  // The canonical residues of numbers in (-q, q), as words.
  Words canonical(Vector x) const {
    const Vector bias = broadcast(kIntegerBias);
    const Vector sum = add(x, _mm256_blendv_pd(bias, integer_bias_plus_q, x));  // chosen by the sign
    return _mm256_xor_si256(_mm256_castpd_si256(sum), _mm256_castpd_si256(bias));
  }

  Vector q, inverse, half_q, integer_bias_plus_q;

 private:
  static Vector rounded_product(Vector x, Vector y) {
    const Vector bias = broadcast(kRoundingBias);
    return subtract(_mm256_fmadd_pd(x, y, bias), bias);
  }
};

// The words of an automorphism's image. Its half of eight words comes from one half of the source block: t and brv3(t)
// are below four and even alike, so that c + g brv3(t), g being odd, has the parity of c for t < 4, the other for t >= 4.
class BlockPermutation {
 public:
  explicit BlockPermutation(const Automorphism& automorphism) : blocks_(automorphism.blocks.data()) {
    for (std::size_t c = 0; c < 8; ++c) {
      for (std::size_t half = 0; half < 2; ++half) {
        // The permutation instruction moves 32-bit words: 2t and 2t + 1 for the word t of a half.
        const Words order =
            _mm256_and_si256(load(automorphism.order[c].data() + 4 * half), broadcast(u64{3}));
        const Words twice = _mm256_add_epi64(order, order);
        order_[c][half] =
            _mm256_or_si256(twice, _mm256_slli_epi64(_mm256_or_si256(twice, broadcast(u64{1})), 32));
      }
    }
  }

  // Words 4 half .. 4 half + 3 of block b of the image.
  Words words(const u64* in, std::size_t b, std::size_t half) const {
    const std::size_t c = blocks_[b] & 7;
    const u64* source = in + (blocks_[b] & ~7u) + 4 * ((c ^ half) & 1);
    return _mm256_permutevar8x32_epi32(load(source), order_[c][half]);
  }

 private:
  const std::uint32_t* blocks_;
  Words order_[8][2];
};

void forward_ntt(const NttTable& table, u64* out, const u64* in);
void forward_ntt_streamed(std::span<const StreamedNtt> transforms, const NttStream& stream);
void inverse_ntt(const NttTable& table, const InverseScale& scale, const Automorphism* permutation, u64* out,
                 const u64* in);
void scalar_product(const Modulus& q, const ScalarProduct& arguments, std::size_t n);

}  // namespace tacit::ring::avx2
