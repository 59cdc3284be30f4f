// SPDX-License-Identifier: Apache-2.0
#include "ring/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/distributions.h"

namespace tacit::ring {
namespace {

Seed seed_of(std::uint8_t first) {
  Seed seed{};
  seed[0] = first;
  return seed;
}

TEST(Stream, KnownAnswer) {
  // ChaCha20 (original, 64-bit nonce) under BLAKE2b-256(key = 00..1f, "tacit/v1/test" 01 00.. 02 00..), computed with
  // Python's hashlib and OpenSSL's chacha20.
  Seed seed;
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<std::uint8_t>(i);
  Stream stream(seed, "test", {1, 2});
  Bytes bytes(32);
  stream.fill(bytes);
  EXPECT_EQ(to_hex(bytes), "3e62aaf353eeccbd1fc62db4833824008929f00d7027fc2b4c7a74c11dd3d3bb");
}

TEST(Stream, DependsOnSeedLabelAndIndices) {
  auto first_bytes = [](const Seed& seed, std::string_view label, std::initializer_list<u64> indices) {
    Stream stream(seed, label, indices);
    Bytes bytes(16);
    stream.fill(bytes);
    return bytes;
  };
  const Bytes reference = first_bytes(seed_of(1), "a", {1});
  EXPECT_EQ(first_bytes(seed_of(1), "a", {1}), reference);
  EXPECT_NE(first_bytes(seed_of(2), "a", {1}), reference);
  EXPECT_NE(first_bytes(seed_of(1), "b", {1}), reference);
  EXPECT_NE(first_bytes(seed_of(1), "a", {2}), reference);
  EXPECT_NE(first_bytes(seed_of(1), "a", {1, 0}), reference);
}

TEST(Stream, ContinuesWhereItStopped) {
  Stream whole(seed_of(3), "x"), parts(seed_of(3), "x");
  Bytes expected(192), actual(192);
  whole.fill(expected);
  parts.fill(std::span(actual).first(64));
  parts.fill(std::span(actual).subspan(64));
  EXPECT_EQ(actual, expected);
}

TEST(FreshSeed, IsNotRepeated) { EXPECT_NE(fresh_seed().value(), fresh_seed().value()); }

// The high bits: where in the range; and the low bits: the residue modulo 32.
TEST(SampleUniform, FillsTheRangeEvenly) {
  for (int bits : {27, 49, 50}) {
    const Modulus q(ntt_primes(12, bits, 2).at(1));
    std::vector<u64> values(1 << 20);
    Stream stream(seed_of(4), "uniform", {static_cast<u64>(bits)});
    sample_uniform(stream, q, values);
    std::vector<int> high, low;
    for (u64 value : values) {
      ASSERT_LT(value, q.value());
      high.push_back(static_cast<int>(u128{value} * 256 / q.value()));
      low.push_back(static_cast<int>(value % 32));
    }
    test::expect_distributed(high, test::uniform_distribution(256), std::to_string(bits) + " bits, high");
    test::expect_distributed(low, test::uniform_distribution(32), std::to_string(bits) + " bits, low");
  }
}

TEST(SampleUniform, GivesEveryResidueOfASmallPrime) {
  for (int q : {61, 12289}) {
    std::vector<u64> values(1 << 20);
    Stream stream(seed_of(4), "uniform", {static_cast<u64>(q)});
    sample_uniform(stream, Modulus(static_cast<u64>(q)), values);
    test::expect_distributed(values, test::uniform_distribution(q), "modulo " + std::to_string(q));
  }
}

TEST(SampleTernary, ThreeValuesEquallyOften) {
  std::vector<std::int8_t> values(3 << 18);
  Stream stream(seed_of(5), "ternary");
  sample_ternary(stream, values);
  test::expect_distributed(values, test::ternary_distribution(), "ternary");
}

TEST(SampleError, IsCentredBinomialOfTwentyOne) {
  std::vector<std::int8_t> values(1 << 20);
  Stream stream(seed_of(6), "error");
  sample_error(stream, values);
  test::expect_distributed(values, test::centred_binomial(21), "error");
}

// Moments and tails of the normal distribution, for deviations from less than a unit on.
TEST(SampleGaussian, HasTheShapeOfItsDeviation) {
  for (double deviation : {0.7, 40.0, 1e6, 0x1p44}) {
    Stream stream(seed_of(11), "gaussian");
    std::vector<std::int64_t> values(1 << 18);
    sample_gaussian(stream, deviation, values);
    const auto count = static_cast<double>(values.size());
    double sum = 0, squares = 0, fourth = 0, largest = 0, neighbours = 0;
    std::size_t within = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double x = static_cast<double>(values[i]) / deviation;
      sum += x, squares += x * x, fourth += x * x * x * x;
      largest = std::max(largest, std::abs(x));
      within += std::abs(x) < 1 ? 1 : 0;
      if (i % 2 == 1) neighbours += x * static_cast<double>(values[i - 1]) / deviation;
    }
    const double rounding = 1 / (12 * deviation * deviation);
    EXPECT_NEAR(sum / count, 0, 5 * std::sqrt(1 + rounding) / std::sqrt(count)) << deviation;
    EXPECT_NEAR(squares / count, 1 + rounding, 5 * std::sqrt(2 / count) * (1 + 2 * rounding)) << deviation;
    EXPECT_NEAR(neighbours / (count / 2), 0, 5 * (1 + rounding) / std::sqrt(count / 2)) << deviation;
    EXPECT_GT(largest, 4) << deviation;
    EXPECT_LT(largest, 9) << deviation;
    if (deviation < 10) continue;  // rounding shows in what follows
    EXPECT_NEAR(fourth / count, 3, 5 * std::sqrt(96 / count)) << deviation;
    // erf(1 / sqrt(2)); the density there times the width of a unit for rounding.
    EXPECT_NEAR(static_cast<double>(within) / count, 0.682689,
                5 * 0.4655 / std::sqrt(count) + 0.5 / deviation)
        << deviation;
  }
}

TEST(SampleGaussian, FillsOddLengths) {
  Stream stream(seed_of(12), "gaussian");
  std::vector<std::int64_t> values(1025, 0);
  sample_gaussian(stream, 1e9, values);
  EXPECT_EQ(std::ranges::count(values, 0), 0);
}

}  // namespace
}  // namespace tacit::ring
