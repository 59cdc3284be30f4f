// SPDX-License-Identifier: Apache-2.0
// Running sums of products of residues, four at a time, as the AVX2 kernels have them.
#pragma once

#include "ring/kernels/avx2.h"

namespace tacit::ring::avx2 {

// Sums of products of residues below 2^30 in 64-bit words.
class NarrowSums {
 public:
  static constexpr int kMaxBits = 30;
  using Operand = Words;
  struct Sum {
    Words total;
  };

  NarrowSums(const Lanes& lanes, const Modulus& modulus)
      : terms_per_reduction(std::size_t{1} << (64 - 2 * modulus.bits())),
        lanes_(lanes),
        low_factor_(lanes.factor_centred(modulus.reduce_montgomery(1))),
        high_factor_(lanes.factor_centred(modulus.reduce_montgomery(u64{1} << 32))) {}

  Operand operand(Words w) const { return w; }
  Sum start() const { return {_mm256_setzero_si256()}; }
  void add_product(Sum& sum, Operand a, Operand b) const {
    sum.total = _mm256_add_epi64(sum.total, _mm256_mul_epu32(a, b));
  }
  // The sum times 2^-52 modulo q, of magnitude below 2q.
  Vector reduce_montgomery(const Sum& sum) const {
    const Vector high = to_doubles(_mm256_srli_epi64(sum.total, 32));
    const Vector low = to_doubles(_mm256_and_si256(sum.total, broadcast(u64{0xFFFFFFFF})));
    return add(lanes_.multiply(high, high_factor_), lanes_.multiply(low, low_factor_));
  }

  const std::size_t terms_per_reduction;

 private:
  const Lanes& lanes_;
  Factor low_factor_, high_factor_;
};

// Sums of products of numbers a in [0, 2^a_bits) and residues. The total starts at 2^m, so that its unit in the last
// place is 2^(m-52) until it reaches 2^(m+1), and what a product adds to it is exactly what it grew by: the high part
// of the product, whose low part is at most half a unit. With a factor of 2^(m - a_bits - bits) in the number of terms,
// the total stays in range, with one of 2^(106-m) the sum of the low parts stays below 2^53; m makes both alike.
class WideSums {
 public:
  using Operand = Vector;
  struct Sum {
    Vector total, low;
  };

  WideSums(const Lanes& lanes, const Modulus& modulus, int a_bits)
      : terms_per_reduction(std::size_t{1} << (53 - (a_bits + modulus.bits() + 1) / 2)),
        lanes_(lanes),
        start_(broadcast(0x1p53 * static_cast<double>(u64{1} << ((a_bits + modulus.bits()) / 2)))),
        inverse_radix_(lanes.factor_centred(modulus.reduce_montgomery(1))) {}

  Operand operand(Words w) const { return to_doubles(w); }
  Sum start() const { return {start_, _mm256_setzero_pd()}; }
  void add_product(Sum& sum, Operand a, Operand b) const {
    const Vector total = _mm256_fmadd_pd(a, b, sum.total);
    sum.low = add(sum.low, _mm256_fmsub_pd(a, b, subtract(total, sum.total)));
    sum.total = total;
  }
  // The sum modulo q, of magnitude at most 3 2^50. The quotient of the high part is off by 2^-52 of itself, hence the
  // remainder is at most q/2 + 2^-52 2^m <= 2.5 2^50, and that of the low part q/2.
  Vector reduce(const Sum& sum) const {
    const Vector high = subtract(sum.total, start_);
    const Vector quotient =
        _mm256_round_pd(_mm256_mul_pd(high, lanes_.inverse), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Vector remainder = _mm256_fnmadd_pd(quotient, lanes_.q, high);
    return add(remainder, lanes_.reduce(sum.low));
  }
  // The sum times 2^-52 modulo q, of magnitude below q.
  Vector reduce_montgomery(const Sum& sum) const { return lanes_.multiply(reduce(sum), inverse_radix_); }

  const std::size_t terms_per_reduction;

 private:
  const Lanes& lanes_;
  Vector start_;
  Factor inverse_radix_;
};

}  // namespace tacit::ring::avx2
