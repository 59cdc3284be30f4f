// SPDX-License-Identifier: Apache-2.0
#include "ring/modulus.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace tacit::ring {
namespace {

TEST(IsPrime, AgreesWithTrialDivisionBelowTwentyThousand) {
  for (u64 n = 0; n < 20000; ++n) {
    bool prime = n >= 2;
    for (u64 d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    ASSERT_EQ(is_prime(n), prime) << n;
  }
}

TEST(IsPrime, RefusesStrongPseudoprimes) {
  // Composites that pass Miller-Rabin for the first 4, 5, 6 and 8 prime bases (OEIS A014233).
  for (u64 n : {3215031751ull, 2152302898747ull, 3474749660383ull, 341550071728321ull})
    EXPECT_FALSE(is_prime(n)) << n;
  EXPECT_TRUE(is_prime((u64{1} << 61) - 1));
}

TEST(NttPrimes, AreDistinctPrimesOfTheRightFormAroundTheSize) {
  for (int log_degree = 10; log_degree <= 16; ++log_degree) {
    for (int bits : {27, 30, 40, 49, 50}) {
      const std::size_t count = bits < 30 ? 4 : 12;
      const std::vector<u64> primes = ntt_primes(log_degree, bits, count);
      ASSERT_EQ(primes.size(), count) << log_degree << " " << bits;
      EXPECT_EQ(std::set<u64>(primes.begin(), primes.end()).size(), count);
      for (u64 p : primes) {
        EXPECT_TRUE(is_prime(p));
        EXPECT_EQ(p % (u64{2} << log_degree), 1u);
        EXPECT_LT(p, u64{1} << kMaxPrimeBits);
        EXPECT_LT(std::abs(std::log2(static_cast<double>(p)) - bits), 0.5) << p;
      }
    }
  }
}

TEST(NttPrimes, DescendFromTheSizeWhereOnlyBelowIsAllowed) {
  // The two that SEAL's CoeffModulus::Create finds for N = 8192 and 40 bits, largest first.
  EXPECT_EQ(ntt_primes(13, 40, 2, true), (std::vector<u64>{1099511480321, 1099510890497}));
}

TEST(Modulus, ArithmeticMatchesWideIntegers) {
  const std::uint64_t seed = 11;
  std::mt19937_64 random(seed);
  for (int bits : {20, 30, 49, 50}) {
    const Modulus q(ntt_primes(12, bits, 1).at(0));
    const u64 p = q.value();
    for (int i = 0; i < 2000; ++i) {
      const u64 a = i == 0 ? p - 1 : random() % p, b = i < 2 ? p - 1 : random() % p;
      const u64 wide = random() & kRadixMask;
      ASSERT_EQ(q.add(a, b), (a + b) % p);
      ASSERT_EQ(q.subtract(a, b), (a + p - b) % p);
      ASSERT_EQ(q.multiply_shoup(q.shoup(a), wide), static_cast<u64>(u128{a} * wide % p)) << "seed " << seed;
      ASSERT_EQ(q.multiply(q.reduce_montgomery(u128{a} * b), q.radix()), static_cast<u64>(u128{a} * b % p));
      if (a != 0) { ASSERT_EQ(q.multiply(a, q.inverse(a)), 1u); }
      ASSERT_EQ(q.reduce_signed(q.centred(a)), a);
    }
  }
}

}  // namespace
}  // namespace tacit::ring
