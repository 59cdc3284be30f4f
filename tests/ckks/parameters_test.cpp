// SPDX-License-Identifier: Apache-2.0
#include "ckks/parameters.h"

#include <gtest/gtest.h>

#include <map>

namespace tacit::ckks {
namespace {

// `bits` in primes of at most 45 bits, at ring degree 2^log_degree, every prime just below its size.
ParametersLiteral literal_of(int log_degree, int bits) {
  ParametersLiteral literal{log_degree, {}, {}};
  std::vector<int> sizes;
  while (bits > 0) {
    const int next = bits > 90 ? 45 : bits > 45 ? bits / 2 : bits;
    sizes.push_back(next);
    bits -= next;
  }
  std::map<int, std::vector<u64>> pools;
  for (int size : sizes) {
    auto& pool = pools[size];
    if (pool.empty()) pool = ring::ntt_primes(log_degree, size, 50, true);
    if (pool.empty()) pool = ring::ntt_primes(log_degree, size, 2, true);
    literal.primes.push_back(pool.front());
    pool.erase(pool.begin());
  }
  literal.special_primes.push_back(literal.primes.back());
  literal.primes.pop_back();
  return literal;
}

TEST(Parameters, GateIsTheTableOfTheGuidelines) {
  const std::pair<int, int> limits[] = {{12, 106}, {13, 214}, {14, 430}, {15, 868}, {16, 1747}};
  for (auto [log_degree, limit] : limits) {
    EXPECT_EQ(max_log_modulus(log_degree), limit);
    const auto inside = Parameters::create(literal_of(log_degree, limit));
    EXPECT_TRUE(inside.ok()) << log_degree << ": " << inside.error().to_line();
    const auto outside = Parameters::create(literal_of(log_degree, limit + 2));
    ASSERT_FALSE(outside.ok()) << log_degree;
    EXPECT_EQ(outside.error().code, ErrorCode::kParametersInsecure);
  }
}

TEST(Parameters, SpecialPrimesCountTowardsTheGate) {
  ParametersLiteral literal = literal_of(13, 214);
  literal.special_primes.push_back(ring::ntt_primes(13, 30, 1).at(0));
  EXPECT_EQ(Parameters::create(literal).error().code, ErrorCode::kParametersInsecure);
}

TEST(Parameters, RefusesWhatIsNoPrimeChain) {
  const ParametersLiteral good = literal_of(13, 200);
  ASSERT_TRUE(Parameters::create(good).ok());
  auto code_of = [](const ParametersLiteral& literal) {
    const auto result = Parameters::create(literal);
    return result.ok() ? ErrorCode::kInternal : result.error().code;
  };
  auto changed = [&](auto&& change) {
    ParametersLiteral literal = good;
    change(literal);
    return code_of(literal);
  };
  EXPECT_EQ(changed([](auto& l) { l.log_degree = 11; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.log_degree = 17; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.log_degree = -1; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes.clear(); }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.special_primes.clear(); }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes[1] = l.primes[0]; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes[0] = 0; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes[0] = 1; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes[0] += 2 * 8192; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes[0] = 1000003; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes[0] = 1152921504606748673; }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(changed([](auto& l) { l.primes.resize(100, l.primes[0]); }), ErrorCode::kParametersInvalid);
}

TEST(Parameters, BasisDigestDependsOnThePrimesItSpans) {
  const Parameters a = Parameters::create(literal_of(13, 200)).value();
  ParametersLiteral shorter = a.literal();
  shorter.primes.pop_back();
  const Parameters b = Parameters::create(shorter).value();
  EXPECT_EQ(a.basis_digest(1, 1), b.basis_digest(1, 1));
  EXPECT_NE(a.basis_digest(1, 1), a.basis_digest(2, 1));
  EXPECT_NE(a.basis_digest(1, 1), a.basis_digest(1, 0));
}

}  // namespace
}  // namespace tacit::ckks
