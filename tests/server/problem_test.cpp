// SPDX-License-Identifier: Apache-2.0
#include "server/problem.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "server/json.h"

namespace tacit::server {
namespace {

struct Entry {
  ErrorCode code;
  std::string text;
  std::string meaning;
};

std::vector<Entry> all_codes() {
  return {
#define TACIT_ERROR(name, text, kind, meaning) {ErrorCode::name, text, meaning},
#include "base/error_codes.def"
#undef TACIT_ERROR
  };
}

Json parse(const Response& response) { return Json::parse(response.body.begin(), response.body.end()); }

TEST(Problem, EveryCodeHasAStatusThatHasAName) {
  for (const Entry& entry : all_codes()) {
    const int status = status_of(entry.code);
    EXPECT_TRUE(status >= 400 && status <= 507) << entry.text;
    EXPECT_NE(reason_phrase(status), "Unknown") << entry.text << " " << status;
  }
}

TEST(Problem, KindsHaveTheirStatus) {
  EXPECT_EQ(status_of(ErrorCode::kRequestMalformed), 400);
  EXPECT_EQ(status_of(ErrorCode::kDataMalformed), 422);
  EXPECT_EQ(status_of(ErrorCode::kModelUnknown), 404);
  EXPECT_EQ(status_of(ErrorCode::kKeyMissing), 409);
  EXPECT_EQ(status_of(ErrorCode::kDataTooLarge), 413);
  EXPECT_EQ(status_of(ErrorCode::kServerBusy), 503);
  EXPECT_EQ(status_of(ErrorCode::kInternal), 500);
}

TEST(Problem, SaysWhatWentWrong) {
  const Response response =
      problem_response({ErrorCode::kKeyMissing, "2 pieces"}, "/v2/keys", {{"missing_pieces", {"aa", "bb"}}});
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.fields.find("Content-Type"), "application/problem+json");
  const Json json = parse(response);
  EXPECT_EQ(json["type"], "urn:tacit:problem:keys.missing");
  EXPECT_EQ(json["status"], 409);
  EXPECT_EQ(json["detail"], "2 pieces");
  EXPECT_EQ(json["error"], "2 pieces");
  EXPECT_EQ(json["instance"], "/v2/keys");
  EXPECT_EQ(json["code"], "keys.missing");
  EXPECT_EQ(json["missing_pieces"].size(), 2u);
  EXPECT_FALSE(json["title"].get<std::string>().empty());
}

TEST(Problem, FaultsTellNothingOfTheInside) {
  const Json json = parse(problem_response({ErrorCode::kFileUnwritable, "/var/lib/x: no space"}, "/v2"));
  EXPECT_EQ(json["detail"], meaning_of(ErrorCode::kFileUnwritable));
  EXPECT_EQ(json.dump().find("/var/lib"), std::string::npos);
}

TEST(Problem, OnlyWhatPassesIsToBeTriedAgain) {
  EXPECT_TRUE(problem_response({ErrorCode::kServerBusy, "x"}, "/").fields.find("Retry-After"));
  EXPECT_FALSE(problem_response({ErrorCode::kModelUnavailable, "x"}, "/").fields.find("Retry-After"));
  EXPECT_FALSE(problem_response({ErrorCode::kDataMalformed, "x"}, "/").fields.find("Retry-After"));
}

TEST(Problem, BytesThatAreNoTextDoNotBreakIt) {
  const Response response = problem_response({ErrorCode::kDataMalformed, "\xFF\xFE\n\"x"}, "/\xC0");
  EXPECT_TRUE(Json::accept(response.body.begin(), response.body.end()));
}

// protocol/errors.md has one row for each code: | `code` | status | meaning |
TEST(Problem, TheErrorPageListsEveryCode) {
  const auto page = read_file(TACIT_SOURCE_DIR "/protocol/errors.md", 1 << 20);
  ASSERT_TRUE(page.ok()) << page.error().to_line();
  const std::string text(as_text(*page));
  std::size_t rows = 0;
  for (const Entry& entry : all_codes()) {
    const std::string row =
        "| `" + entry.text + "` | " + std::to_string(status_of(entry.code)) + " | " + entry.meaning + " |\n";
    EXPECT_NE(text.find(row), std::string::npos) << "protocol/errors.md lacks this row:\n" << row;
  }
  const std::size_t table = std::min(text.find("| code | status | meaning |\n"), text.size());
  for (std::size_t at = text.find("\n| `", table); at != std::string::npos; at = text.find("\n| `", at + 1))
    ++rows;
  EXPECT_EQ(rows, all_codes().size()) << "protocol/errors.md has rows for codes that do not exist";
}

}  // namespace
}  // namespace tacit::server
