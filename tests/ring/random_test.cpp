// SPDX-License-Identifier: Apache-2.0
#include "ring/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace tacit::ring {
namespace {

Seed seed_of(std::uint8_t first) {
  Seed seed{};
  seed[0] = first;
  return seed;
}

// The chi-squared statistic's upper bound at about p = 10^-6 (Wilson and Hilferty's approximation).
double chi_squared_limit(double freedom) {
  const double z = 4.75, h = 2.0 / (9.0 * freedom);
  return freedom * std::pow(1 - h + z * std::sqrt(h), 3);
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

TEST(SampleUniform, FillsTheRangeEvenly) {
  for (int bits : {27, 49, 50}) {
    const Modulus q(ntt_primes(12, bits, 2).at(1));
    std::vector<u64> values(1 << 20);
    Stream stream(seed_of(4), "uniform", {static_cast<u64>(bits)});
    sample_uniform(stream, q, values);
    std::vector<double> counts(256);
    for (u64 value : values) {
      ASSERT_LT(value, q.value());
      ++counts[static_cast<std::size_t>(u128{value} * counts.size() / q.value())];
    }
    const double expected = static_cast<double>(values.size()) / static_cast<double>(counts.size());
    double statistic = 0;
    for (double count : counts) statistic += (count - expected) * (count - expected) / expected;
    EXPECT_LT(statistic, chi_squared_limit(static_cast<double>(counts.size() - 1))) << bits << " bits";
  }
}

TEST(SampleTernary, ThreeValuesEquallyOften) {
  std::vector<std::int8_t> values(3 << 18);
  Stream stream(seed_of(5), "ternary");
  sample_ternary(stream, values);
  std::map<int, double> counts;
  for (std::int8_t value : values) ++counts[value];
  ASSERT_EQ(counts.size(), 3u);
  const double expected = static_cast<double>(values.size()) / 3;
  double statistic = 0;
  for (auto [value, count] : counts) {
    EXPECT_LE(std::abs(value), 1);
    statistic += (count - expected) * (count - expected) / expected;
  }
  EXPECT_LT(statistic, chi_squared_limit(2));
}

TEST(SampleError, IsCentredBinomialOfTwentyOne) {
  std::vector<std::int8_t> values(1 << 20);
  Stream stream(seed_of(6), "error");
  sample_error(stream, values);
  std::map<int, double> counts;
  for (std::int8_t value : values) ++counts[value];
  double statistic = 0;
  int freedom = -1;
  for (int k = -21; k <= 21; ++k) {
    // C(42, 21 + k) / 2^42
    const double probability =
        std::exp(std::lgamma(43) - std::lgamma(22 + k) - std::lgamma(22 - k) - 42 * std::log(2));
    const double expected = probability * static_cast<double>(values.size());
    if (expected < 10) continue;
    statistic += (counts[k] - expected) * (counts[k] - expected) / expected;
    ++freedom;
  }
  EXPECT_LT(statistic, chi_squared_limit(freedom));
}

}  // namespace
}  // namespace tacit::ring
