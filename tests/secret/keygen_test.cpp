// SPDX-License-Identifier: Apache-2.0
#include "secret/keygen.h"

#include <map>

#include "ckks/small_poly.h"
#include "support/ckks_fixture.h"

namespace tacit::secret {
namespace {

using test::unwrap;

std::array<std::uint8_t, 32> seed_of(std::uint8_t first) {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = first;
  return seed;
}

TEST(SecretKey, IsTernaryAndDense) {
  const SecretKey key = unwrap(SecretKey::generate(13));
  std::map<int, int> counts;
  for (std::int8_t c : key.coefficients()) ++counts[c];
  ASSERT_EQ(counts.size(), 3u);
  for (auto [value, count] : counts) EXPECT_NEAR(count, 8192 / 3.0, 300) << value;
}

TEST(SecretKey, ComesBackFromItsSeed) {
  const SecretKey key = unwrap(SecretKey::from_seed(12, seed_of(1)));
  const SecretKey same = unwrap(SecretKey::from_seed(12, seed_of(1)));
  const SecretKey other = unwrap(SecretKey::from_seed(12, seed_of(2)));
  EXPECT_TRUE(std::ranges::equal(key.coefficients(), same.coefficients()));
  EXPECT_EQ(key.tag(), same.tag());
  EXPECT_FALSE(std::ranges::equal(key.coefficients(), other.coefficients()));
  EXPECT_NE(key.tag(), other.tag());
  EXPECT_EQ(key.seed().size(), 32u);
}

TEST(SecretKey, RefusesWhatIsNoKey) {
  EXPECT_FALSE(SecretKey::generate(11).ok());
  EXPECT_FALSE(SecretKey::generate(17).ok());
  std::vector<std::int8_t> coefficients(4096, 1);
  EXPECT_TRUE(SecretKey::from_coefficients(coefficients).ok());
  coefficients[17] = 2;
  EXPECT_FALSE(SecretKey::from_coefficients(coefficients).ok());
  EXPECT_FALSE(SecretKey::from_coefficients(std::vector<std::int8_t>(5000, 1)).ok());
}

TEST(KeyHolder, RefusesAKeyOfAnotherRing) {
  const auto parameters = test::make_parameters(12, 30, 27, 1, 45, 1);
  const SecretKey key = unwrap(SecretKey::generate(13));
  const auto holder = KeyHolder::create(parameters, key);
  ASSERT_FALSE(holder.ok());
  EXPECT_EQ(holder.error().code, ErrorCode::kParametersMismatch);
}

TEST(KeyHolder, RefusesKeysThatCannotExist) {
  test::Scheme scheme(test::make_parameters(12, 30, 27, 1, 45, 1));
  for (const ckks::KeyRequest& request :
       {ckks::KeyRequest{3, {2, 1, 1}}, ckks::KeyRequest{3, {1, 1, 2}}, ckks::KeyRequest{3, {1, 0, 1}},
        ckks::KeyRequest{2, {1, 1, 1}}, ckks::KeyRequest{8193, {1, 1, 1}}, ckks::KeyRequest{3, {-1, 1, 1}}}) {
    EXPECT_FALSE(scheme.holder.make_key(request).ok());
  }
}

// b_j + a_j s - [digit's limbs] P s' must be nothing but the small error, in every limb of every digit.
TEST(KeyHolder, SwitchingKeysEncryptTheGadget) {
  test::Scheme scheme(test::make_parameters(13, 30, 27, 4, 35, 2));
  const ckks::Parameters& parameters = scheme.parameters;
  const std::size_t n = parameters.degree();
  for (const ckks::KeyShape& shape :
       {ckks::KeyShape{4, 1, 1}, ckks::KeyShape{4, 2, 2}, ckks::KeyShape{2, 3, 2}}) {
    const ckks::SwitchingKey key = unwrap(scheme.holder.make_key({ckks::kRelinearisation, shape}));
    for (std::size_t digit = 0; digit < shape.digits(); ++digit) {
      for (std::size_t i = 0; i < key.a.limbs(); ++i) {
        const auto limbs = static_cast<std::size_t>(shape.level) + 1;
        const ring::NttTable& table = parameters.ring().ntt(parameters.limb_index(shape.level, i));
        const ring::Modulus& q = table.modulus;
        AlignedVector<ring::u64> s(n), a(n), b(n), error(n);
        key.a.load(i, digit, a.data());
        key.b.load(i, digit, b.data());
        ckks::small_to_ntt(table, scheme.key.coefficients(), s.data());
        ring::u64 factor = 1;
        for (int k = 0; k < shape.special_count; ++k) {
          factor =
              q.multiply(factor, q.reduce(parameters.literal().special_primes[static_cast<std::size_t>(k)]));
        }
        const bool own = i < limbs && i / static_cast<std::size_t>(shape.digit_size) == digit;
        const ring::u64 radix_inverse = q.inverse(q.radix());
        for (std::size_t t = 0; t < n; ++t) {
          ring::u64 sum = q.add(b[t], q.multiply(a[t], s[t]));
          sum = q.multiply(sum, radix_inverse);
          error[t] = own ? q.subtract(sum, q.multiply(factor, q.multiply(s[t], s[t]))) : sum;
        }
        ring::kernels().inverse_ntt(table, table.inverse_degree, nullptr, error.data(), error.data());
        for (ring::u64 e : error) ASSERT_LE(std::abs(q.centred(e)), 21) << "digit " << digit << " limb " << i;
      }
    }
  }
}

TEST(KeyHolder, TwoEncryptionsOfOneMessageDiffer) {
  test::Scheme scheme(test::make_parameters(12, 30, 27, 1, 45, 1));
  const ckks::Plaintext plaintext = unwrap(scheme.encoder.encode(scheme.random_vector(), 0x1p25, 1));
  const ckks::SeededCiphertext a = unwrap(scheme.holder.encrypt(plaintext)),
                               b = unwrap(scheme.holder.encrypt(plaintext));
  EXPECT_NE(a.seed, b.seed);
  EXPECT_NE(a.c0, b.c0);
}

}  // namespace
}  // namespace tacit::secret
