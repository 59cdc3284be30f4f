// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "base/digest.h"
#include "plan/package.h"
#include "support/plan_fixture.h"

namespace tacit::plan {
namespace {

// The digest at the end made right again, so that what is behind it gets read.
void seal(Bytes& bytes) {
  if (bytes.size() < sizeof(Digest)) return;
  const std::size_t contents = bytes.size() - sizeof(Digest);
  const Digest digest = blake2b(ByteView(bytes).first(contents));
  std::copy(digest.begin(), digest.end(), bytes.begin() + static_cast<std::ptrdiff_t>(contents));
}

struct Given {
  const char* name;
  Plan (*make)();
};

class PackageFile : public testing::TestWithParam<Given> {
 protected:
  const Package package = test::make_package(GetParam().make());
  const Bytes bytes = write_package(package);
};

TEST_P(PackageFile, ComesBackTheSame) {
  const auto read = read_package(bytes);
  ASSERT_TRUE(read.ok()) << read.error().to_line();
  EXPECT_EQ(to_json(read->client), to_json(package.client));
  const Plan& plan = read->plan;
  EXPECT_EQ(plan.slots, package.plan.slots);
  EXPECT_EQ(plan.keys, package.plan.keys);
  ASSERT_EQ(plan.values.size(), package.plan.values.size());
  ASSERT_EQ(plan.maps.size(), package.plan.maps.size());
  ASSERT_EQ(plan.operations.size(), package.plan.operations.size());
  for (std::size_t i = 0; i < plan.values.size(); ++i) {
    EXPECT_EQ(plan.values[i].name, package.plan.values[i].name);
    EXPECT_EQ(plan.values[i].layout, package.plan.values[i].layout);
    EXPECT_EQ(plan.values[i].scale, package.plan.values[i].scale);
  }
  for (std::size_t i = 0; i < plan.maps.size(); ++i) {
    const auto rows = plan.maps[i].rows(), expected = package.plan.maps[i].rows();
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      ASSERT_EQ(rows[r].size(), expected[r].size());
      for (std::size_t k = 0; k < rows[r].size(); ++k) {
        ASSERT_EQ(rows[r][k].column, expected[r][k].column);
        ASSERT_EQ(rows[r][k].value, expected[r][k].value);
      }
    }
    EXPECT_EQ(plan.maps[i].bias, package.plan.maps[i].bias);
  }
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    EXPECT_EQ(plan.operations[i].index(), package.plan.operations[i].index());
    EXPECT_EQ(output_of(plan.operations[i]), output_of(package.plan.operations[i]));
    EXPECT_EQ(inputs_of(plan.operations[i]), inputs_of(package.plan.operations[i]));
    if (const auto* linear = std::get_if<Linear>(&plan.operations[i])) {
      EXPECT_EQ(linear->split, std::get_if<Linear>(&package.plan.operations[i])->split);
    }
  }
  // Writing covers what the comparison above leaves out.
  EXPECT_EQ(write_package(*read), bytes);
}

TEST_P(PackageFile, KeepsItsRecordOutOfTheClientHalf) {
  Package recorded = package;
  recorded.record = "{\"accuracy\": 0.875}\n\0 and bytes that are no text \xff";
  const Bytes written = write_package(recorded);
  const auto read = read_package(written);
  ASSERT_TRUE(read.ok()) << read.error().to_line();
  EXPECT_EQ(read->record, recorded.record);
  EXPECT_EQ(to_json(read->client), to_json(package.client));
  recorded.record.assign(kMaxRecordBytes + 1, ' ');
  const auto too_large = read_package(write_package(recorded));
  ASSERT_FALSE(too_large.ok());
  EXPECT_EQ(too_large.error().code, ErrorCode::kDataTooLarge);
}

TEST_P(PackageFile, IsRefusedWhereItEndsEarly) {
  for (std::size_t length = 0; length < bytes.size();
       length += length < 200 || bytes.size() - length < 300 ? 1 : 97) {
    const auto read = read_package(ByteView(bytes).first(length));
    ASSERT_FALSE(read.ok()) << length;
    EXPECT_EQ(read.error().code, ErrorCode::kDataTruncated) << length;
  }
}

