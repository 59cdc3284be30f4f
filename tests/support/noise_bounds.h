// SPDX-License-Identifier: Apache-2.0
// What no coefficient of an operation's error can exceed, from the parameters and the number h of coefficients of the
// ternary secret that are not zero; variances stand beside it where runtime/noise.h has none. Errors are those of coefficients, before
// division by the scale; a product of polynomials has |a b|_inf <= |a|_1 |b|_inf.
#pragma once

#include <algorithm>
#include <cmath>

#include "ckks/parameters.h"

namespace tacit::test {

// Centred binomial of parameter 21 (ring/random.h): the largest value, and the variance.
inline constexpr double kLargestError = 21, kErrorVariance = 10.5;

class NoiseBounds {
 public:
  NoiseBounds(const ckks::Parameters& parameters, std::size_t secret_weight)
      : parameters_(parameters),
        n_(static_cast<double>(parameters.degree())),
        h_(static_cast<double>(secret_weight)) {}

  // c_0 + c_1 s = m + e.
  double symmetric_encryption() const { return kLargestError; }
  // m + u e + e_0 + e_1 s, u ternary (Cheon, Kim, Kim and Song 2017, lemma 1, which bounds it with high probability only);
  // on average 2/3 of the coefficients of u are not zero.
  double public_key_encryption() const { return kLargestError * (n_ + 1 + h_); }
  double public_key_encryption_variance() const { return kErrorVariance * (2 * n_ / 3 + 1 + h_); }

  // Both parts of a ciphertext are divided by an integer and rounded, each by at most 1/2: r_0 + r_1 s (ibid., lemma 2).
  // Where the divisor is a product of several primes, either neighbour may be taken within 2^-48 of the middle.
  double division() const { return (1 + h_) / 2 * (1 + 0x1p-46); }

  // Key switching before its division, relative to P: sum_j d_j e_j / P. The digit of D_j, a product of k primes, is lifted
  // without correction to a number in [0, k D_j) (Han and Ki 2020, section 3).
  double key_switch(const ckks::KeyShape& shape, int level) const {
    double total = 0;
    for_each_digit(shape, level, [&](double ratio, double primes) { total += primes * ratio; });
    return n_ * kLargestError * total;
  }

 private:
  // run(D_j / P, the number of primes of digit j).
  template <class Run>
  void for_each_digit(const ckks::KeyShape& shape, int level, const Run& run) const {
    double special = 1;
    for (int i = 0; i < shape.special_count; ++i)
      special *= static_cast<double>(parameters_.literal().special_primes[static_cast<std::size_t>(i)]);
    for (int first = 0; first <= level; first += shape.digit_size) {
      const int last = std::min(first + shape.digit_size, level + 1);
      double ratio = 1 / special;
      for (int i = first; i < last; ++i) ratio *= static_cast<double>(parameters_.prime(i).value());
      run(ratio, last - first);
    }
  }

  ckks::Parameters parameters_;
  double n_, h_;
};

}  // namespace tacit::test
