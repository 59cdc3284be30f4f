// SPDX-License-Identifier: Apache-2.0
// Polynomials in place of activation functions: Chebyshev series by weighted least squares.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace tacit::compiler {

// p(x) = sum_k coefficients[k] T_k(x / range), T_k the Chebyshev polynomials of the first kind. Trailing
// coefficients that are nothing beside the others are dropped; at least one is left.
struct ChebyshevSeries {
  double range = 1;
  std::vector<double> coefficients;

  double operator()(double x) const;
  std::size_t degree() const { return coefficients.size() - 1; }
};

// How often values were seen, in equal bins over [-range, range]. Values outside count for the outermost
// bins.
class Histogram {
 public:
  static constexpr std::size_t kBins = 1024;

  explicit Histogram(double range) : range_(range), counts_(kBins, 0) {}
  void add(double x);
  void merge(const Histogram& other);

  double range() const { return range_; }
  double centre(std::size_t bin) const { return range_ * ((2.0 * static_cast<double>(bin) + 1) / kBins - 1); }
  // Share of the values; of no values, the same for every bin.
  double share(std::size_t bin) const;

 private:
  double range_;
  std::vector<double> counts_;
  double total_ = 0;
};

// The share of the weight that is spread evenly over the interval, so that the polynomial stays near the
// function where calibration saw nothing.
inline constexpr double kFloorShare = 0.001;

// Polynomials are fitted on an interval with half of the room that values are given: the width costs precision everywhere, and
// few values are beyond those seen (docs/compiler.md has the measurements).
constexpr double fit_margin(double margin) { return (1 + margin) / 2; }

// The polynomial of at most `degree` that minimises sum over bins of w (p - f)^2 at their centres, with
// w = (1 - kFloorShare) share + kFloorShare / bins. Solved by Householder reflections in the Chebyshev basis.
ChebyshevSeries fit_chebyshev(const std::function<double(double)>& f, const Histogram& histogram,
                              std::size_t degree);

// The same polynomial over another range: coefficients with T_k(x / range).
ChebyshevSeries with_range(const ChebyshevSeries& series, double range);

// sqrt(mean (p - f)^2) over the histogram's values, and the largest |p - f| at the centres of all bins.
struct FitError {
  double rms = 0;
  double largest = 0;
};
FitError fit_error(const std::function<double(double)>& p, const std::function<double(double)>& f,
                   const Histogram& histogram);

}  // namespace tacit::compiler
