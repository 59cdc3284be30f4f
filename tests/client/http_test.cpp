// SPDX-License-Identifier: Apache-2.0
#include "client/http.h"

#include <gtest/gtest.h>

#include "client/socket_server.h"

namespace tacit::client {
namespace {

using std::chrono::milliseconds;
using test::RawReply;
using test::RawRequest;
using test::reply;
using test::SocketServer;

// Short enough for a test; libcurl looks at the clock about once a second.
const HttpOptions kImpatient{milliseconds(1000), milliseconds(300), milliseconds(300), 1 << 20};

Result<HttpResponse> get(const std::string& url, const std::string& path, const HttpOptions& options = {}) {
  TACIT_TRY(HttpClient client, HttpClient::create(url, options));
  HttpRequest request;
  request.path = path;
  return client.send(request);
}

TEST(Http, RefusesWhatIsNotAnAddress) {
  for (const char* url :
       {"", "localhost:8080", "ftp://host", "file:///etc/passwd", "http://", "http://a b",
        "http://user:pass@host", "http://host/?query=1", "http://host/#part", "http://host:99999"}) {
    auto client = HttpClient::create(url);
    ASSERT_FALSE(client.ok()) << url;
    EXPECT_EQ(client.error().code, ErrorCode::kInvalidArgument) << url;
  }
  for (const char* url :
       {"http://host", "http://127.0.0.1:8080", "https://example.org/tacit/", "http://[::1]:1"}) {
    EXPECT_TRUE(HttpClient::create(url).ok()) << url;
  }
  EXPECT_EQ(HttpClient::create("http://host:1/base//")->url(), "http://host:1/base");
}

TEST(Http, GivesStatusFieldsAndBody) {
  SocketServer server([](const RawRequest&) {
    return reply(418, std::string("a\0b", 3), "X-Thing:  some value \r\nX-Thing-Two: 2\r\n");
  });
  auto response = get(server.url(), "/v2/x");
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 418);
  EXPECT_FALSE(response->ok());
  EXPECT_EQ(response->headers["x-thing"], "some value");
  EXPECT_EQ(response->headers["x-thing-two"], "2");
  EXPECT_EQ(as_text(response->body), std::string_view("a\0b", 3));
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].method, "GET");
  EXPECT_EQ(server.requests()[0].path, "/v2/x");
}

TEST(Http, SendsABodyWithItsFieldsAndTellsProgressOnOneConnection) {
  SocketServer server(
      [](const RawRequest& request) { return reply(200, std::to_string(request.body.size())); });
  auto client = HttpClient::create(server.url());
  ASSERT_TRUE(client.ok());
  Bytes body(3'000'000);
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<std::uint8_t>(i * 31 >> 3);
  for (const char* method : {"PUT", "POST"}) {
    HttpRequest request;
    request.method = method;
    request.path = "/put";
    request.headers = {{"Content-Type", "application/octet-stream"}, {"X-A", "b"}};
    request.body = body;
    std::uint64_t last = 0;
    request.on_upload = [&](std::uint64_t done, std::uint64_t total) {
      EXPECT_GE(done, last);
      EXPECT_EQ(total, body.size());
      last = done;
    };
    auto response = client->send(request);
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(as_text(response->body), "3000000");
    EXPECT_EQ(last, body.size());
    RawRequest seen = server.requests().back();
    EXPECT_EQ(seen.method, method);
    EXPECT_EQ(seen.body, as_text(body));
    EXPECT_NE(seen.head.find("X-A: b\r\n"), std::string::npos);
    EXPECT_EQ(seen.head.find("Expect:"), std::string::npos) << "the body must not wait for a 100";
  }
  HttpRequest plain;
  plain.path = "/get";
  ASSERT_TRUE(client->send(plain).ok());
  EXPECT_EQ(server.requests().back().method, "GET") << "nothing is left of the requests before";
  EXPECT_EQ(server.requests().back().body, "");
  EXPECT_EQ(server.connections(), 1u);
}

TEST(Http, AServerThatIsDownIsUnreachableWithItsAddress) {
  std::string url = test::nobodys_url();
  auto response = get(url, "/");
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kServerUnreachable);
  EXPECT_NE(response.error().message.find(url), std::string::npos) << response.error().message;
  EXPECT_NE(response.error().message.find("tacitd"), std::string::npos) << "says what to do";
  EXPECT_EQ(response.error().message.find('\n'), std::string::npos);
}

TEST(Http, AHostThatDoesNotExistIsUnreachable) {
  auto response = get("http://no-such-host.invalid:80", "/");
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kServerUnreachable);
}

TEST(Http, ASlowAnswerTimesOut) {
  SocketServer server([](const RawRequest&) {
    RawReply slow = reply(200, "late");
    slow.delay = milliseconds(20'000);
    return slow;
  });
  auto start = std::chrono::steady_clock::now();
  auto response = get(server.url(), "/", kImpatient);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kServerTimeout);
  EXPECT_NE(response.error().message.find("300 ms"), std::string::npos) << response.error().message;
}

TEST(Http, APatientClientWaitsForASlowAnswer) {
  SocketServer server([](const RawRequest&) {
    RawReply slow = reply(200, "late");
    slow.delay = milliseconds(1500);
    return slow;
  });
  HttpOptions options = kImpatient;
  options.answer = milliseconds(20'000);
  auto response = get(server.url(), "/", options);
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(as_text(response->body), "late");
}

TEST(Http, AnAnswerThatStopsHalfwayIsAnError) {
  SocketServer closing([](const RawRequest&) {
    return RawReply{"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this", true};
  });
  auto truncated = get(closing.url(), "/");
  ASSERT_FALSE(truncated.ok());
  EXPECT_EQ(truncated.error().code, ErrorCode::kServerUnreachable);

  SocketServer silent([](const RawRequest&) { return RawReply{"", true}; });
  auto nothing = get(silent.url(), "/");
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().code, ErrorCode::kServerUnreachable);

  SocketServer stalling([](const RawRequest&) {
    return RawReply{"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this", false};
  });
  auto stalled = get(stalling.url(), "/", kImpatient);
  ASSERT_FALSE(stalled.ok());
  EXPECT_EQ(stalled.error().code, ErrorCode::kServerTimeout);
}

