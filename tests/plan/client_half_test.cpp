// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/file.h"
#include "plan/package.h"
#include "support/plan_fixture.h"

namespace tacit::plan {
namespace {

using nlohmann::json;

ClientHalf make_half() { return test::make_package(test::make_cryptonets(41)).client; }

// "input.layout.gap" or "keys[3].level", as error messages name fields.
std::string dotted(const std::string& pointer) {
  std::string result, part;
  for (std::size_t i = 1; i <= pointer.size(); ++i) {
    if (i < pointer.size() && pointer[i] != '/') {
      part += pointer[i];
      continue;
    }
    if (part.find_first_not_of("0123456789") == std::string::npos)
      result += "[" + part + "]";
    else
      result += (result.empty() ? "" : ".") + part;
    part.clear();
  }
  return result;
}

TEST(ClientHalf, ComesBackFromItsJson) {
  const ClientHalf half = make_half();
  const std::string text = to_json(half);
  const auto read = client_half_from_json(text);
  ASSERT_TRUE(read.ok()) << read.error().to_line();
  EXPECT_EQ(to_json(*read), text);
}

TEST(ClientHalf, KeepsEveryBitOfRandomNumbers) {
  const std::uint64_t seed = 42;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(1, 2);
  ClientHalf half = make_half();
  for (int i = 0; i < 200; ++i) {
    half.values[0].scale = std::ldexp(uniform(random), 26);
    half.values[1].scale = std::ldexp(uniform(random), 26);
    half.values[0].range = std::ldexp(uniform(random), i % 30 - 15);
    half.preprocessing.mean[0] = -uniform(random);
    half.estimated_ms = uniform(random) * 1000;
    const auto read = client_half_from_json(to_json(half));
    ASSERT_TRUE(read.ok()) << read.error().to_line();
    ASSERT_EQ(to_json(*read), to_json(half));
    ASSERT_EQ(read->values, half.values);
  }
}

// All fields of the page, including those within lists, as JSON pointers.
std::vector<std::string> all_fields(const json& page, const std::string& prefix = "") {
  std::vector<std::string> fields;
  for (const auto& item : page.items()) {
    const std::string pointer = prefix + "/" + item.key();
    if (page.is_object()) fields.push_back(pointer);
    if (item.value().is_structured())
      for (std::string& inner : all_fields(item.value(), pointer)) fields.push_back(std::move(inner));
  }
  return fields;
}

TEST(ClientHalf, NamesTheFieldThatIsMissingOrHasTheWrongType) {
  ClientHalf half = make_half();
  half.keys.resize(2);
  const json page = json::parse(to_json(half));
  const std::vector<std::string> fields = all_fields(page);
  ASSERT_GT(fields.size(), 50u);
  for (const std::string& field : fields) {
    const json::json_pointer pointer(field);
    const std::string name = "\"" + dotted(field) + "\"";
    json without = page;
    without[pointer.parent_pointer()].erase(pointer.back());
    const auto missing = client_half_from_json(without.dump());
    ASSERT_FALSE(missing.ok()) << name;
    EXPECT_EQ(missing.error().code, ErrorCode::kJsonMalformed) << name;
    EXPECT_NE(missing.error().message.find(name + " is missing"), std::string::npos)
        << missing.error().message;

    json wrong = page;
    const bool is_text = page[pointer].is_string();
    wrong[pointer] = is_text ? json(17) : json("seventeen");
    const auto mistyped = client_half_from_json(wrong.dump());
    ASSERT_FALSE(mistyped.ok()) << name;
    EXPECT_EQ(mistyped.error().code, ErrorCode::kJsonMalformed) << name;
    EXPECT_NE(mistyped.error().message.find(name + " must be"), std::string::npos)
        << mistyped.error().message;
  }
  // Elements of lists have no name of their own; their place is in the message.
  for (const char* element :
       {"/parameters/primes/2", "/output/labels/3", "/input/preprocessing/mean/0", "/keys/1"}) {
    json wrong = page;
    wrong[json::json_pointer(element)] = nullptr;
    const auto read = client_half_from_json(wrong.dump());
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::kJsonMalformed);
    EXPECT_NE(read.error().message.find("\"" + dotted(element) + "\""), std::string::npos)
        << read.error().message;
  }
}

// The page in protocol/ shows what is really read.
TEST(ClientHalf, ReadsTheExampleOfItsPage) {
  const auto page = read_file(TACIT_SOURCE_DIR "/protocol/client-half.md", 1 << 20);
  ASSERT_TRUE(page.ok()) << page.error().to_line();
  const std::string text(as_text(*page));
  const std::size_t begin = text.find("```json\n") + 8, end = text.find("```", begin);
  ASSERT_NE(end, std::string::npos);
  const auto half = client_half_from_json(std::string_view(text).substr(begin, end - begin));
  ASSERT_TRUE(half.ok()) << half.error().to_line();
  EXPECT_EQ(half->name, "fashion-mnist");
  EXPECT_EQ(half->input_value().scale, 133251073.0);
  EXPECT_EQ(half->labels.size(), 10u);
  EXPECT_EQ(half->keys.size(), 2u);
  // No field of the page is left out of the example.
  EXPECT_EQ(all_fields(json::parse(to_json(*half))),
            all_fields(json::parse(text.substr(begin, end - begin))));
}

TEST(ClientHalf, IgnoresFieldsThatItDoesNotKnow) {
  json page = json::parse(to_json(make_half()));
  page["comment"] = {{"nested", {1, 2, 3}}};
  EXPECT_TRUE(client_half_from_json(page.dump()).ok());
}

TEST(ClientHalf, RefusesTextThatIsNotItsPage) {
  const auto code = [](std::string_view text) { return client_half_from_json(text).error().code; };
  EXPECT_EQ(code(""), ErrorCode::kJsonMalformed);
  EXPECT_EQ(code("{"), ErrorCode::kJsonMalformed);
  EXPECT_EQ(code("[]"), ErrorCode::kJsonMalformed);
  EXPECT_EQ(code("null"), ErrorCode::kJsonMalformed);
  EXPECT_EQ(code("{\"format\": \"\xff\"}"), ErrorCode::kJsonMalformed);
  EXPECT_EQ(code("{\"format\": \"tacit.client-half\", \"version\": 1e999}"), ErrorCode::kJsonMalformed);
  EXPECT_EQ(code("{\"format\": \"tacit.client-half\", \"version\": 3}"), ErrorCode::kDataVersion);
  EXPECT_EQ(code(std::string(100000, '[')), ErrorCode::kJsonMalformed);
  EXPECT_EQ(code(std::string(kMaxClientHalfBytes + 1, ' ')), ErrorCode::kDataTooLarge);
}

TEST(ClientHalf, RefusesWhatAClientCannotRelyOn) {
  const auto refused = [](auto change) {
    ClientHalf half = make_half();
    change(half);
    const Status direct = validate(half);
    const auto read = client_half_from_json(to_json(half));
    EXPECT_FALSE(read.ok());
    if (direct.ok()) return ErrorCode::kInternal;
    return direct.error().code;
  };
  EXPECT_EQ(refused([](ClientHalf& h) { h.name = "Upper"; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.name = "../etc"; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.name = ""; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.name = std::string(65, 'a'); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.parameters.log_degree = 12; }), ErrorCode::kParametersInsecure);
  EXPECT_EQ(refused([](ClientHalf& h) { h.parameters.primes.clear(); }), ErrorCode::kParametersInvalid);
  EXPECT_EQ(refused([](ClientHalf& h) { std::swap(h.keys[0], h.keys[1]); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.keys[1].shape.level = 20; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].period = 1000; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].level = 6; }), ErrorCode::kLevelMismatch);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].scale = 0; }), ErrorCode::kScaleMismatch);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[1].scale = 0x1p31; }), ErrorCode::kScaleMismatch);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].range = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[1].range = -1; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.preprocessing.deviation[0] = 0; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.preprocessing.mean.push_back(0); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.preprocessing.scale = -1; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[0].layout.gap = 3; }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.values[1].layout.shape.channels = 9000; }),
            ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.labels.pop_back(); }), ErrorCode::kDataMalformed);
  EXPECT_EQ(refused([](ClientHalf& h) { h.estimated_ms = -1; }), ErrorCode::kDataMalformed);
}

}  // namespace
}  // namespace tacit::plan
