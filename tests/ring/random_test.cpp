// SPDX-License-Identifier: Apache-2.0
#include "ring/random.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tacit::ring
