// SPDX-License-Identifier: Apache-2.0
#include "server/log.h"

#include <gtest/gtest.h>

#include <random>

#include "server/json.h"

namespace tacit::server {
namespace {

TEST(Log, ALineForPeopleHasItsFactsBehindIt) {
  EXPECT_EQ(text_line("request", {{"request_id", "a-1"}, {"status", 200}, {"ms", 1.5}}),
            "request request_id=a-1 status=200 ms=1.5");
  // What could be taken for another field, or another line, is in quotes.
  EXPECT_EQ(text_line("x", {{"path", "/a b=c"}}), "x path=\"/a b=c\"");
  EXPECT_EQ(text_line("x", {{"empty", ""}, {"line", "a\nb"}, {"quote", "\""}}),
            "x empty=\"\" line=\"a\\nb\" quote=\"\\\"\"");
  EXPECT_EQ(text_line("one\ntwo\x7f", {}), "one?two?");
}

TEST(Log, ALineForMachinesIsOneObject) {
  const std::string line =
      json_line("2026-01-01T00:00:00.000Z", "error", "request failed",
                {{"request_id", "a-1"}, {"status", std::uint64_t{500}}, {"load", 0.5}, {"code", "internal"}});
  EXPECT_EQ(line, R"({"time":"2026-01-01T00:00:00.000Z","level":"error","message":"request failed",)"
                  R"("request_id":"a-1","status":500,"load":0.5,"code":"internal"})");
}

TEST(Log, AnyBytesStayOneLineAndValidJson) {
  constexpr std::uint32_t kSeed = 20261126;
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    std::string message, value;
    for (std::uint32_t n = random() % 20; n > 0; --n) message += static_cast<char>(random() % 256);
    for (std::uint32_t n = random() % 20; n > 0; --n) value += static_cast<char>(random() % 256);
    const std::string text = text_line(message, {{"v", value}});
    EXPECT_EQ(text.find_first_of("\n\r"), std::string::npos);
    const std::string json = json_line("t", "info", message, {{"v", value}});
    EXPECT_EQ(json.find_first_of("\n\r"), std::string::npos);
    EXPECT_TRUE(Json::accept(json)) << json;
  }
}

TEST(Log, RefusesWhatIsNoLevelOrFormat) {
  EXPECT_FALSE(start_log("loud").ok());
  EXPECT_FALSE(start_log("info", "xml").ok());
}

}  // namespace
}  // namespace tacit::server