// The server half cut at any place, with lengths and digest made to agree.
TEST_P(PackageFile, IsRefusedWhereItsServerHalfEndsEarly) {
  const std::size_t client_size = to_json(package.client).size();
  const std::size_t length_at = 8 + 4 + 8 + client_size, server_at = length_at + 8;
  constexpr std::size_t kEmptyRecord = 8;
  const std::size_t server_size = bytes.size() - sizeof(Digest) - kEmptyRecord - server_at;
  for (std::size_t keep = 0; keep < server_size; keep += keep < 300 || server_size - keep < 100 ? 1 : 997) {
    Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(server_at + keep));
    for (std::size_t i = 0; i < 8; ++i) cut[length_at + i] = static_cast<std::uint8_t>(keep >> (8 * i));
    cut.resize(cut.size() + kEmptyRecord + sizeof(Digest));
    seal(cut);
    const auto read = read_package(cut);
    ASSERT_FALSE(read.ok()) << keep;
    EXPECT_EQ(read.error().code, ErrorCode::kDataTruncated) << keep << ": " << read.error().to_line();
  }
}

TEST_P(PackageFile, IsRefusedWhereABitIsFlipped) {
  std::mt19937_64 random(53);
  for (int i = 0; i < 200; ++i) {
    Bytes flipped = bytes;
    flipped[random() % flipped.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
    EXPECT_FALSE(read_package(flipped).ok());
  }
}

// With the digest made right, mutations reach everything behind it. None may crash; what is accepted is a valid plan
// that can be written again.
TEST_P(PackageFile, SurvivesMutationsThatTheDigestDoesNotSee) {
  const std::uint64_t seed = 54;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::uint8_t interesting[] = {0, 1, 0x7f, 0x80, 0xff};
  const std::size_t client_size = to_json(package.client).size();
  const int rounds = package.plan.operations.size() > 5 ? 500 : 2000;
  int accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    Bytes mutated = bytes;
    for (std::uint64_t count = 1 + random() % 3; count > 0; --count) {
      // Half of the mutations go to the first bytes of the server half and its end, where structure is densest.
      std::size_t at = random() % mutated.size();
      if (random() % 2 == 0) at = 20 + client_size + random() % 700;
      if (random() % 6 == 0) at = mutated.size() - 33 - random() % 200;
      at = std::min(at, mutated.size() - 33);
      switch (random() % 4) {
        case 0:
          mutated[at] = interesting[random() % std::size(interesting)];
          break;
        case 1:
          mutated[at] = static_cast<std::uint8_t>(random());
          break;
        case 2:
          mutated[at] ^= static_cast<std::uint8_t>(1u << random() % 8);
          break;
        default:
          for (std::size_t k = at; k < std::min(at + 8, mutated.size()); ++k) mutated[k] = 0xff;
      }
    }
    seal(mutated);
    const auto read = read_package(mutated);
    if (!read.ok()) {
      EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
      continue;
    }
    ++accepted;
    EXPECT_TRUE(read->plan.validate().ok());
    EXPECT_FALSE(write_package(*read).empty());
  }
  EXPECT_LT(accepted, rounds);
}

TEST_P(PackageFile, IsRefusedForOtherFormatsAndVersions) {
  EXPECT_EQ(read_package(as_bytes("")).error().code, ErrorCode::kDataTruncated);
  EXPECT_EQ(read_package(as_bytes("ONNX model file")).error().code, ErrorCode::kDataMalformed);
  Bytes other = bytes;
  other[8] += 1;
  EXPECT_EQ(read_package(other).error().code, ErrorCode::kDataVersion);
  other = bytes;
  other.push_back(0);
  EXPECT_EQ(read_package(other).error().code, ErrorCode::kDataTrailing);
  other = bytes;
  for (std::size_t i = 12; i < 20; ++i) other[i] = 0xff;  // the client half's length
  EXPECT_EQ(read_package(other).error().code, ErrorCode::kDataTruncated);
}

TEST_P(PackageFile, IsRefusedWhereItsHalvesDisagree) {
  const auto refused = [&](auto change) {
    Package other = package;
    change(other.client);
    const auto read = read_package(write_package(other));
    return read.ok() ? ErrorCode::kInternal : read.error().code;
  };
  EXPECT_EQ(refused([](ClientHalf&) {}), ErrorCode::kInternal);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].scale *= 1 + 1e-15; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].level -= 1; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].period *= 2; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[1].scale /= 2; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[1].level += 1; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[1].layout.grid_width = 2; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.keys.erase(h.keys.begin()); }), ErrorCode::kKeyMissing);
}

INSTANTIATE_TEST_SUITE_P(Plans, PackageFile,
                         testing::Values(Given{"Residual", [] { return test::make_residual(51); }},
                                         Given{"CryptoNets", [] { return test::make_cryptonets(52); }},
                                         Given{"Chained",
                                               [] { return test::make_chained(test::make_cryptonets(53)); }}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tacit::plan