TEST(Http, WhatIsNotHttpIsAProtocolError) {
  SocketServer server([](const RawRequest&) { return RawReply{"220 mail.example.org ESMTP\r\n", true}; });
  auto response = get(server.url(), "/");
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kServerProtocol) << response.error().message;
}

TEST(Http, AnAnswerBeyondTheLimitIsRefused) {
  SocketServer server([](const RawRequest&) { return reply(200, std::string((1 << 20) + 1, 'x')); });
  auto response = get(server.url(), "/", kImpatient);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code, ErrorCode::kDataTooLarge);
  HttpOptions roomier = kImpatient;
  roomier.max_answer_bytes = (1 << 20) + 1;
  EXPECT_TRUE(get(server.url(), "/", roomier).ok());
}

TEST(Http, ATokenGoesWithEveryRequest) {
  SocketServer server([](const RawRequest&) { return reply(200, ""); });
  HttpOptions options;
  options.token = "tacit_0123_abc-DEF";
  for (const char* method : {"GET", "PUT"}) {
    auto client = HttpClient::create(server.url(), options);  // the server talks to one at a time
    ASSERT_TRUE(client.ok());
    HttpRequest request;
    request.method = method;
    request.path = "/";
    ASSERT_TRUE(client->send(request).ok());
    EXPECT_NE(server.requests().back().head.find("Authorization: Bearer tacit_0123_abc-DEF\r\n"),
              std::string::npos);
  }
  ASSERT_TRUE(get(server.url(), "/").ok());
  EXPECT_EQ(server.requests().back().head.find("Authorization"), std::string::npos);
}

TEST(Http, TokensAreOneLineOfVisibleCharacters) {
  EXPECT_TRUE(check_token("tacit_0123_abc-DEF").ok());
  EXPECT_TRUE(check_token(std::string(512, 'x')).ok());
  for (const std::string& text :
       {std::string(), std::string(513, 'x'), std::string("a b"), std::string("a\nB: c"), std::string("a\r"),
        std::string("\xC3\xA9"), std::string("a\0b", 3)}) {
    const Status status = check_token(text);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    if (text.size() > 1) { EXPECT_EQ(status.error().message.find(text), std::string::npos); }
  }
}

TEST(Http, RedirectsAreNotFollowed) {
  SocketServer server(
      [](const RawRequest&) { return reply(302, "", "Location: http://127.0.0.1:1/elsewhere\r\n"); });
  auto response = get(server.url(), "/");
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(refusal(*response, server.url()).code, ErrorCode::kServerProtocol);
}

HttpResponse answered(int status, std::string_view body) {
  return {status, {}, Bytes(as_bytes(body).begin(), as_bytes(body).end())};
}

TEST(Refusal, KeepsTheServersCodeAndDetail) {
  Error error =
      refusal(answered(404, R"({"status":404,"title":"T","detail":"no set 77","code":"keys.unknown"})"), "u");
  EXPECT_EQ(error.code, ErrorCode::kKeyUnknown);
  EXPECT_NE(error.message.find("no set 77"), std::string::npos);

  Error titled = refusal(answered(503, R"({"title":"Busy","code":"memory.exhausted"})"), "u");
  EXPECT_EQ(titled.code, ErrorCode::kOutOfMemory);
  EXPECT_NE(titled.message.find("Busy"), std::string::npos);

  Error token = refusal(answered(401, R"({"detail":"d","code":"auth.required"})"), "u");
  EXPECT_EQ(token.code, ErrorCode::kAuthentication);
  EXPECT_NE(token.message.find("TACIT_TOKEN"), std::string::npos) << "says what to do";

  Error unknown = refusal(answered(400, R"({"detail":"d","code":"brand.new"})"), "u");
  EXPECT_EQ(unknown.code, ErrorCode::kServerError);
  EXPECT_NE(unknown.message.find("brand.new: d"), std::string::npos);
}

TEST(Refusal, AnythingElseIsAProtocolErrorInOneLine) {
  for (const char* body : {"", "<html>\n502</html>", "[1]", "{}", R"({"code":7})", "\xff\xfe"}) {
    Error error = refusal(answered(502, body), "http://h:1");
    EXPECT_EQ(error.code, ErrorCode::kServerProtocol) << body;
    EXPECT_NE(error.message.find("502"), std::string::npos);
    EXPECT_NE(error.message.find("http://h:1"), std::string::npos);
    EXPECT_EQ(error.message.find('\n'), std::string::npos);
  }
}

TEST(Refusal, TextFromAServerCannotDriveTheTerminal) {
  Error error = refusal(answered(400, R"({"code":"json.malformed","detail":"a\u001b[2Jb\r\nc"})"), "u");
  EXPECT_EQ(error.code, ErrorCode::kJsonMalformed);
  for (char c : error.message) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  EXPECT_EQ(server_text(std::string(1000, 'x')).size(), 403u);
  EXPECT_EQ(server_text("a\tb\x7f"), "a?b?");
  EXPECT_EQ(server_text("\xC2\x9B"
                        "2J"),
            "??2J");  // the one-character form of ESC [
}

}  // namespace
}  // namespace tacit::client
