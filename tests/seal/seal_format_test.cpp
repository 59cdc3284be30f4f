// SPDX-License-Identifier: Apache-2.0
#include "seal/seal_format.h"

#include <random>

#include "seal/seal_objects.h"
#include "seal/seal_samples.h"

namespace tacit::seal {
namespace {

using ckks::Ciphertext;
using ckks::Parameters;
using ckks::u64;
using test::Scheme;
using test::unwrap;

ErrorCode code(const auto& result) { return result.ok() ? ErrorCode::kInternal : result.error().code; }

class SealFormatTest : public testing::Test {
 protected:
  SealFormatTest() : scheme_(sample_parameters()), other_(test::make_parameters(12, 35, 29, 1, 40, 1)) {}

  const Parameters& parameters() const { return scheme_.parameters; }
  ckks::SwitchingKey key(std::uint32_t element) const {
    return unwrap(scheme_.holder.make_key({element, {1, 1, 1}}));
  }

  std::vector<Sample> objects() { return samples(scheme_); }

  Scheme scheme_;
  Parameters other_;
};

// The sizes that SEAL's objects have for N = 8192 and these counts of primes.
TEST_F(SealFormatTest, SizesAreThoseOfTheFormat) {
  const Parameters p = test::make_parameters(13, 48, 40, 2, 50, 1);
  Scheme scheme(p);
  EXPECT_EQ(write_parameters(p.literal()).size(), 153U);
  EXPECT_EQ(write_secret_key(p, scheme.key).size(), 262232U);
  EXPECT_EQ(write_public_key(p, {ring::Poly(8192, 4), ring::Poly(8192, 4)}).size(), 524401U);
  EXPECT_EQ(write_relin_keys(p, unwrap(scheme.holder.make_key({ckks::kRelinearisation, {2, 1, 1}}))).size(),
            1573267U);
  EXPECT_EQ(seal::write_ciphertext(p, scheme.encrypt({1.0}, 0x1p40, 2)).size(), 393329U);
}

// From a context that SEAL made with the bit sizes 60, 40, 40, 60.
TEST_F(SealFormatTest, IdentifiersAreSeals) {
  const u64 primes[] = {1152921504606748673, 1099510890497, 1099511480321, 1152921504606830593};
  const std::string beginnings[] = {"7614ee5cda3ff32a", "56d1815a694f26dc", "0f8bbf7d4509a012",
                                    "e2a8dd3f1586dacf"};
  for (std::size_t count = 1; count <= 4; ++count) {
    EXPECT_EQ(to_hex(parms_id(8192, std::span(primes).first(count))).substr(0, 16), beginnings[count - 1]);
  }
}

// A ciphertext (0, seed) over two primes, the seed's bytes being 0, 1, ..., 63.
Bytes seeded_zero(const Parameters& parameters, std::uint8_t generator) {
  const u64 words = 2 * parameters.degree();
  const Ciphertext zero{{ring::Poly(parameters.degree(), 2), ring::Poly(parameters.degree(), 2)}, 1024};
  const Bytes whole = seal::write_ciphertext(parameters, zero);
  ByteWriter out;
  put_header(out, whole.size() - 8 * words + 81);
  out.raw(ByteView(whole).subspan(kHeaderBytes, 73));
  put_header(out, kHeaderBytes + 8 + 8 * words);
  out.u64(words);
  out.extend(8 * words);
  put_header(out, 81);
  out.u8(generator);
  for (std::uint8_t i = 0; i < 64; ++i) out.u8(i);
  return std::move(out).take();
}

// SEAL expanded the same bytes to these residues.
TEST_F(SealFormatTest, SeedsAreExpandedAsBySeal) {
  const Parameters p = unwrap(Parameters::create({12, {274877734913, 268369921}, {274877816833}}));
  const Ciphertext read = unwrap(seal::read_ciphertext(p, seeded_zero(p, 1)));
  ASSERT_EQ(read.size(), 2U);
  const auto low = read.parts[1].limb(0), high = read.parts[1].limb(1);
  EXPECT_EQ(low[0], 186250148526U);
  EXPECT_EQ(low[1], 249218305610U);
  EXPECT_EQ(low[2], 132961962780U);
  EXPECT_EQ(low[4095], 68718713788U);
  EXPECT_EQ(high[0], 34533908U);
  EXPECT_EQ(high[4095], 56200428U);
  EXPECT_EQ(code(seal::read_ciphertext(p, seeded_zero(p, 2))), ErrorCode::kDataMalformed);
}

TEST_F(SealFormatTest, ObjectsComeBackUnchanged) {
  for (const Sample& object : objects()) {
    const Result<Bytes> again = object.rewrite(parameters(), object.bytes);
    ASSERT_TRUE(again.ok()) << object.name << ": " << again.error().to_line();
    EXPECT_TRUE(*again == object.bytes) << object.name;
  }
  const ckks::SwitchingKey original = key(3);
  const auto keys = unwrap(read_galois_keys(parameters(), write_galois_keys(parameters(), {&original, 1})));
  ASSERT_EQ(keys.size(), 1U);
  EXPECT_EQ(keys[0].request, original.request);
  EXPECT_EQ(keys[0].b, original.b);
  EXPECT_EQ(keys[0].a, original.a);
  const secret::SecretKey secret =
      unwrap(read_secret_key(parameters(), write_secret_key(parameters(), scheme_.key)));
  EXPECT_TRUE(std::ranges::equal(secret.coefficients(), scheme_.key.coefficients()));
}

TEST_F(SealFormatTest, TruncatedAndLongerObjectsAreRefused) {
  for (const Sample& object : objects()) {
    for (std::size_t length = 0; length < object.bytes.size();
         length += length < 300 ? 1 : object.bytes.size() / 41) {
      EXPECT_FALSE(object.rewrite(parameters(), ByteView(object.bytes).first(length)).ok())
          << object.name << " " << length;
    }
    Bytes longer = object.bytes;
    longer.push_back(0);
    EXPECT_EQ(code(object.rewrite(parameters(), longer)), ErrorCode::kDataTrailing) << object.name;
    // The same byte claimed by the outermost object.
    const u64 size = longer.size();
    for (int i = 0; i < 8; ++i)
      longer[8 + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(size >> (8 * i));
    EXPECT_EQ(code(object.rewrite(parameters(), longer)), ErrorCode::kDataTrailing) << object.name;
  }
}

TEST_F(SealFormatTest, ForeignHeadersAreRefused) {
  for (const Sample& object : objects()) {
    auto altered = [&](std::size_t position, std::uint8_t value) {
      Bytes bytes = object.bytes;
      bytes[position] = value;
      return code(object.rewrite(parameters(), bytes));
    };
    EXPECT_EQ(altered(0, 0x5F), ErrorCode::kDataMalformed) << object.name;
    EXPECT_EQ(altered(2, 17), ErrorCode::kDataMalformed) << object.name;
    EXPECT_EQ(altered(3, 3), ErrorCode::kDataVersion) << object.name;
    EXPECT_EQ(altered(4, 2), ErrorCode::kDataVersion) << object.name;
    EXPECT_EQ(altered(5, 2), ErrorCode::kDataMalformed) << object.name;
    EXPECT_EQ(altered(6, 1), ErrorCode::kDataMalformed) << object.name;
    EXPECT_EQ(altered(15, 0x80), ErrorCode::kDataTruncated) << object.name;
  }
}

TEST_F(SealFormatTest, ObjectsOfOtherParametersAreRefused) {
  for (const Sample& object : objects()) {
    if (object.name == "parameters" || object.name == "lower ciphertext") continue;
    EXPECT_EQ(code(object.rewrite(other_, object.bytes)), ErrorCode::kParametersMismatch) << object.name;
    const Parameters two = test::make_parameters(12, 28, 26, 0, 36, 2);
    EXPECT_EQ(code(object.rewrite(two, object.bytes)), ErrorCode::kParametersMismatch) << object.name;
  }
}

TEST_F(SealFormatTest, ResiduesMustBeBelowTheirPrime) {
  for (const Sample& object : objects()) {
    if (object.name == "parameters") continue;
    Bytes bytes = object.bytes;
    // The last residue of a pair's last limb; Galois keys end with the conjugation's.
    for (std::size_t i = 1; i <= 8; ++i) bytes[bytes.size() - i] = 0xFF;
    const ErrorCode found = code(object.rewrite(parameters(), bytes));
    EXPECT_EQ(found, ErrorCode::kResidueOutOfRange) << object.name;
  }
}

// Every single-byte alteration is refused or read as what it says: never a crash, never something else written again.
TEST_F(SealFormatTest, AlteredBytesAreRefusedOrKept) {
  constexpr u64 kSeed = 4;
  std::mt19937_64 random(kSeed);
  int refused = 0, kept = 0;
  for (const Sample& object : objects()) {
    for (int i = 0; i < 400; ++i) {
      Bytes bytes = object.bytes;
      // Mostly where the lengths stand.
      const std::size_t range = i % 4 == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 300);
      const std::size_t position = random() % range;
      bytes[position] ^= static_cast<std::uint8_t>(1 + random() % 255);
      const Result<Bytes> again = object.rewrite(parameters(), bytes);
      EXPECT_TRUE(!again.ok() || *again == bytes) << object.name << " at " << position;
      ++(again.ok() ? kept : refused);
    }
  }
  EXPECT_GT(refused, 400);
  EXPECT_GT(kept, 100);
}

TEST_F(SealFormatTest, SecretKeysMustBeTernary) {
  Bytes bytes = write_secret_key(parameters(), scheme_.key);
  // A residue that is in range, but no longer that of a ternary polynomial.
  bytes[bytes.size() - 8] ^= 1;
  EXPECT_EQ(code(read_secret_key(parameters(), bytes)), ErrorCode::kDataMalformed);
}

TEST_F(SealFormatTest, KeysForTheIdentityAndMissingKeysAreRefused) {
  const ckks::SwitchingKey identity = key(ckks::kRelinearisation);
  EXPECT_EQ(code(read_galois_keys(parameters(), write_galois_keys(parameters(), {&identity, 1}))),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(unwrap(read_galois_keys(parameters(), write_galois_keys(parameters(), {}))).size(), 0U);
  ByteWriter empty;
  const Bytes whole = write_relin_keys(parameters(), identity);
  empty.raw(ByteView(whole).first(8));
  empty.u64(16 + 32 + 8 + 8);
  empty.raw(ByteView(whole).subspan(16, 40));
  empty.u64(0);
  EXPECT_EQ(code(read_relin_keys(parameters(), std::move(empty).take())), ErrorCode::kKeyMissing);
}

}  // namespace
}  // namespace tacit::seal
