// SPDX-License-Identifier: Apache-2.0
#include "ckks/chebyshev.h"

#include <gtest/gtest.h>

#include <random>

#include "ring/modulus.h"

namespace tacit::ckks {
namespace {

struct Number {
  double value = 0;
  int level = 0;
  double scale = 1;
};

// One number with a ciphertext's bookkeeping, strict about every rule of ChebyshevArithmetic.
class NumberArithmetic {
 public:
  using Vector = Number;
  explicit NumberArithmetic(std::vector<double> primes) : primes_(std::move(primes)) {}

  int level(const Number& v) const { return v.level; }
  double scale(const Number& v) const { return v.scale; }
  double prime(int level) const { return primes_.at(static_cast<std::size_t>(level)); }
  Result<Number> multiply(const Number& a, const Number& b) {
    const int level = std::min(a.level, b.level);
    if (level < 1) return Error{ErrorCode::kLevelMismatch, "product at level 0"};
    ++products;
    return Number{a.value * b.value, level - 1, a.scale * b.scale / prime(level)};
  }
  Result<Number> square(const Number& a) { return multiply(a, a); }
  Result<Number> add(const Number& a, const Number& b) {
    if (std::abs(a.scale - b.scale) > 0x1p-40 * a.scale) return Error{ErrorCode::kScaleMismatch, "sum"};
    return Number{a.value + b.value, std::min(a.level, b.level), a.scale};
  }
  Result<Number> add_scalar(const Number& a, double c) { return Number{a.value + c, a.level, a.scale}; }
  Result<Number> double_value(const Number& a) { return Number{2 * a.value, a.level, a.scale}; }
  Result<Number> drop(const Number& a, int level) {
    if (level < 0 || level > a.level) return Error{ErrorCode::kLevelMismatch, "drop"};
    return Number{a.value, level, a.scale};
  }
  Result<Number> weighted_sum(std::span<const Number* const> v, std::span<const double> c, int target_level,
                              double target_scale) {
    if (v.empty() || v.size() != c.size()) return Error{ErrorCode::kInvalidArgument, "sum of nothing"};
    Number sum{0, target_level, target_scale};
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (v[i]->level <= target_level || target_level < 0)
        return Error{ErrorCode::kLevelMismatch, "weighted sum"};
      // What a ciphertext would hold is value * scale times the encoded coefficient, divided by the prime.
      const double encoded = c[i] * (target_scale * prime(target_level + 1) / v[i]->scale);
      sum.value += v[i]->value * v[i]->scale * encoded / prime(target_level + 1) / target_scale;
    }
    return sum;
  }

  int products = 0;

 private:
  std::vector<double> primes_;
};

static_assert(ChebyshevArithmetic<NumberArithmetic>);

// Primes of about `bits` bits, no two alike, so that a scale taken from the wrong level shows.
std::vector<double> make_primes(std::size_t count, int bits) {
  std::vector<double> primes;
  for (ring::u64 p : ring::ntt_primes(13, bits, count)) primes.push_back(static_cast<double>(p));
  return primes;
}

// sum c_k T_k(x) with T_k(cos t) = cos(k t).
double direct(std::span<const double> c, double x) {
  double sum = 0;
  for (std::size_t k = 0; k < c.size(); ++k) sum += c[k] * std::cos(static_cast<double>(k) * std::acos(x));
  return sum;
}

enum class Parity { kAny, kOdd, kEven };

std::vector<double> random_coefficients(std::size_t degree, Parity parity, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> c(degree + 1);
  for (std::size_t k = 0; k <= degree; ++k)
    if (parity == Parity::kAny || (k % 2 == 1) == (parity == Parity::kOdd)) c[k] = uniform(random);
  c[degree] = 0.5 + 0.5 * std::abs(uniform(random));
  return c;
}

int ceil_log2(std::size_t x) {
  int bits = 0;
  while ((std::size_t{1} << bits) < x) ++bits;
  return bits;
}

class Degrees : public testing::TestWithParam<std::size_t> {};

TEST_P(Degrees, GiveTheValueAtTheStatedLevelAndExactScale) {
  const std::size_t degree = GetParam();
  const std::uint64_t seed = 1000 + degree;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const int depth = ceil_log2(degree + 1);
  ASSERT_EQ(chebyshev_depth(degree), depth);
  const int target_level = 2, start = target_level + depth;
  for (const Parity parity : {Parity::kAny, degree % 2 == 1 ? Parity::kOdd : Parity::kEven}) {
    const std::vector<double> c = random_coefficients(degree, parity, random);
    NumberArithmetic arithmetic(make_primes(static_cast<std::size_t>(start) + 1, 40));
    const double target_scale = 0x1p39 * 1.234567;
    for (double x : {-1.0, -0.7, 0.0, 0.123, 0.999, 1.0}) {
      arithmetic.products = 0;
      const auto result = evaluate_chebyshev(arithmetic, Number{x, start, arithmetic.prime(start) * 0.998}, c,
                                             target_level, target_scale);
      ASSERT_TRUE(result.ok()) << result.error().to_line();
      EXPECT_NEAR(result->value, direct(c, x), 1e-9);
      EXPECT_EQ(result->level, target_level);
      EXPECT_NEAR(result->scale / target_scale, 1, 0x1p-49);
    }
    EXPECT_EQ(static_cast<std::size_t>(arithmetic.products), chebyshev_products(c));
  }
  // One level fewer does not suffice.
  NumberArithmetic arithmetic(make_primes(static_cast<std::size_t>(start), 40));
  const std::vector<double> c = random_coefficients(degree, Parity::kAny, random);
  const auto refused =
      evaluate_chebyshev(arithmetic, Number{0.5, start - 1, 0x1p40}, c, target_level, 0x1p40);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kLevelMismatch);
}

