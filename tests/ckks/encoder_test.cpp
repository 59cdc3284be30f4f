// SPDX-License-Identifier: Apache-2.0
#include "ckks/encoder.h"

#include <numbers>

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

}  // namespace
}  // namespace tacit::ckks
