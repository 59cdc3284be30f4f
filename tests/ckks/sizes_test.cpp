// SPDX-License-Identifier: Apache-2.0
// What every object takes, in memory and on the wire, is known from the parameters: the functions that say so against the
// objects, and against the widths of residues that protocol/bytes.md and ring/constants.h state.
#include "ckks/linear_transform.h"
#include "ckks/public_key.h"
#include "support/ckks_fixture.h"

namespace tacit::ckks {
namespace {

using test::kHeaderBytes;
using test::Scheme;
using test::unwrap;

constexpr std::size_t kSeedBytes = 32, kReadAhead = 64;

std::size_t ceil_log2(u64 q) {
  std::size_t bits = 0;
  while ((u64{1} << bits) < q) ++bits;
  return bits;
}

// Residues of 26 to 50 bits, in constants of four to seven bytes.
struct SizesCase {
  const char* name;
  int log_degree, base_bits, scale_bits;
  std::size_t levels;
  int special_bits;
  std::size_t special;
};
void PrintTo(const SizesCase& set, std::ostream* out) { *out << set.name; }
constexpr SizesCase kSizesCases[] = {
    {"Narrow", 12, 27, 26, 1, 50, 1}, {"Wide", 13, 49, 34, 2, 47, 2}, {"Around32Bits", 13, 33, 32, 3, 41, 2}};

class SizesTest : public testing::TestWithParam<SizesCase> {
 protected:
  const Parameters& parameters() const { return scheme_.parameters; }
  int top() const { return parameters().max_level(); }
  // The primes of a key of this shape, or of a ciphertext.
  std::vector<u64> primes(int level, int special_count = 0) const {
    const ParametersLiteral& literal = parameters().literal();
    std::vector<u64> all(literal.primes.begin(), literal.primes.begin() + level + 1);
    all.insert(all.end(), literal.special_primes.begin(), literal.special_primes.begin() + special_count);
    return all;
  }
  // A polynomial's bytes on the wire, and among constants in memory.
  std::size_t packed(const std::vector<u64>& moduli) const {
    std::size_t bits = 0;
    for (u64 q : moduli) bits += parameters().degree() * ceil_log2(q);
    return bits / 8;
  }
  std::size_t constant(const std::vector<u64>& moduli) const {
    std::size_t bytes = 0;
    for (u64 q : moduli) bytes += parameters().degree() * std::max<std::size_t>(4, (ceil_log2(q) + 7) / 8);
    return bytes;
  }
  std::vector<KeyShape> shapes() const {
    std::vector<KeyShape> all;
    for (int level = 0; level <= top(); ++level) {
      for (int digit_size = 1; digit_size <= level + 1; ++digit_size) {
        for (int special = 1; special <= parameters().special_count(); ++special)
          all.push_back({level, digit_size, special});
      }
    }
    return all;
  }
  static std::size_t words_bytes(const ring::Poly& poly) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < poly.limbs(); ++i) bytes += poly.limb(i).size_bytes();
    return bytes;
  }
  static std::size_t words_bytes(const Ciphertext& ciphertext) {
    std::size_t bytes = 0;
    for (const ring::Poly& part : ciphertext.parts) bytes += words_bytes(part);
    return bytes;
  }

  Scheme scheme_{test::make_parameters(GetParam().log_degree, GetParam().base_bits, GetParam().scale_bits,
                                       GetParam().levels, GetParam().special_bits, GetParam().special)};
};

TEST_P(SizesTest, CiphertextsAndPlaintexts) {
  const Evaluator& evaluator = scheme_.evaluator;
  for (int level = 0; level <= top(); ++level) {
    const Plaintext plaintext = unwrap(scheme_.encoder.encode(scheme_.random_vector(), 0x1p20, level));
    EXPECT_EQ(words_bytes(plaintext.poly), ciphertext_memory_bytes(parameters(), level, 1));

    const Bytes seeded =
        write_ciphertext(parameters(), unwrap(scheme_.holder.encrypt(plaintext)), scheme_.holder.tag());
    EXPECT_EQ(seeded.size(), seeded_ciphertext_bytes(parameters(), level));
    EXPECT_EQ(seeded.size(), kHeaderBytes + kSeedBytes + packed(primes(level)));

    const Ciphertext fresh = unwrap(read_ciphertext(parameters(), seeded)).ciphertext;
    const Bytes whole = write_ciphertext(parameters(), fresh, scheme_.holder.tag());
    EXPECT_EQ(whole.size(), ciphertext_bytes(parameters(), level));
    EXPECT_EQ(whole.size(), kHeaderBytes + 2 * packed(primes(level)));
    EXPECT_EQ(words_bytes(fresh), ciphertext_memory_bytes(parameters(), level));
    EXPECT_EQ(words_bytes(unwrap(evaluator.square(fresh))), ciphertext_memory_bytes(parameters(), level, 3));
    if (level == 0) continue;
    for (const Ciphertext& lower :
         {unwrap(evaluator.rescale(fresh)), unwrap(evaluator.drop(fresh, level - 1))}) {
      EXPECT_EQ(words_bytes(lower), ciphertext_memory_bytes(parameters(), level - 1));
      EXPECT_EQ(write_ciphertext(parameters(), lower, scheme_.holder.tag()).size(),
                ciphertext_bytes(parameters(), level - 1));
    }
  }
}

