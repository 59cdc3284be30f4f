// SPDX-License-Identifier: Apache-2.0
// The embedding against its definition, against a transform in extended precision, and between instruction sets.
#include "ckks/embedding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <random>
#include <vector>

#include "base/aligned.h"
#include "support/seed.h"

namespace tacit::ckks {
namespace {

using Real = long double;
using Doubles = AlignedVector<double>;
using Complexes = std::vector<std::complex<double>>;
using Reals = std::vector<std::complex<Real>>;

using test::kSeed;
constexpr double kUnitRoundoff = 0x1p-53;

// exp(pi i k / N), N = 2n.
std::complex<Real> zeta_power(std::size_t k, std::size_t n) {
  const Real angle = std::numbers::pi_v<Real> * static_cast<Real>(k % (4 * n)) / static_cast<Real>(2 * n);
  return {std::cos(angle), std::sin(angle)};
}

// m(zeta^(3^i)) for all i, term by term.
Reals evaluate(const Doubles& m) {
  const std::size_t n = m.size() / 2;
  Reals slots(n);
  for (std::size_t i = 0, exponent = 1; i < n; ++i, exponent = exponent * 3 % (4 * n)) {
    for (std::size_t k = 0; k < m.size(); ++k)
      slots[i] += static_cast<Real>(m[k]) * zeta_power(k * exponent, n);
  }
  return slots;
}

// sum_k a_k exp(2 pi i j k / n) at j.
Reals fourier(const Reals& a) {
  const std::size_t n = a.size();
  if (n == 1) return a;
  Reals even(n / 2), odd(n / 2), out(n);
  for (std::size_t k = 0; k < n / 2; ++k) even[k] = a[2 * k], odd[k] = a[2 * k + 1];
  even = fourier(even);
  odd = fourier(odd);
  for (std::size_t j = 0; j < n / 2; ++j) {
    const std::complex<Real> t = odd[j] * zeta_power(4 * j, n);
    out[j] = even[j] + t;
    out[j + n / 2] = even[j] - t;
  }
  return out;
}

// m(zeta^(3^i)) by a transform of 2n points at the odd powers of zeta.
Reals evaluate_fast(const Doubles& m) {
  const std::size_t degree = m.size(), n = degree / 2;
  Reals twisted(degree);
  for (std::size_t k = 0; k < degree; ++k) twisted[k] = static_cast<Real>(m[k]) * zeta_power(k, n);
  const Reals values = fourier(twisted);  // at zeta^(2j + 1)
  Reals slots(n);
  for (std::size_t i = 0, exponent = 1; i < n; ++i, exponent = exponent * 3 % (4 * n)) {
    slots[i] = values[exponent / 2];
  }
  return slots;
}

Doubles random_doubles(std::size_t n, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  Doubles x(n);
  for (double& v : x) v = uniform(random);
  return x;
}

Complexes random_slots(std::size_t n, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  Complexes z(n);
  for (auto& x : z) x = {uniform(random), uniform(random)};
  return z;
}

struct Error {
  Real root_mean_square = 0, largest = 0;  // relative to the root mean square of what is expected
};

template <class Actual, class Expected>
Error compare(const Actual& actual, const Expected& expected) {
  Real errors = 0, norm = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Real error = std::abs(std::complex<Real>(actual[i]) - std::complex<Real>(expected[i]));
    errors += error * error;
    norm += std::norm(std::complex<Real>(expected[i]));
    largest = std::max(largest, error);
  }
  return {std::sqrt(errors / norm), largest / std::sqrt(norm / static_cast<Real>(expected.size()))};
}

// A butterfly's product errs by sqrt(5) u relative (Brent, Percival and Zimmermann 2007), its rounded root by u / sqrt(2),
// its sum by u: 3.95 u in each stage, relative to the Euclidean norm (Higham 2002, theorem 24.2). The largest error is
// not bounded as well; that it stays below three times as much is what is found.
void expect_small(const Error& error, std::size_t points, std::string_view what) {
  const double bound = 4 * kUnitRoundoff * std::log2(static_cast<double>(points));
  EXPECT_LT(error.root_mean_square, bound) << what << ", " << points << " points, seed " << kSeed;
  EXPECT_LT(error.largest, 3 * bound) << what << ", " << points << " points, seed " << kSeed;
}

TEST(Embedding, IsTheValueAtThePowersOfThree) {
  std::mt19937_64 random(kSeed);
  for (std::size_t n : {64, 128, 256}) {
    const Embedding embedding(n);
    const Doubles m = random_doubles(2 * n, random);
    const Reals expected = evaluate(m);
    expect_small(compare(evaluate_fast(m), expected), n, "the reference");
    Doubles coefficients = m;
    Complexes slots(n);
    embedding.forward(coefficients, slots);
    expect_small(compare(slots, expected), n, "forward");
    coefficients = m;
    Doubles real(n);
    embedding.forward(coefficients, real);
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(real[i], slots[i].real()) << "seed " << kSeed;
  }
}

TEST(Embedding, InverseGivesThePolynomialOfTheSlots) {
  std::mt19937_64 random(kSeed);
  for (std::size_t n : {64, 128, 256}) {
    const Embedding embedding(n);
    const Complexes slots = random_slots(n, random);
    Doubles coefficients(2 * n);
    embedding.inverse(slots, coefficients);
    for (double& c : coefficients) c /= static_cast<double>(n);
    expect_small(compare(evaluate(coefficients), slots), n, "complex");
    const Doubles real = random_doubles(n, random);
    embedding.inverse(real, coefficients);
    for (double& c : coefficients) c /= static_cast<double>(n);
    expect_small(compare(evaluate(coefficients), real), n, "real");
  }
}

TEST(Embedding, ErrsAsLittleAsStated) {
  std::mt19937_64 random(kSeed);
  for (std::size_t n = 1 << 11; n <= 1 << 15; n *= 2) {
    const Embedding embedding(n);
    Doubles m = random_doubles(2 * n, random);
    const Reals expected = evaluate_fast(m);
    Complexes slots(n);
    embedding.forward(m, slots);
    expect_small(compare(slots, expected), n, "forward");

    // The other way: the errors of the coefficients are those of the slots that they have.
    const Complexes z = random_slots(n, random);
    embedding.inverse(z, m);
    for (double& c : m) c /= static_cast<double>(n);
    expect_small(compare(evaluate_fast(m), z), n, "inverse");
  }
}

// Fewer slots belong to a polynomial in a power of X, here checked by the definition for the whole ring.
TEST(Embedding, PeriodicSlotsAreAPolynomialInAPowerOfX) {
  std::mt19937_64 random(kSeed);
  const std::size_t n = 512;
  const Embedding embedding(n);
  for (std::size_t period : {64, 128, 256, 512}) {
    const Complexes slots = random_slots(period, random);
    Doubles some(2 * period), all(2 * n);
    embedding.inverse(slots, some);
    std::fill(all.begin(), all.end(), 0);
    for (std::size_t k = 0; k < some.size(); ++k)
      all[k * (n / period)] = some[k] / static_cast<double>(period);
    Complexes repeated(n);
    for (std::size_t i = 0; i < n; ++i) repeated[i] = slots[i % period];
    expect_small(compare(evaluate(all), repeated), n, "repeated");

    // The full transform gives the same doubles, times n / period.
    Doubles full(2 * n);
    embedding.inverse(repeated, full);
    for (std::size_t k = 0; k < 2 * n; ++k) EXPECT_EQ(full[k] / static_cast<double>(n), all[k]);

    Doubles overwritten = all;
    Complexes back(n), short_back(period);
    embedding.forward(overwritten, back);
    for (double& c : some) c /= static_cast<double>(period);
    embedding.forward(some, short_back);
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(back[i], short_back[i % period]);
  }
}

TEST(Embedding, IsTheSameToTheBitForEveryInstructionSet) {
  std::mt19937_64 random(kSeed);
  const Embedding embedding(1 << 12);
  for (std::size_t n = Embedding::kMinPoints; n <= embedding.points(); n *= 2) {
    const Complexes slots = random_slots(n, random);
    const Doubles real = random_doubles(n, random), m = random_doubles(2 * n, random);
    auto run = [&](const EncodingKernels& kernels) {
      std::vector<double> results;
      auto append = [&](const double* p, std::size_t count) { results.insert(results.end(), p, p + count); };
      Doubles coefficients(2 * n);
      embedding.inverse(slots, coefficients, kernels);
      append(coefficients.data(), 2 * n);
      embedding.inverse(real, coefficients, kernels);
      append(coefficients.data(), 2 * n);
      Complexes out(n);
      coefficients = m;
      embedding.forward(coefficients, out, kernels);
      append(reinterpret_cast<const double*>(out.data()), 2 * n);
      Doubles real_out(n);
      coefficients = m;
      embedding.forward(coefficients, real_out, kernels);
      append(real_out.data(), n);
      return results;
    };
    const std::vector<double> expected = run(kPortableEncoding);
    for (const EncodingKernels* kernels : all_encoding_kernels()) {
      if (!kernels->available()) continue;
      const std::vector<double> actual = run(*kernels);
      EXPECT_EQ(std::memcmp(actual.data(), expected.data(), expected.size() * sizeof(double)), 0)
          << kernels->name << ", " << n << " points, seed " << kSeed;
    }
  }
}

}  // namespace
}  // namespace tacit::ckks
