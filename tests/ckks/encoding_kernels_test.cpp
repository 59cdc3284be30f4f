// SPDX-License-Identifier: Apache-2.0
// Rounding, reduction and mixed-radix digits by each instruction set, against scalar code that is plainly right.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/aligned.h"
#include "ckks/embedding.h"
#include "ring/modulus.h"
#include "support/seed.h"

namespace tacit::ckks {
namespace {

using ring::u64;
using Doubles = AlignedVector<double>;
using Words = AlignedVector<u64>;

using test::kSeed;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

class EncodingKernelsTest : public testing::TestWithParam<const EncodingKernels*> {
 protected:
  void SetUp() override {
    if (!GetParam()->available()) GTEST_SKIP() << "this machine has no " << GetParam()->name;
  }
  const EncodingKernels& kernels() { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(All, EncodingKernelsTest,
                         testing::ValuesIn(all_encoding_kernels().begin(), all_encoding_kernels().end()),
                         [](const auto& instance) { return std::string(instance.param->name); });

Doubles padded(std::vector<double> x) {
  x.resize((x.size() + 7) / 8 * 8);
  return {x.begin(), x.end()};
}

u64 bits(double x) {
  u64 word;
  std::memcpy(&word, &x, sizeof word);
  return word;
}

// Every tie and its neighbours around the powers of two, where the unit in the last place changes.
std::vector<double> near_ties() {
  std::vector<double> x = {0, std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::min(),
                           0x1p1023};
  for (int exponent = -2; exponent <= 64; ++exponent) {
    const double power = std::ldexp(1.0, exponent);
    for (double offset : {-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5}) {
      const double tie = power + offset;
      x.insert(x.end(), {tie, std::nextafter(tie, -kInfinity), std::nextafter(tie, kInfinity)});
    }
  }
  for (int i = 0; i < 1000; ++i) x.push_back(i + 0.5);
  for (std::size_t i = 0, n = x.size(); i < n; ++i) x.push_back(-x[i]);
  return x;
}

TEST_P(EncodingKernelsTest, RoundsHalfAwayFromZero) {
  std::mt19937_64 random(kSeed);
  std::vector<double> values = near_ties();
  for (int i = 0; i < 100000; ++i) {
    const double magnitude =
        std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 70) - 56);
    values.push_back(random() % 2 ? magnitude : -magnitude);
  }
  const Doubles in = padded(values);
  for (double factor : {1.0, 0.5, 0x1.8p-3, 0x1.921fb54442d18p1}) {
    Doubles out = in;
    const double largest = kernels().scale_and_round(out.data(), out.size(), factor);
    double expected_largest = 0;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const double expected = std::round(in[i] * factor);
      ASSERT_EQ(bits(out[i]), bits(expected)) << in[i] << " times " << factor << ", seed " << kSeed;
      expected_largest = std::max(expected_largest, std::abs(expected));
    }
    EXPECT_EQ(largest, expected_largest);
  }
}

TEST_P(EncodingKernelsTest, TellsOfNaNAndInfinityWhereverTheyStand) {
  for (std::size_t i = 0; i < 24; ++i) {
    for (double value : {kInfinity, -kInfinity, kNaN, -kNaN}) {
      Doubles x(24);
      for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<double>(k);
      x[i] = value;
      const double largest = kernels().scale_and_round(x.data(), x.size(), 1);
      EXPECT_TRUE(std::isnan(value) ? std::isnan(largest) : largest == kInfinity) << value << " at " << i;
      // The other infinity, and a NaN beside an infinity.
      x[(i + 8) % 24] = -value;
      x[(i + 5) % 24] = kInfinity;
      EXPECT_FALSE(kernels().scale_and_round(x.data(), x.size(), 1) < kInfinity);
    }
  }
}

// Primes of every size that a ring may have, and the smallest odd ones.
std::vector<u64> primes() {
  std::vector<u64> all = {3, 5, 7, 17};
  for (int bits = 14; bits <= 50; ++bits) {
    for (u64 p : ring::ntt_primes(bits < 20 ? 8 : 12, bits, 2, true)) all.push_back(p);
  }
  return all;
}

TEST_P(EncodingKernelsTest, ReducesIntegersBelowTheLimit) {
  std::mt19937_64 random(kSeed);
  for (u64 prime : primes()) {
    const ring::Modulus q(prime);
    const auto limit = static_cast<std::int64_t>(kMaxReducible), p = static_cast<std::int64_t>(prime);
    std::vector<double> values = {0, -0.0};
    auto add = [&](std::int64_t x) {
      if (x > -limit && x < limit) values.push_back(static_cast<double>(x));
    };
    // Around the multiples and the odd multiples of q / 2, where the quotient is closest to being wrong.
    for (std::int64_t multiple :
         {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, limit / p - 1, limit / p}) {
      for (std::int64_t x : {multiple * p, multiple * p + p / 2, multiple * p - p / 2, limit}) {
        for (std::int64_t offset = -2; offset <= 2; ++offset) add(x + offset), add(-x + offset);
      }
    }
    for (int i = 0; i < 2000; ++i) {
      add(static_cast<std::int64_t>(random() % static_cast<u64>(2 * limit)) - limit);
      add((static_cast<std::int64_t>(random() >> 13) / p * p + p / 2) * (random() % 2 ? 1 : -1));
    }
    const Doubles x = padded(values);
    Words words(x.size());
    kernels().reduce(x.data(), x.size(), prime, words.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(words[i], q.reduce_signed(static_cast<std::int64_t>(x[i])))
          << x[i] << " modulo " << prime << ", seed " << kSeed;
    }
  }
}

TEST_P(EncodingKernelsTest, AddsDigitsInTheMiddleOfTheirRange) {
  std::mt19937_64 random(kSeed);
  for (u64 prime : primes()) {
    const ring::Modulus q(prime);
    Words words(64);
    Doubles sums(64);
    for (std::size_t i = 0; i < words.size(); ++i) {
      words[i] = i < 8 ? i % 2 * (prime - 1) : random() % prime;
      sums[i] = static_cast<double>(random()) * 0x1p-64;
    }
    const u64 middle = (prime - 1) / 2;
    for (u64 shift : {u64{0}, middle, prime - 1, random() % prime}) {
      words[9] = q.subtract(middle, shift);  // a digit of zero
      for (double weight : {0x1p-30, 0x1.23456789abcdp300, kInfinity}) {
        Words out = words;
        Doubles out_sums = sums;
        kernels().add_digit({prime, shift, middle, weight}, out.data(), out_sums.data(), out.size());
        for (std::size_t i = 0; i < words.size(); ++i) {
          const u64 digit = q.add(words[i], shift);
          ASSERT_EQ(out[i], digit) << "modulo " << prime << ", seed " << kSeed;
          const double centred = static_cast<double>(digit) - static_cast<double>(middle);
          ASSERT_EQ(out_sums[i], centred == 0 ? sums[i] : sums[i] + centred * weight)
              << "modulo " << prime << ", seed " << kSeed;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tacit::ckks
