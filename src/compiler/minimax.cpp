// SPDX-License-Identifier: Apache-2.0
#include "compiler/minimax.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

namespace tacit::compiler {

namespace {

constexpr int kMaxExchanges = 100;
constexpr double kConverged = 0x1p-20;
// Below this an error is rounding: sums of Chebyshev polynomials around 1 are no more exact.
constexpr double kRounding = 0x1p-44;

// sum_k c[k] T_(2k+1)(t), by Clenshaw's recurrence in T_2: T_(2k+3) = 2 T_2 T_(2k+1) - T_(2k-1), T_(-1) = T_1 = t.
double evaluate_odd(const std::vector<double>& c, double t) {
  const double twice = 2 * (2 * t * t - 1);
  double next = 0, after = 0;
  for (std::size_t k = c.size(); k-- > 0;) {
    const double value = c[k] + twice * next - after;
    after = next;
    next = value;
  }
  return t * (next - after);
}

// x of A x = b by elimination with row pivots; A is square and not singular.
std::vector<double> solve(std::vector<std::vector<double>> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

class Exchange {
 public:
  Exchange(double low, double high, std::size_t degree)
      : low_(low), high_(high), unknowns_((degree + 1) / 2) {
    // Chebyshev's points in x^2: p(x) / x is a polynomial in x^2.
    for (std::size_t i = 0; i <= unknowns_; ++i) {
      const double angle = std::numbers::pi * static_cast<double>(i) / static_cast<double>(unknowns_);
      points_.push_back(std::sqrt(low * low + (high * high - low * low) * (1 - std::cos(angle)) / 2));
    }
    points_.front() = low;
    points_.back() = high;
  }

  Result<OddMinimax> run() {
    for (int round = 0; round < kMaxExchanges; ++round) {
      level();
      points_ = extremes();
      double least = std::abs(error(points_.front())), largest = least;
      for (double x : points_) {
        least = std::min(least, std::abs(error(x)));
        largest = std::max(largest, std::abs(error(x)));
      }
      const bool alternates = points_.size() == unknowns_ + 1;
      if (largest > kRounding && !alternates) break;
      if (largest - least <= std::max(kConverged * largest, kRounding))
        return OddMinimax{low_, high_, coefficients_, largest, least, points_};
    }
    return Error{ErrorCode::kCompileInternal, "no odd polynomial of degree " +
                                                  std::to_string(2 * unknowns_ - 1) +
                                                  " nearest to 1 between " + std::to_string(low_) + " and " +
                                                  std::to_string(high_) + " was found"};
  }

 private:
  double error(double x) const { return evaluate_odd(coefficients_, x / high_) - 1; }

  // The polynomial whose error is equally large at all points, of alternating sign.
  void level() {
    std::vector<std::vector<double>> a;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      std::vector<double>& row = a.emplace_back();
      // T_1, T_3, ..
      const double t = points_[i] / high_, twice = 2 * (2 * t * t - 1);
      double before = t, value = t;
      for (std::size_t k = 0; k < unknowns_; ++k) {
        row.push_back(value);
        before = std::exchange(value, twice * value - before);
      }
      row.push_back(i % 2 == 0 ? 1.0 : -1.0);
    }
    coefficients_ = solve(std::move(a), std::vector<double>(points_.size(), 1.0));
    coefficients_.pop_back();
  }

  // The largest errors, one in each run of one sign; of more than are wanted, those at the ends that are smaller go.
  std::vector<double> extremes() const {
    std::vector<std::pair<double, double>> found;  // place, error
    const auto offer = [&](double x) {
      const double e = error(x);
      if (!found.empty() && (e < 0) == (found.back().second < 0)) {
        if (std::abs(e) > std::abs(found.back().second)) found.back() = {x, e};
      } else {
        found.emplace_back(x, e);
      }
    };
    // The error has a zero between any two points, so that a grid which divides each gap misses no extreme.
    constexpr int kSteps = 64;
    std::vector<double> grid;
    double from = low_;
    for (double to : points_) {
      for (int i = 0; to > from && i < kSteps; ++i) grid.push_back(from + (to - from) * i / kSteps);
      from = to;
    }
    for (int i = 0; high_ > from && i < kSteps; ++i) grid.push_back(from + (high_ - from) * i / kSteps);
    grid.push_back(high_);
    for (std::size_t i = 0; i < grid.size(); ++i) {
      const bool inside = i > 0 && i + 1 < grid.size();
      offer(inside ? peak(grid[i - 1], grid[i], grid[i + 1]) : grid[i]);
    }
    while (found.size() > unknowns_ + 1) {
      const bool first = std::abs(found.front().second) < std::abs(found.back().second);
      found.erase(first ? found.begin() : found.end() - 1);
    }
    std::vector<double> places;
    for (const auto& [x, e] : found) places.push_back(x);
    return places;
  }

  // The extreme near `middle`, by golden sections, where the error is larger there than at both sides.
  double peak(double left, double middle, double right) const {
    const auto size = [&](double x) { return std::abs(error(x)); };
    if (size(middle) < size(left) || size(middle) < size(right)) return middle;
    constexpr double kGolden = 0.6180339887498949;
    for (int i = 0; i < 60; ++i) {
      const double a = right - kGolden * (right - left), b = left + kGolden * (right - left);
      (size(a) < size(b) ? left : right) = size(a) < size(b) ? a : b;
    }
    return (left + right) / 2;
  }

  double low_, high_;
  std::size_t unknowns_;
  std::vector<double> points_, coefficients_;
};

}  // namespace

double OddMinimax::operator()(double x) const { return evaluate_odd(coefficients, x / high); }

Result<OddMinimax> odd_minimax(double low, double high, std::size_t degree) {
  if (!(low > 0 && low < high) || degree % 2 == 0 || degree > kMaxMinimaxDegree)
    return Error{ErrorCode::kCompileInternal,
                 "an odd polynomial nearest to 1 was asked for with an interval or a degree that cannot be"};
  return Exchange(low, high, degree).run();
}

}  // namespace tacit::compiler