INSTANTIATE_TEST_SUITE_P(Chebyshev, Degrees, testing::Range(std::size_t{1}, std::size_t{64}));
INSTANTIATE_TEST_SUITE_P(ChebyshevHigh, Degrees, testing::Values(99, 119, 127, 128, 200, 255));

TEST(Chebyshev, DropsAnInputThatIsHigherThanNeeded) {
  NumberArithmetic arithmetic(make_primes(11, 40));
  const std::vector<double> c = {0.25, -0.5, 0, 0.75};
  const auto result = evaluate_chebyshev(arithmetic, Number{0.3, 10, 0x1p40}, c, 1, 0x1p38);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->level, 1);
  EXPECT_NEAR(result->value, direct(c, 0.3), 1e-12);
}

TEST(Chebyshev, IgnoresTrailingZeros) {
  NumberArithmetic arithmetic(make_primes(3, 40));
  const std::vector<double> c = {0.25, -0.5, 0.75, 0, 0, 0};
  const auto result = evaluate_chebyshev(arithmetic, Number{0.3, 2, 0x1p40}, c, 0, 0x1p38);
  ASSERT_TRUE(result.ok());
  EXPECT_NEAR(result->value, direct(c, 0.3), 1e-12);
}

TEST(Chebyshev, RefusesConstantsAndNumbersThatAreNone) {
  NumberArithmetic arithmetic(make_primes(5, 40));
  const Number x{0.3, 4, 0x1p40};
  const auto code = [&](std::vector<double> c) {
    return evaluate_chebyshev(arithmetic, x, c, 0, 0x1p40).error().code;
  };
  EXPECT_EQ(code({}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({1}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({1, 0, 0}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({1, NAN, 2}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(evaluate_chebyshev(arithmetic, x, std::vector<double>{0, 0, 1}, -1, 0x1p40).error().code,
            ErrorCode::kLevelMismatch);
}

// Products of two vectors grow like the square root of the degree.
TEST(Chebyshev, TakesFewProducts) {
  const auto dense = [](std::size_t degree) {
    return chebyshev_products(std::vector<double>(degree + 1, 1.0));
  };
  EXPECT_EQ(dense(2), 1u);
  EXPECT_EQ(dense(3), 2u);
  EXPECT_LE(dense(7), 5u);
  EXPECT_LE(dense(15), 8u);
  EXPECT_LE(dense(31), 12u);
  EXPECT_LE(dense(63), 18u);
  EXPECT_LE(dense(127), 26u);
  std::vector<double> odd(28, 0);
  for (std::size_t k = 1; k < odd.size(); k += 2) odd[k] = 1;
  EXPECT_LE(chebyshev_products(odd), 10u);
}

}  // namespace
}  // namespace tacit::ckks
