// SPDX-License-Identifier: Apache-2.0
// The secrets and errors of real keys and ciphertexts, taken out of them with the secret key, have the distributions that
// security counts on: whoever calls the samplers calls the right one, with fresh randomness, for every coefficient.
#include "ckks/public_key.h"
#include "support/ckks_fixture.h"
#include "support/distributions.h"
#include "support/exact.h"

namespace tacit::secret {
namespace {

using test::unwrap;

class DistributionTest : public testing::Test {
 protected:
  test::Integers decrypted(const ckks::Ciphertext& ciphertext) {
    return test::to_integers(scheme.parameters, unwrap(scheme.holder.decrypt(ciphertext)).poly);
  }
  ckks::Plaintext zero(int level) { return constant(level, 0); }
  ckks::Plaintext constant(int level, int value) {
    test::Integers coefficients(scheme.parameters.degree(), 0);
    coefficients[0] = value;
    return test::to_plaintext(scheme.parameters, coefficients, 1, level);
  }

  test::Scheme scheme{test::make_parameters(13, 30, 27, 2, 45, 1)};
};

void append(test::Integers& all, const test::Integers& more) {
  all.insert(all.end(), more.begin(), more.end());
}

TEST(SecretKeyDistribution, IsUniformTernary) {
  std::vector<std::int8_t> all;
  for (int i = 0; i < 16; ++i) {
    const SecretKey key = unwrap(SecretKey::generate(14));
    all.insert(all.end(), key.coefficients().begin(), key.coefficients().end());
  }
  test::expect_distributed(all, test::ternary_distribution(), "secret keys");
}

TEST_F(DistributionTest, ErrorsOfFreshCiphertexts) {
  test::Integers all;
  for (int i = 0; i < 16; ++i) {
    const ckks::SeededCiphertext seeded = unwrap(scheme.holder.encrypt(zero(i % 3)));
    const Bytes bytes = write_ciphertext(scheme.parameters, seeded, scheme.holder.tag());
    append(all, decrypted(unwrap(read_ciphertext(scheme.parameters, bytes)).ciphertext));
  }
  test::expect_distributed(all, test::centred_binomial(21), "fresh ciphertexts");
}

TEST_F(DistributionTest, ErrorsOfPublicKeys) {
  test::Integers all;
  for (int i = 0; i < 16; ++i) {
    const ckks::PublicKey key = unwrap(scheme.holder.make_public_key());
    append(all, decrypted({{key.b, key.a}, 1}));
  }
  test::expect_distributed(all, test::centred_binomial(21), "public keys");
}

// With the public keys (1, 0) and (0, 1) one and the same randomness gives (u + e_0, e_1) and (e_0, u + e_1).
TEST_F(DistributionTest, RandomnessOfPublicKeyEncryption) {
  test::Integers u, errors;
  for (int i = 0; i < 16; ++i) {
    ckks::PublicKey first, second;
    first.b = second.a = constant(2, 1).poly;
    first.a = second.b = zero(2).poly;
    const ring::Seed randomness = unwrap(ring::fresh_seed());
    const ckks::Ciphertext with_u0 = encrypt(scheme.parameters, first, zero(2), randomness);
    const ckks::Ciphertext with_u1 = encrypt(scheme.parameters, second, zero(2), randomness);
    const auto integers = [&](const ring::Poly& poly) { return test::to_integers(scheme.parameters, poly); };
    const test::Integers e0 = integers(with_u1.parts[0]), e1 = integers(with_u0.parts[1]);
    const test::Integers mask = test::difference(integers(with_u0.parts[0]), e0);
    EXPECT_EQ(test::difference(integers(with_u1.parts[1]), e1), mask);
    EXPECT_NE(e0, e1);
    append(u, mask);
    append(errors, e0);
    append(errors, e1);
  }
  test::expect_distributed(u, test::ternary_distribution(), "u");
  test::expect_distributed(errors, test::centred_binomial(21), "e_0 and e_1");
}

// b_j + a_j s modulo the primes of the other digits, where nothing else is in it.
TEST_F(DistributionTest, ErrorsOfSwitchingKeys) {
  const ckks::Parameters& parameters = scheme.parameters;
  const std::size_t n = parameters.degree();
  test::Integers all, last;
  for (int i = 0; i < 6; ++i) {
    const ckks::SwitchingKey key = unwrap(scheme.holder.make_key({ckks::kRelinearisation, {2, 1, 1}}));
    for (std::size_t digit = 0; digit < 3; ++digit) {
      const std::size_t limb = digit == 0 ? 1 : 0;
      const ring::NttTable& table = parameters.ring().ntt(limb);
      const ring::Modulus& q = table.modulus;
      AlignedVector<ring::u64> a(n), b(n);
      key.a.load(limb, digit, a.data());
      key.b.load(limb, digit, b.data());
      test::Integers secret(scheme.key.coefficients().begin(), scheme.key.coefficients().end());
      const ring::Poly values = test::to_plaintext(parameters, secret, 1, 1).poly;
      for (std::size_t k = 0; k < n; ++k) a[k] = q.add(b[k], q.multiply(a[k], values.data(limb)[k]));
      ring::kernels().inverse_ntt(table, table.inverse_scale(q.inverse(q.radix())), nullptr, a.data(),
                                  a.data());
      test::Integers error(n);
      for (std::size_t k = 0; k < n; ++k) error[k] = q.centred(a[k]);
      EXPECT_NE(error, last);
      append(all, last = error);
    }
  }
  test::expect_distributed(all, test::centred_binomial(21), "switching keys");
}

}  // namespace
}  // namespace tacit::secret
