// SPDX-License-Identifier: Apache-2.0
#include "compiler/fit.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tacit::compiler {

namespace {

// Drops what rounding left of coefficients that are zero.
void trim(std::vector<double>& coefficients) {
  double largest = 0;
  for (double c : coefficients) largest = std::max(largest, std::abs(c));
  while (coefficients.size() > 1 && std::abs(coefficients.back()) <= 1e-12 * largest) coefficients.pop_back();
}

// T_0(t) .. T_degree(t).
std::vector<double> chebyshev_values(double t, std::size_t degree) {
  std::vector<double> values(degree + 1, 1);
  if (degree >= 1) values[1] = t;
  for (std::size_t k = 2; k <= degree; ++k) values[k] = 2 * t * values[k - 1] - values[k - 2];
  return values;
}

// Minimises |A x - b| for a tall matrix given by columns; A has full rank.
std::vector<double> least_squares(std::vector<std::vector<double>> columns, std::vector<double> b) {
  const std::size_t n = columns.size(), m = b.size();
  std::vector<double> diagonal(n);
  for (std::size_t k = 0; k < n; ++k) {
    // The reflection that takes column k, from row k down, to a multiple of the first unit vector.
    std::vector<double>& v = columns[k];
    double norm = 0;
    for (std::size_t i = k; i < m; ++i) norm += v[i] * v[i];
    norm = std::sqrt(norm);
    diagonal[k] = v[k] > 0 ? -norm : norm;
    v[k] -= diagonal[k];
    double length = 0;
    for (std::size_t i = k; i < m; ++i) length += v[i] * v[i];
    auto reflect = [&](std::vector<double>& x) {
      double dot = 0;
      for (std::size_t i = k; i < m; ++i) dot += v[i] * x[i];
      const double factor = 2 * dot / length;
      for (std::size_t i = k; i < m; ++i) x[i] -= factor * v[i];
    };
    for (std::size_t j = k + 1; j < n; ++j) reflect(columns[j]);
    reflect(b);
  }
  std::vector<double> x(n);
  for (std::size_t k = n; k-- > 0;) {
    double sum = b[k];
    for (std::size_t j = k + 1; j < n; ++j) sum -= columns[j][k] * x[j];
    x[k] = sum / diagonal[k];
  }
  return x;
}

}  // namespace

double ChebyshevSeries::operator()(double x) const {
  // Clenshaw's recurrence.
  const double t = x / range;
  double next = 0, after = 0;
  for (std::size_t k = coefficients.size(); k-- > 1;) {
    const double value = coefficients[k] + 2 * t * next - after;
    after = next;
    next = value;
  }
  return coefficients[0] + t * next - after;
}

void Histogram::add(double x) {
  const double position = std::floor((x / range_ + 1) / 2 * kBins);
  const double bin = std::clamp(position, 0.0, static_cast<double>(kBins - 1));
  counts_[static_cast<std::size_t>(bin)] += 1;
  total_ += 1;
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBins; ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
}

double Histogram::share(std::size_t bin) const { return total_ == 0 ? 1.0 / kBins : counts_[bin] / total_; }

ChebyshevSeries fit_chebyshev(const std::function<double(double)>& f, const Histogram& histogram,
                              std::size_t degree) {
  std::vector<std::vector<double>> columns(degree + 1, std::vector<double>(Histogram::kBins));
  std::vector<double> b(Histogram::kBins);
  for (std::size_t i = 0; i < Histogram::kBins; ++i) {
    const double weight = std::sqrt((1 - kFloorShare) * histogram.share(i) +
                                    kFloorShare / static_cast<double>(Histogram::kBins));
    const double x = histogram.centre(i);
    const std::vector<double> values = chebyshev_values(x / histogram.range(), degree);
    for (std::size_t k = 0; k <= degree; ++k) columns[k][i] = weight * values[k];
    b[i] = weight * f(x);
  }
  ChebyshevSeries series{histogram.range(), least_squares(std::move(columns), std::move(b))};
  trim(series.coefficients);
  return series;
}

ChebyshevSeries with_range(const ChebyshevSeries& series, double range) {
  if (range == series.range) return series;
  // Interpolation at the zeros of T_(degree + 1) is exact for polynomials of this degree.
  const std::size_t count = series.coefficients.size();
  ChebyshevSeries result{range, std::vector<double>(count, 0)};
  for (std::size_t i = 0; i < count; ++i) {
    const double t = std::cos(std::numbers::pi * (static_cast<double>(i) + 0.5) / static_cast<double>(count));
    const std::vector<double> values = chebyshev_values(t, count - 1);
    const double y = series(t * range);
    for (std::size_t k = 0; k < count; ++k)
      result.coefficients[k] += (k == 0 ? 1.0 : 2.0) / static_cast<double>(count) * y * values[k];
  }
  return result;
}

FitError fit_error(const std::function<double(double)>& p, const std::function<double(double)>& f,
                   const Histogram& histogram) {
  FitError error;
  double sum = 0;
  for (std::size_t i = 0; i < Histogram::kBins; ++i) {
    const double difference = std::abs(p(histogram.centre(i)) - f(histogram.centre(i)));
    sum += histogram.share(i) * difference * difference;
    error.largest = std::max(error.largest, difference);
  }
  error.rms = std::sqrt(sum);
  return error;
}

}  // namespace tacit::compiler
