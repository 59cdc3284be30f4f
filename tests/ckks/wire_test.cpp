// SPDX-License-Identifier: Apache-2.0
#include "ckks/wire.h"

#include "support/ckks_fixture.h"
#include "support/seed.h"

namespace tacit::ckks {
namespace {

using test::kHeaderBytes;
using test::kSeed;
using test::Scheme;
using test::unwrap;

ErrorCode code(const auto& result) { return result.ok() ? ErrorCode::kInternal : result.error().code; }

class WireTest : public testing::Test {
 protected:
  WireTest()
      : scheme_(test::make_parameters(12, 30, 27, 1, 45, 1)),
        other_(test::make_parameters(12, 30, 26, 1, 45, 1)),
        plaintext_(unwrap(scheme_.encoder.encode(scheme_.random_vector(), 0x1p25, 1))) {}

  Bytes seeded() {
    return write_ciphertext(scheme_.parameters, unwrap(scheme_.holder.encrypt(plaintext_)),
                            scheme_.holder.tag());
  }
  Bytes full() {
    const Ciphertext c = unwrap(read_ciphertext(scheme_.parameters, seeded())).ciphertext;
    return write_ciphertext(scheme_.parameters, c, scheme_.holder.tag());
  }
  SwitchingKey key(KeyShape shape = {1, 1, 1}) {
    return unwrap(scheme_.holder.make_key({rotation_element(scheme_.parameters, 5), shape}));
  }

