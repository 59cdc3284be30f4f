// SPDX-License-Identifier: Apache-2.0
// Odd polynomials nearest to the sign function, by the exchange algorithm of Remez.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"

namespace tacit::compiler {

// p(x) = sum_k coefficients[k] T_(2k+1)(x / high), the odd polynomial of at most its degree whose largest distance from 1 on
// [low, high] is the least there is; by symmetry also from -1 on [-high, -low].
struct OddMinimax {
  double low = 0, high = 1;
  std::vector<double> coefficients;
  // |p - 1| at most, on [low, high], and at least, by de la Vallee Poussin's theorem: the best polynomial's error is between.
  double error = 0, least_error = 0;
  // Where p - 1 takes its extremes, alternately below and above: one more than there are coefficients.
  std::vector<double> extremes;

  double operator()(double x) const;
};

// For 0 < low < high and an odd degree of at most kMaxMinimaxDegree. T_1, T_3, .. are a Haar system on [low, high], so that the
// best polynomial is the one whose error alternates (Chebyshev); the error's extremes are found from one interpolation to the
// next (Remez 1934; E. Lee, J.-W. Lee, J.-S. No and Y.-S. Kim, IEEE TDSC 2021, section 2.3). compile.internal where the
// exchange does not converge to a relative 2^-20 of the error or to what double precision can tell from 1.
Result<OddMinimax> odd_minimax(double low, double high, std::size_t degree);

inline constexpr std::size_t kMaxMinimaxDegree = 63;

}  // namespace tacit::compiler
