// SPDX-License-Identifier: Apache-2.0
// Re-randomised ciphertexts: the same value, another ciphertext, and noise of the size that is announced.
#include "ckks/rerandomise.h"

#include "ring/kernels/kernels.h"
#include "support/ckks_fixture.h"
#include "support/seed.h"

namespace tacit::ckks {
namespace {

using test::kSeed;
using test::Scheme;
using test::unwrap;

ring::Seed fresh() { return unwrap(ring::fresh_seed()); }

// The centred coefficients of c_0 + c_1 s modulo the first prime.
std::vector<double> coefficients(const Scheme& scheme, const Ciphertext& c) {
  const Plaintext m = unwrap(scheme.holder.decrypt(c));
  const ring::NttTable& table = scheme.parameters.ring().ntt(0);
  std::vector<double> result;
  AlignedVector<u64> words(scheme.parameters.degree());
  ring::kernels().inverse_ntt(table, table.inverse_degree, nullptr, words.data(), m.poly.data(0));
  for (u64 word : words) result.push_back(static_cast<double>(table.modulus.centred(word)));
  return result;
}

double deviation(const std::vector<double>& a, const std::vector<double>& b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares / static_cast<double>(a.size()));
}

TEST(ZeroDigit, IsTheFirstWhosePrimesAreAllAbove) {
  EXPECT_EQ(zero_digit({5, 1, 1}, 0), 1u);
  EXPECT_EQ(zero_digit({5, 1, 1}, 4), 5u);
  EXPECT_EQ(zero_digit({5, 1, 1}, 5), 6u) << "none: the key has six";
  EXPECT_EQ(zero_digit({5, 2, 2}, 0), 1u);
  EXPECT_EQ(zero_digit({5, 2, 2}, 1), 1u);
  EXPECT_EQ(zero_digit({5, 2, 2}, 2), 2u);
  EXPECT_EQ(zero_digit({5, 2, 2}, 4), 3u) << "none";
  EXPECT_EQ(zero_digit({1, 2, 2}, 0), 1u) << "none: one digit of two primes";
}

TEST(ZeroDigit, IsFoundAmongTheKeysThatThereAre) {
  Scheme scheme(test::make_parameters(12, 27, 22, 2, 29, 1), kSeed);
  scheme.add_rotation(1, {0, 1, 1});
  EXPECT_EQ(scheme.keys.find_zero(0), nullptr);
  scheme.add_rotation(2, {1, 1, 1});
  ASSERT_NE(scheme.keys.find_zero(0), nullptr);
  EXPECT_EQ(scheme.keys.find_zero(0)->request.element, rotation_element(scheme.parameters, 2));
  EXPECT_EQ(scheme.keys.find_zero(1), nullptr);
}

struct Case {
  KeyShape shape;
  std::uint32_t element;
  int level;
};

class Rerandomise : public testing::TestWithParam<Case> {};

// Both halves are replaced, by the key's digit whatever its automorphism, whole or as a seed.
TEST_P(Rerandomise, KeepsTheValueAndAddsTheNoise) {
  const auto [shape, element, level] = GetParam();
  Scheme scheme(test::make_parameters(13, 36, 30, 3, 40, 2), kSeed);
  const std::vector<double> values = scheme.random_vector();
  const Ciphertext c = scheme.encrypt(values, 0x1p30, level);
  const std::vector<double> before = coefficients(scheme, c);
  const Bytes wire = write_key(scheme.parameters, unwrap(scheme.holder.make_key({element, shape})));
  for (KeyForm form : {KeyForm::kWhole, KeyForm::kSeeded}) {
    const SwitchingKey key = unwrap(read_key(scheme.parameters, wire, form));
    for (double flood : {0.0, 1000.0, 0x1p20}) {
      const Ciphertext made = rerandomise(scheme.parameters, c, key, flood, fresh());
      EXPECT_EQ(made.level(), level);
      EXPECT_EQ(made.scale, c.scale);
      const double expected = std::sqrt(flood * flood + rerandomisation_variance(scheme.parameters));
      // Of N = 8192 coefficients; a deviation has a relative error of 1 / sqrt(2N), that of u and s more.
      EXPECT_NEAR(deviation(coefficients(scheme, made), before) / expected, 1, 0.06) << flood;
      // In a slot u e and e s are products of two nearly Gaussian numbers, whose largest is further out than that of a sum.
      EXPECT_LT(test::distance(scheme.decrypt(made), values), 12 * expected * std::sqrt(4096.0) / 0x1p30);
      for (int part = 0; part < 2; ++part)
        for (std::size_t i = 0; i < made.parts[0].limbs(); ++i) {
          std::size_t same = 0;
          for (std::size_t k = 0; k < 8192; ++k)
            same += made.parts[static_cast<std::size_t>(part)].limb(i)[k] ==
                            c.parts[static_cast<std::size_t>(part)].limb(i)[k]
                        ? 1
                        : 0;
          EXPECT_LE(same, 1u) << "part " << part << ", limb " << i;
        }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Keys, Rerandomise,
                         testing::Values(Case{{3, 1, 1}, kRelinearisation, 0}, Case{{3, 1, 1}, 27, 2},
                                         Case{{3, 2, 2}, 3, 1}, Case{{2, 1, 2}, 16383, 0},
                                         Case{{1, 1, 1}, 16381, 0}));

TEST(Rerandomise, IsDifferentEachTime) {
  Scheme scheme(test::make_parameters(12, 27, 22, 2, 29, 1), kSeed);
  const SwitchingKey key = unwrap(scheme.holder.make_key({kRelinearisation, {2, 1, 1}}));
  const Ciphertext c = scheme.encrypt(scheme.random_vector(), 0x1p22, 0);
  const ring::Seed seed = fresh();
  const Ciphertext first = rerandomise(scheme.parameters, c, key, 500, seed);
  EXPECT_EQ(rerandomise(scheme.parameters, c, key, 500, seed).parts, first.parts);
  const Ciphertext second = rerandomise(scheme.parameters, c, key, 500, fresh());
  EXPECT_NE(second.parts[0], first.parts[0]);
  EXPECT_NE(second.parts[1], first.parts[1]);
}

}  // namespace
}  // namespace tacit::ckks