TEST_P(SizesTest, SwitchingKeys) {
  std::size_t total = 0;
  for (const KeyShape& shape : shapes()) {
    const auto digits = static_cast<std::size_t>((shape.level + shape.digit_size) / shape.digit_size);
    const std::vector<u64> moduli = primes(shape.level, shape.special_count);
    const std::int64_t step = static_cast<std::int64_t>(scheme_.keys.count()) + 1;
    const KeyRequest request{rotation_element(parameters(), step), shape};
    const Bytes bytes = write_key(parameters(), unwrap(scheme_.holder.make_key(request)));
    EXPECT_EQ(bytes.size(), key_bytes(parameters(), shape));
    EXPECT_EQ(bytes.size(), kHeaderBytes + kSeedBytes + digits * packed(moduli));
    for (KeyForm form : {KeyForm::kSeeded, KeyForm::kWhole}) {
      SwitchingKey key = unwrap(read_key(parameters(), bytes, form));
      const std::size_t half = digits * constant(moduli) + kReadAhead;
      EXPECT_EQ(key.b.memory_bytes(), half);
      EXPECT_EQ(key.a.memory_bytes(), form == KeyForm::kWhole ? half : 0);
      EXPECT_EQ(key.b.memory_bytes() + key.a.memory_bytes(), key_memory_bytes(parameters(), shape, form));
      if (form == KeyForm::kWhole) scheme_.keys.insert(std::move(key));
    }
    total += key_memory_bytes(parameters(), shape, KeyForm::kWhole);
  }
  EXPECT_EQ(scheme_.keys.memory_bytes(), total);
}

TEST_P(SizesTest, PublicKeys) {
  const PublicKey key = unwrap(scheme_.holder.make_public_key());
  EXPECT_EQ(words_bytes(key.b) + words_bytes(key.a), ciphertext_memory_bytes(parameters(), top()));
}

// A row for each term, whatever the length of its values.
TEST_P(SizesTest, LinearTransforms) {
  const std::vector<double> values(8, 0.5);
  const std::vector<LinearTransform::Group> groups = {{0, {{0, values}, {1, {0.25}}}},
                                                      {4, {{0, scheme_.random_vector()}}}};
  for (int level = 1; level <= top(); ++level) {
    for (int special = 1; special <= parameters().special_count(); ++special) {
      const auto transform =
          unwrap(LinearTransform::create(scheme_.encoder, groups, {level, special}, 0x1p20));
      EXPECT_EQ(transform.memory_bytes(), 3 * constant(primes(level, special)) + kReadAhead);
    }
  }
}

// SEAL sends a seeded rotation key for 18 primes and one special one as 18 digits of 19 limbs of 64-bit words.
TEST(Sizes, ADeepRotationKeyIsLessThanThreeTenthsOfSeals) {
  const Parameters parameters = test::make_parameters(15, 50, 40, 17, 46, 3);
  const std::size_t bytes = key_bytes(parameters, {17, 3, 3}), seals = std::size_t{18} * 19 * 8 << 15;
  EXPECT_LT(10 * bytes, 3 * seals);
  std::size_t bits = 0;
  for (u64 prime : parameters.literal().primes) bits += ceil_log2(prime);
  for (u64 prime : parameters.literal().special_primes) bits += ceil_log2(prime);
  EXPECT_EQ(bytes, kHeaderBytes + kSeedBytes + 6 * bits * parameters.degree() / 8);
}

INSTANTIATE_TEST_SUITE_P(Sets, SizesTest, testing::ValuesIn(kSizesCases),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tacit::ckks