  Scheme scheme_;
  Parameters other_;
  Plaintext plaintext_;
};

TEST_F(WireTest, CiphertextsComeBackUnchanged) {
  const SeededCiphertext fresh = unwrap(scheme_.holder.encrypt(plaintext_));
  const Bytes bytes = write_ciphertext(scheme_.parameters, fresh, scheme_.holder.tag());
  EXPECT_EQ(bytes.size(), seeded_ciphertext_bytes(scheme_.parameters, 1));
  const TaggedCiphertext read = unwrap(read_ciphertext(scheme_.parameters, bytes));
  EXPECT_EQ(read.tag, scheme_.holder.tag());
  EXPECT_EQ(read.ciphertext.scale, fresh.scale);
  EXPECT_EQ(read.ciphertext.parts[0], fresh.c0);
  const Bytes again = write_ciphertext(scheme_.parameters, read.ciphertext, read.tag);
  EXPECT_EQ(again.size(), ciphertext_bytes(scheme_.parameters, 1));
  EXPECT_EQ(unwrap(read_ciphertext(scheme_.parameters, again)).ciphertext.parts, read.ciphertext.parts);
}

TEST_F(WireTest, KeysComeBackUnchanged) {
  for (const KeyShape& shape : {KeyShape{1, 1, 1}, KeyShape{1, 2, 1}, KeyShape{0, 1, 1}}) {
    const SwitchingKey original = key(shape);
    const Bytes bytes = write_key(scheme_.parameters, original);
    EXPECT_EQ(bytes.size(), key_bytes(scheme_.parameters, shape));
    const SwitchingKey read = unwrap(read_key(scheme_.parameters, bytes));
    EXPECT_EQ(read.request, original.request);
    EXPECT_EQ(read.tag, original.tag);
    EXPECT_EQ(read.a, original.a);
    EXPECT_EQ(read.b, original.b);
    const KeyHeader header = unwrap(read_key_header(bytes));
    EXPECT_EQ(header.request, original.request);
    EXPECT_EQ(header.basis, scheme_.parameters.basis_digest(shape.level, shape.special_count));
    EXPECT_TRUE(check_key(scheme_.parameters, bytes).ok());
  }
}

TEST_F(WireTest, EveryTruncationIsRefused) {
  for (const Bytes& bytes : {seeded(), full(), write_key(scheme_.parameters, key())}) {
    for (std::size_t length = 0; length < bytes.size(); length += length < 200 ? 1 : bytes.size() / 37) {
      const ByteView part = ByteView(bytes).first(length);
      EXPECT_FALSE(read_ciphertext(scheme_.parameters, part).ok()) << length;
      EXPECT_FALSE(read_key(scheme_.parameters, part).ok()) << length;
      EXPECT_FALSE(check_key(scheme_.parameters, part).ok()) << length;
    }
  }
}

TEST_F(WireTest, TrailingBytesAreRefused) {
  for (Bytes bytes : {seeded(), full()}) {
    bytes.push_back(0);
    EXPECT_EQ(code(read_ciphertext(scheme_.parameters, bytes)), ErrorCode::kDataTrailing);
  }
  Bytes bytes = write_key(scheme_.parameters, key());
  bytes.push_back(0);
  EXPECT_EQ(code(read_key(scheme_.parameters, bytes)), ErrorCode::kDataTrailing);
}

TEST_F(WireTest, OtherParametersAreRefused) {
  EXPECT_EQ(code(read_ciphertext(other_, seeded())), ErrorCode::kParametersMismatch);
  EXPECT_EQ(code(read_key(other_, write_key(scheme_.parameters, key()))), ErrorCode::kParametersMismatch);
  const Parameters larger = test::make_parameters(13, 30, 27, 1, 45, 1);
  EXPECT_EQ(code(read_ciphertext(larger, seeded())), ErrorCode::kParametersMismatch);
}

TEST_F(WireTest, ResiduesNotBelowTheirPrimeAreRefused) {
  for (Bytes bytes : {seeded(), full()}) {
    const std::size_t body = bytes.size() == seeded().size() ? kHeaderBytes + 32 : kHeaderBytes;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(body), 8, 0xFF);
    EXPECT_EQ(code(read_ciphertext(scheme_.parameters, bytes)), ErrorCode::kResidueOutOfRange);
  }
  Bytes bytes = write_key(scheme_.parameters, key());
  std::fill(bytes.end() - 8, bytes.end(), 0xFF);
  EXPECT_EQ(code(read_key(scheme_.parameters, bytes)), ErrorCode::kResidueOutOfRange);
  EXPECT_EQ(code(check_key(scheme_.parameters, bytes)), ErrorCode::kResidueOutOfRange);
}

TEST_F(WireTest, OneKindIsNotTakenForAnother) {
  EXPECT_EQ(code(read_key(scheme_.parameters, seeded())), ErrorCode::kDataMalformed);
  EXPECT_EQ(code(read_key_header(full())), ErrorCode::kDataMalformed);
  EXPECT_EQ(code(read_ciphertext(scheme_.parameters, write_key(scheme_.parameters, key()))),
            ErrorCode::kDataMalformed);
}

TEST_F(WireTest, EveryHeaderByteIsChecked) {
  // Any other value of any header byte must be refused, but of the key tag, of a ciphertext's scale, and of a key's element, as
  // another odd one is another valid key.
  for (const Bytes& original : {seeded(), full(), write_key(scheme_.parameters, key())}) {
    const bool is_key = read_key(scheme_.parameters, original).ok();
    for (std::size_t i = 0; i < kHeaderBytes; ++i) {
      const bool tag = i >= 8 && i < 24, scale = i >= 32 && i < 40, element = i >= 28 && i < 32;
      if (tag || (scale && !is_key) || (element && is_key)) continue;
      for (int bit = 0; bit < 8; ++bit) {
        Bytes bytes = original;
        bytes[i] ^= static_cast<std::uint8_t>(1 << bit);
        EXPECT_FALSE(read_ciphertext(scheme_.parameters, bytes).ok()) << "byte " << i << " bit " << bit;
        EXPECT_FALSE(read_key(scheme_.parameters, bytes).ok()) << "byte " << i << " bit " << bit;
      }
    }
  }
}

TEST_F(WireTest, RandomMutationsNeverCrash) {
  std::mt19937_64 random(kSeed);
  for (const Bytes& original : {seeded(), full(), write_key(scheme_.parameters, key())}) {
    for (int round = 0; round < 300; ++round) {
      Bytes bytes = original;
      for (int change = 0; change < 3; ++change) {
        bytes[random() % (round % 2 ? bytes.size() : kHeaderBytes)] = static_cast<std::uint8_t>(random());
      }
      if (round % 7 == 0) bytes.resize(random() % bytes.size());
      const auto ciphertext = read_ciphertext(scheme_.parameters, bytes);
      const auto read = read_key(scheme_.parameters, bytes);
      EXPECT_EQ(read.ok(), check_key(scheme_.parameters, bytes).ok())
          << "seed " << kSeed << " round " << round;
      if (ciphertext.ok()) { EXPECT_GT(ciphertext->ciphertext.scale, 0); }
    }
  }
}

}  // namespace
}  // namespace tacit::ckks
