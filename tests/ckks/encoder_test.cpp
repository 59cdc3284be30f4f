// SPDX-License-Identifier: Apache-2.0
#include "ckks/encoder.h"

#include <limits>
#include <numbers>

#include "ckks/embedding.h"
#include "ring/kernels/kernels.h"
#include "support/ckks_fixture.h"

namespace tacit::ckks {
namespace {

using test::unwrap;
using Complex = std::complex<double>;

std::vector<Complex> random_complex(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<Complex> z(n);
  for (Complex& x : z) x = {uniform(random), uniform(random)};
  return z;
}

TEST(Encoder, SlotIIsTheValueAtThePowerOfThree) {
  const Parameters parameters = test::make_parameters(12, 40, 30, 1, 35, 1);
  const Encoder encoder(parameters);
  const std::vector<Complex> z = random_complex(parameters.slots(), 5);
  const double scale = 0x1p40;
  const std::vector<std::int64_t> m = unwrap(encoder.to_coefficients(z, scale));
  const std::size_t order = 2 * parameters.degree();
  std::size_t exponent = 1;
  for (std::size_t i = 0; i < 64; ++i, exponent = exponent * 3 % order) {
    Complex value = 0;
    for (std::size_t k = 0; k < m.size(); ++k) {
      const double angle =
          2 * std::numbers::pi * static_cast<double>(k * exponent % order) / static_cast<double>(order);
      value += static_cast<double>(m[k]) * std::polar(1.0, angle);
    }
    EXPECT_LT(std::abs(value / scale - z[i]), 1e-9) << "slot " << i;
  }
}

TEST(Encoder, DecodesWhatItEncodedAtEveryLevel) {
  const Parameters parameters = test::make_parameters(13, 40, 30, 4, 45, 1);
  const Encoder encoder(parameters);
  const std::vector<Complex> z = random_complex(parameters.slots(), 6);
  for (int level = 0; level <= parameters.max_level(); ++level) {
    for (double scale : {0x1p25, 0x1p30 * 1.37}) {
      const auto decoded = encoder.decode(unwrap(encoder.encode(z, scale, level)));
      for (std::size_t i = 0; i < z.size(); ++i) {
        ASSERT_LT(std::abs(decoded[i] - z[i]), 200 / scale) << "slot " << i << " level " << level;
      }
    }
  }
}

TEST(Encoder, RepeatsAShortVector) {
  const Parameters parameters = test::make_parameters(12, 40, 30, 1, 35, 1);
  const Encoder encoder(parameters);
  const std::vector<double> v = {0.5, -0.25, 0.125, 1};
  const auto decoded = encoder.decode_real(unwrap(encoder.encode(v, 0x1p30, 1, true)));
  for (std::size_t i = 0; i < decoded.size(); ++i) ASSERT_NEAR(decoded[i], v[i % 4], 1e-6);
}

TEST(Encoder, RefusesWhatDoesNotFit) {
  const Parameters parameters = test::make_parameters(12, 40, 30, 1, 35, 1);
  const Encoder encoder(parameters);
  auto code = [](const auto& result) { return result.ok() ? ErrorCode::kInternal : result.error().code; };
  const std::vector<double> one = {1}, infinite = {INFINITY}, nan = {NAN}, too_many(parameters.slots() + 1),
                            three = {1, 2, 3};
  EXPECT_EQ(code(encoder.encode(infinite, 0x1p30, 1)), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(encoder.encode(nan, 0x1p30, 1)), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(encoder.encode(too_many, 0x1p30, 1)), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(encoder.encode(three, 0x1p30, 1, true)), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(encoder.encode(one, 0x1p40, 0, true)), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(encoder.encode(one, 0x1p70, 1, true)), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(encoder.encode(one, 0, 1)), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(code(encoder.encode(one, 0x1p30, 2)), ErrorCode::kLevelMismatch);
  EXPECT_EQ(code(encoder.encode(one, 0x1p30, -1)), ErrorCode::kLevelMismatch);
}

// The same plaintext as from the whole vector, for every period.
TEST(Encoder, RepeatsVectorsOfAnyPeriod) {
  const std::uint64_t seed = 7;
  const Parameters parameters = test::make_parameters(12, 40, 30, 1, 35, 1);
  const Encoder encoder(parameters);
  const std::vector<Complex> z = random_complex(parameters.slots(), seed);
  for (std::size_t period = 1; period <= parameters.slots(); period *= 2) {
    std::vector<double> values(period), repeated(parameters.slots());
    for (std::size_t i = 0; i < period; ++i) values[i] = z[i].real();
    for (std::size_t i = 0; i < repeated.size(); ++i) repeated[i] = values[i % period];
    for (double scale : {0x1p30, 0x1.2345p40, 0x1.54321p58}) {
      EXPECT_EQ(unwrap(encoder.encode(values, scale, 1, true)).poly,
                unwrap(encoder.encode(repeated, scale, 1)).poly)
          << "period " << period << ", scale " << scale << ", seed " << seed;
    }
  }
}

TEST(Encoder, EncodesTheIntegerCoefficientsModuloEachPrime) {
  const std::uint64_t seed = 8;
  const Parameters parameters = test::make_parameters(12, 40, 30, 1, 35, 1);
  const Encoder encoder(parameters);
  const std::vector<Complex> z = random_complex(1000, seed);
  // The largest is near 2^-5 times the scale: on both sides of 2^51, up to which the reduction is vectorised, to 2^61.
  for (double scale : {0x1p20, 0x1p53, 0x1p54, 0x1p55, 0x1p56, 0x1p57, 0x1p58, 0x1p60, 0x1p66}) {
    const std::vector<std::int64_t> m = unwrap(encoder.to_coefficients(z, scale));
    const Plaintext plaintext = unwrap(encoder.encode(z, scale, 1));
    for (std::size_t i = 0; i < 2; ++i) {
      AlignedVector<u64> limb(m.size());
      for (std::size_t k = 0; k < m.size(); ++k) limb[k] = parameters.ring().modulus(i).reduce_signed(m[k]);
      ring::kernels().forward_ntt(parameters.ring().ntt(i), limb.data(), limb.data());
      EXPECT_TRUE(std::ranges::equal(limb, plaintext.poly.limb(i))) << "scale " << scale << ", seed " << seed;
    }
  }
}

// A constant gives one coefficient: itself times the scale.
TEST(Encoder, EncodesUpToTheLimitsExactly) {
  const Parameters parameters = test::make_parameters(12, 40, 30, 1, 35, 1);
  const Encoder encoder(parameters);
  const auto q0 = static_cast<double>(parameters.prime(0).value());
  for (double sign : {1.0, -1.0}) {
    auto encode = [&](double coefficient, int level) {
      return encoder.encode(std::vector<double>{sign * coefficient}, 1.0, level, true);
    };
    EXPECT_TRUE(encode(std::nextafter(0x1p62, 0), 1).ok());
    EXPECT_FALSE(encode(0x1p62, 1).ok());
    EXPECT_FALSE(encode(std::numeric_limits<double>::max(), 1).ok());
    EXPECT_TRUE(encode((q0 - 1) / 2 - 1, 0).ok());
    EXPECT_FALSE(encode((q0 + 1) / 2, 0).ok());
    for (double coefficient : {0x1p51 - 1, 0x1p51, 0x1p51 + 1, 0x1p53}) {
      const auto decoded = encoder.decode(unwrap(encode(coefficient, 1)));
      EXPECT_EQ(decoded[0], sign * coefficient);
    }
  }
}

// Any residues, whose number is put together from the primes by 128-bit arithmetic.
TEST(Encoder, DecodesAnyNumberModuloThePrimes) {
  const std::uint64_t seed = 9;
  using ring::u128;
  const Parameters parameters = test::make_parameters(12, 35, 30, 1, 36, 1);
  const Encoder encoder(parameters);
  const ring::Modulus &q0 = parameters.prime(0), &q1 = parameters.prime(1);
  const u128 product = u128{q0.value()} * q1.value();
  std::mt19937_64 random(seed);
  Plaintext plaintext{ring::Poly(parameters.degree(), 2), 0x1p30};
  AlignedVector<double> coefficients(parameters.degree());
  for (std::size_t k = 0; k < coefficients.size(); ++k) {
    const u128 x = k == 0   ? (product - 1) / 2
                   : k == 1 ? (product + 1) / 2
                            : ((u128{random()} << 64) + random()) % product;
    plaintext.poly.data(0)[k] = q0.reduce_wide(x);
    plaintext.poly.data(1)[k] = q1.reduce_wide(x);
    const double centred = x > product / 2 ? -static_cast<double>(product - x) : static_cast<double>(x);
    coefficients[k] = centred / plaintext.scale;
  }
  for (std::size_t i = 0; i < 2; ++i) {
    ring::kernels().forward_ntt(parameters.ring().ntt(i), plaintext.poly.data(i), plaintext.poly.data(i));
  }
  const auto decoded = encoder.decode(plaintext);
  const auto real = encoder.decode_real(plaintext);
  std::vector<Complex> expected(parameters.slots());
  Embedding(parameters.slots()).forward(coefficients, expected);
  double norm = 0;
  for (const Complex& x : expected) norm += std::norm(x);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_LT(std::abs(decoded[i] - expected[i]), 0x1p-45 * std::sqrt(norm))
        << "slot " << i << ", seed " << seed;
    ASSERT_EQ(real[i], decoded[i].real());
  }
}

// The weight of the highest digits is infinite there, and the digits are zero.
TEST(Encoder, DecodesAtAModulusBeyondTheDoubles) {
  const std::uint64_t seed = 10;
  const Parameters parameters = test::make_parameters(16, 48, 49, 23, 50, 1);
  const Encoder encoder(parameters);
  const std::vector<Complex> z = random_complex(parameters.slots(), seed);
  const auto decoded = encoder.decode(unwrap(encoder.encode(z, 0x1p40, parameters.max_level())));
  for (std::size_t i = 0; i < z.size(); ++i) {
    ASSERT_LT(std::abs(decoded[i] - z[i]), 0x1p-30) << "slot " << i << ", seed " << seed;
  }
}

}  // namespace
}  // namespace tacit::ckks
