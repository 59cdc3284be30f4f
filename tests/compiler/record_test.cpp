// SPDX-License-Identifier: Apache-2.0
// A record comes back the same from its text, and no text does harm.
#include "compiler/record.h"

#include <gtest/gtest.h>

#include <random>

namespace tacit::compiler {
namespace {

Record example() {
  Record record;
  record.images = 512;
  record.depth = 7;
  record.noise_target = 0x1p-12;
  record.trials = {{12, 107, 0, 0, 0, 0, false, "too small"},
                   {13, 214, 31, 201.25, 0x1p-13, 123456789, true, "<taken>"}};
  record.fits.push_back({"relu \"1\"", "Relu", 5, 3.25, 0.01, 0.1, {0.5, 0.5}, {0, 1, 2}, {0.1, 1, 1.9}});
  record.accuracy.labelled = true;
  record.accuracy.largest_output = 12.5;
  record.accuracy.original = {512, 500, 512, {0, 0, kMostBits}, {}};
  record.accuracy.layers = {{"image", 0, 1e-5, 0, 1e-6}, {"relu \"1\"", 0.125, 2e-5, 0.25, 3e-5}};
  return record;
}

TEST(Record, ComesBackTheSame) {
  const std::string text = to_json(example());
  const auto read = record_from_json(text);
  ASSERT_TRUE(read.ok()) << read.error().to_line();
  EXPECT_EQ(to_json(*read), text);
  EXPECT_EQ(read->fits[0].name, "relu \"1\"");
  EXPECT_EQ(read->trials[1].memory, 123456789u);
  ASSERT_NE(read->accuracy.worst(), nullptr);
  EXPECT_EQ(read->accuracy.worst()->name, "relu \"1\"");
}

TEST(Record, IsRefusedWhereItIsNone) {
  const std::string text = to_json(example());
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(record_from_json(std::string_view(text).substr(0, length)).ok()) << length;
  for (const std::string& other :
       {std::string("[]"), std::string("{}"), std::string("null"), std::string(1 << 20, '['),
        std::string("{\"images\": 1e999}"), std::string("{\"images\": \"512\"}"), "x" + text, text + "x"}) {
    const auto read = record_from_json(other);
    ASSERT_FALSE(read.ok()) << other.substr(0, 40);
    EXPECT_EQ(read.error().code, ErrorCode::kDataMalformed);
  }
}

TEST(Record, SurvivesMutations) {
  const std::uint32_t seed = 61;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string text = to_json(example());
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string mutated = text;
    for (std::uint32_t changes = 1 + random() % 3; changes > 0; --changes)
      mutated[random() % mutated.size()] = static_cast<char>("0-9e.[]{}\",:nt\\"[random() % 15]);
    const auto read = record_from_json(mutated);
    refused += read.ok() ? 0 : 1;
    if (read.ok()) { EXPECT_TRUE(record_from_json(to_json(*read)).ok()) << mutated; }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tacit::compiler
