// SPDX-License-Identifier: Apache-2.0
#include "compiler/fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "graph/graph.h"

namespace tacit::compiler {
namespace {

constexpr std::uint32_t kSeed = 7;

Histogram normal_histogram(double range, double deviation) {
  Histogram histogram(range);
  std::mt19937 generator(kSeed);
  std::normal_distribution<double> distribution(0, deviation);
  for (int i = 0; i < 20000; ++i) histogram.add(distribution(generator));
  return histogram;
}

double relu(double x) { return std::max(x, 0.0); }

TEST(Fit, ReproducesPolynomialsOfItsDegree) {
  const Histogram histogram = normal_histogram(3, 1);
  const auto f = [](double x) { return 0.25 * x * x * x - 2 * x * x + x - 5; };
  const ChebyshevSeries series = fit_chebyshev(f, histogram, 3);
  ASSERT_EQ(series.degree(), 3u);
  for (double x : {-3.0, -1.7, 0.0, 0.4, 2.9}) EXPECT_NEAR(series(x), f(x), 1e-11);
}

TEST(Fit, DropsCoefficientsThatAreZero) {
  const auto f = [](double x) { return 2 * x + 1; };
  const ChebyshevSeries series = fit_chebyshev(f, normal_histogram(2, 1), 7);
  ASSERT_EQ(series.degree(), 1u);
  EXPECT_NEAR(series(1.5), 4, 1e-11);
}

TEST(Fit, HigherDegreesAreNearer) {
  const Histogram histogram = normal_histogram(6, 1.5);
  double before = 1;
  for (std::size_t degree : {2, 3, 5, 7, 15, 31}) {
    const double error = fit_error(fit_chebyshev(relu, histogram, degree), relu, histogram).rms;
    EXPECT_LE(error, before * (1 + 1e-9)) << degree;
    before = error;
  }
  EXPECT_LT(before, 0.02);
}

TEST(Fit, IsOptimalForItsWeights) {
  // No coefficient can be moved without making the weighted error larger.
  const Histogram histogram = normal_histogram(4, 1);
  const auto weighted_error = [&](const ChebyshevSeries& series) {
    double sum = 0;
    for (std::size_t i = 0; i < Histogram::kBins; ++i) {
      const double weight = (1 - kFloorShare) * histogram.share(i) + kFloorShare / Histogram::kBins;
      const double difference = series(histogram.centre(i)) - relu(histogram.centre(i));
      sum += weight * difference * difference;
    }
    return sum;
  };
  const ChebyshevSeries best = fit_chebyshev(relu, histogram, 5);
  for (std::size_t k = 0; k <= 5; ++k)
    for (double step : {-1e-4, 1e-4}) {
      ChebyshevSeries moved = best;
      moved.coefficients[k] += step;
      EXPECT_GT(weighted_error(moved), weighted_error(best)) << k;
    }
}

TEST(Fit, StaysNearTheFunctionWhereNothingWasSeen) {
  // All values within a hundredth of the interval: without the floor, degree 7 would be of any size at its
  // ends.
  const Histogram histogram = normal_histogram(10, 0.03);
  const ChebyshevSeries series = fit_chebyshev(relu, histogram, 7);
  EXPECT_LT(fit_error(series, relu, histogram).largest, 2);
}

TEST(Fit, ValuesOutsideCountAtTheEnds) {
  Histogram histogram(1);
  histogram.add(-5);
  histogram.add(5);
  EXPECT_EQ(histogram.share(0), 0.5);
  EXPECT_EQ(histogram.share(Histogram::kBins - 1), 0.5);
}

TEST(Fit, OtherRangesGiveTheSamePolynomial) {
  const ChebyshevSeries series =
      fit_chebyshev([](double x) { return std::tanh(x); }, normal_histogram(3, 1), 9);
  for (double range : {3.0, 4.5, -3.5}) {
    const ChebyshevSeries other = with_range(series, range);
    EXPECT_EQ(other.range, range);
    for (double x : {-2.5, -0.3, 0.0, 1.1, 3.0}) EXPECT_NEAR(other(x), series(x), 1e-11) << range;
  }
}

}  // namespace
}  // namespace tacit::compiler
