// SPDX-License-Identifier: Apache-2.0
#include "server/http_types.h"

#include <gtest/gtest.h>

#include <set>

#include "server/application.h"
#include "server/limits.h"

namespace tacit::server {
namespace {

TEST(HttpTypes, FieldNamesCompareWithoutCase) {
  Fields fields;
  fields.add("Content-Type", "a");
  fields.add("content-type", "b");
  EXPECT_EQ(fields.find("CONTENT-TYPE"), "a");
  EXPECT_EQ(fields.find("Content-Typ"), std::nullopt);
  EXPECT_EQ(fields.size(), 2u);
}

TEST(HttpTypes, NumbersHaveNoSignAndFit) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("18446744073709551615"), ~std::uint64_t{0});
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "0x10", "1e3", "18446744073709551616", "1,2"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(HttpTypes, RequestIdsAreShortAndPlain) {
  EXPECT_TRUE(is_request_id("a-Z.09_"));
  EXPECT_TRUE(is_request_id(std::string(kMaxRequestIdBytes, 'x')));
  for (const std::string& text : {std::string(), std::string(kMaxRequestIdBytes + 1, 'x'), std::string("a b"),
                                  std::string("a\r\nX: y"), std::string("\xC3\xA9")}) {
    EXPECT_FALSE(is_request_id(text)) << text;
  }
  std::set<std::string> made;
  for (int i = 0; i < 1000; ++i) {
    made.insert(make_request_id());
    EXPECT_TRUE(is_request_id(*made.begin()));
  }
  EXPECT_EQ(made.size(), 1000u);
}

TEST(HttpTypes, SerialisesAHead) {
  Response response;
  response.status = 404;
  response.fields.add("Content-Type", "x/y");
  response.body = {1, 2, 3};
  AnswerHead about{"id", "now", true};
  EXPECT_EQ(serialise_head(response, about),
            "HTTP/1.1 404 Not Found\r\nDate: now\r\nX-Request-Id: id\r\nContent-Type: x/y\r\nCache-Control: "
            "no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
            "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n");
  response.fields.add("cache-control", "no-cache");
  about.tls = true;
  std::string head = serialise_head(response, about);
  EXPECT_EQ(head.find("no-store"), std::string::npos) << "the route says it better";
  EXPECT_NE(head.find("Strict-Transport-Security: max-age=31536000\r\n"), std::string::npos);
  about.framing = Framing::kChunked;
  head = serialise_head(response, about);
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  response.status = 304;
  response.body.clear();
  head = serialise_head(response, {"id", "now"});
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
}

RequestHead plain_head() {
  RequestHead head;
  head.target = "/v2";
  head.fields.add("Host", "x");
  return head;
}

TEST(CheckHead, RefusesWhatNoRouteTakes) {
  EXPECT_TRUE(check_head(plain_head()).ok());
  auto code = [](const RequestHead& head) { return check_head(head).error().code; };

  RequestHead head = plain_head();
  for (std::size_t i = 1; i < kMaxHeaderFields; ++i) head.fields.add("X-" + std::to_string(i), "y");
  EXPECT_TRUE(check_head(head).ok());
  head.fields.add("X-Last", "y");
  EXPECT_EQ(code(head), ErrorCode::kHeadersTooLarge);

  head = plain_head();
  head.transfer_encoding = true;
  EXPECT_EQ(code(head), ErrorCode::kLengthRequired);

  head = plain_head();
  head.fields.add("content-encoding", "gzip");
  EXPECT_EQ(code(head), ErrorCode::kMediaType);

  head = plain_head();
  head.fields.add("Expect", "100-Continue");
  EXPECT_TRUE(check_head(head).ok());
  head = plain_head();
  head.fields.add("Expect", "miracles");
  EXPECT_EQ(code(head), ErrorCode::kExpectation);

  head = plain_head();
  head.version = 20;
  EXPECT_EQ(code(head), ErrorCode::kHttpVersion);

  head = plain_head();
  head.fields = {};
  EXPECT_EQ(code(head), ErrorCode::kRequestMalformed);
  head.version = 10;
  EXPECT_TRUE(check_head(head).ok());
}

}  // namespace
}  // namespace tacit::server
