// SPDX-License-Identifier: Apache-2.0
// HTTP on real sockets, with raw bytes, in front of a service that repeats what it got.
#include "server/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "server/problem.h"
#include "server/raw_socket.h"

namespace tacit::server {
namespace {

using namespace std::chrono_literals;

// Answers a body with itself. "/refuse" is refused at the header, "/prefix" shows its first 4 bytes and is refused where
// they are "stop", "/slow" is answered after release() or cancel().
class EchoService : public Service {
 public:
  std::variant<Response, std::shared_ptr<Exchange>> open(RequestHead head) override {
    ++opened;
    last_method = std::string(to_string(head.method));
    if (head.transfer_encoding) return problem_response({ErrorCode::kLengthRequired, "no chunks"}, "");
    if (head.target == "/refuse") return problem_response({ErrorCode::kModelUnknown, "no"}, "");
    if (head.content_length.value_or(0) > 1 << 20)
      return problem_response({ErrorCode::kDataTooLarge, "no"}, "");
    return std::make_shared<Echo>(*this, std::move(head));
  }
  void release() {
    std::vector<std::function<void()>> waiting;
    {
      const std::lock_guard lock(mutex);
      waiting.swap(slow);
    }
    for (const auto& answer : waiting) answer();
  }
  bool wait_for(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    return condition();
  }
  std::size_t slow_count() {
    const std::lock_guard lock(mutex);
    return slow.size();
  }

  std::atomic<int> opened = 0, cancelled = 0;
  std::string last_method;  // read it after the answer
  std::mutex mutex;
  std::vector<std::function<void()>> slow;

 private:
  struct Echo : Exchange {
    Echo(EchoService& s, RequestHead h) : service(s), head(std::move(h)) {}
    std::uint64_t body_bytes() const override { return head.content_length.value_or(0); }
    std::size_t prefix_bytes() const override { return head.target == "/prefix" ? 4 : 0; }
    std::optional<Response> inspect(ByteView prefix) override {
      if (as_text(prefix) != "stop") return std::nullopt;
      return problem_response({ErrorCode::kDataMalformed, "stopped"}, "");
    }
    void run(Bytes body, std::function<void(Response)> done) override {
      auto answer = [body = std::move(body), done] { done({.status = 200, .fields = {}, .body = body}); };
      if (head.target != "/slow") return answer();
      const std::lock_guard lock(service.mutex);
      service.slow.push_back(answer);
    }
    void cancel() override {
      ++service.cancelled;
      service.release();
    }
    EchoService& service;
    RequestHead head;
  };
};

class HttpServerTest : public testing::Test {
 protected:
  void start() {
    auto server = HttpServer::start(service_, options_);
    ASSERT_TRUE(server.ok()) << server.error().to_line();
    server_ = std::move(server).value();
  }
  // The status of the first answer to these bytes; 0 where the connection ends without one.
  int status_of_bytes(std::string_view bytes) {
    RawSocket socket(server_->port());
    socket.send(bytes);
    const auto response = socket.read_response(5);
    return response ? response->status : 0;
  }
  bool alive() { return status_of_bytes("GET /x HTTP/1.1\r\nHost: x\r\n\r\n") == 200; }
  void TearDown() override {
    service_.release();
    server_.reset();
  }

  EchoService service_;
  HttpOptions options_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersOneRequestAfterTheOther) {
  start();
  RawSocket socket(server_->port());
  for (int i = 0; i < 3; ++i) {
    const std::string body(static_cast<std::size_t>(1000 * i), 'x');
    socket.send("POST /x HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    const auto response = socket.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, body);
    EXPECT_NE(response->head.find("X-Request-Id: abc\r\n"), std::string::npos);
    EXPECT_NE(response->head.find("Connection: keep-alive\r\n"), std::string::npos);
    EXPECT_NE(response->head.find("Date: "), std::string::npos);
  }
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  RawSocket socket(server_->port());
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    requests += "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n" + std::to_string(100 + i);
  }
  socket.send(requests);
  for (int i = 0; i < 50; ++i) {
    const auto response = socket.read_response();
    ASSERT_TRUE(response) << i;
    EXPECT_EQ(response->body, std::to_string(100 + i));
  }
}

TEST_F(HttpServerTest, HeadHasNoBodyAndOldClientsGetOneAnswer) {
  start();
  RawSocket socket(server_->port());
  socket.send("HEAD /refuse HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = socket.read_response(5, true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 404);
  EXPECT_EQ(head->head.find("Content-Length: 0\r\n"), std::string::npos);
  socket.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto next = socket.read_response();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->status, 200);

  RawSocket old(server_->port());
  old.send("GET /x HTTP/1.0\r\n\r\n");
  const auto response = old.read_response();
  ASSERT_TRUE(response);
  EXPECT_NE(response->head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(old.closed_within(5));
}

TEST_F(HttpServerTest, WhatIsNotHttpIsRefused) {
  using namespace std::string_view_literals;  // which count NUL bytes in
  start();
  for (const std::string_view bytes : {
           "\r\n\r\n\r\n"sv,
           "GET\r\n\r\n"sv,
           "GET /\r\n\r\n"sv,
           "GET / HTTP/9.9x\r\n\r\n"sv,
           "GET / HTTP/1.1\r\nHost\r\n\r\n"sv,
           "GET / HTTP/1.1\r\n: x\r\n\r\n"sv,
           "GET / HTTP/1.1\r\nHost : x\r\n\r\n"sv,
           "G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n"sv,
           "\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\r\n\r\n"sv,
           "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"sv,
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"sv,
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"sv,
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n\r\n"sv,
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n"sv,
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"sv,
       }) {
    EXPECT_EQ(status_of_bytes(bytes), 400) << bytes;
  }
  EXPECT_EQ(service_.opened, 0);
  EXPECT_TRUE(alive());
}

TEST_F(HttpServerTest, HeadersHaveALimit) {
  start();
  EXPECT_EQ(status_of_bytes("GET /" + std::string(kMaxHeaderBytes, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"),
            431);
  EXPECT_EQ(
      status_of_bytes("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(kMaxHeaderBytes, 'a') + "\r\n\r\n"),
      431);
  EXPECT_EQ(status_of_bytes("GET / HTTP/1.1\r\nHost: x\r\n" + std::string(1 << 20, 'a')), 431);
  EXPECT_TRUE(alive());
}

TEST_F(HttpServerTest, BodiesAreRefusedBeforeTheyAreRead) {
  start();
  for (const char* length : {"1048577", "9223372036854775808", "18446744073709551615"}) {
    RawSocket socket(server_->port());
    socket.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::string(length) + "\r\n\r\nfew");
    const auto response = socket.read_response(5);
    ASSERT_TRUE(response) << length;
    EXPECT_EQ(response->status, 413) << length;
    EXPECT_TRUE(socket.closed_within(5));
  }
  EXPECT_EQ(status_of_bytes(
                "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            411);
  EXPECT_EQ(status_of_bytes("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"), 411);
}

TEST_F(HttpServerTest, ARefusedClientCanReadTheAnswerWhileItSends) {
  start();
  RawSocket socket(server_->port());
  socket.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n");
  const std::string part(100'000, 'x');
  for (int i = 0; i < 10; ++i) socket.send(part);
  const auto response = socket.read_response(5);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 413);
}

TEST_F(HttpServerTest, AShortRefusedBodyDoesNotCostTheConnection) {
  start();
  RawSocket socket(server_->port());
  socket.send(
      "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloPOST /x HTTP/1.1\r\nHost: x\r\n"
      "Content-Length: 3\r\n\r\nabc");
  const auto refused = socket.read_response(), answered = socket.read_response();
  ASSERT_TRUE(refused && answered);
  EXPECT_EQ(refused->status, 404);
  EXPECT_EQ(answered->body, "abc");
}

TEST_F(HttpServerTest, AnnouncedBodiesAreAskedForOrRefused) {
  start();
  RawSocket socket(server_->port());
  socket.send("POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  const auto go_on = socket.read_response();
  ASSERT_TRUE(go_on);
  EXPECT_EQ(go_on->status, 100);
  socket.send("body");
  EXPECT_EQ(socket.read_response()->body, "body");

  RawSocket other(server_->port());
  other.send("POST /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  const auto refusal = other.read_response();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 404);
  EXPECT_TRUE(other.closed_within(5));
}

TEST_F(HttpServerTest, AServiceSeesTheBeginningFirst) {
  start();
  RawSocket socket(server_->port());
  socket.send("PUT /prefix HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nst");
  EXPECT_FALSE(socket.read_response(0.2));
  socket.send("op");
  const auto response = socket.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 422);
  EXPECT_EQ(status_of_bytes("PUT /prefix HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\ngo on!"), 200);
}

TEST_F(HttpServerTest, SlowClientsAreLeft) {
  options_.timeouts.idle = 300ms;
  options_.timeouts.header = 300ms;
  options_.timeouts.body_grace = 300ms;
  options_.timeouts.body_rate = 1 << 20;
  start();
  RawSocket idle(server_->port());
  EXPECT_TRUE(idle.closed_within(3));

  RawSocket header(server_->port());
  header.send("GET / HTTP/1.1\r\nHo");
  const auto late_header = header.read_response(3);
  ASSERT_TRUE(late_header);
  EXPECT_EQ(late_header->status, 408);

  RawSocket dripping(server_->port());
  bool sent = true;
  int drops = 0;
  for (; sent && drops < 30; ++drops) {
    sent = dripping.send(drops == 0 ? "GET / HTTP/1.1\r\n" : "A: b\r\n");
    std::this_thread::sleep_for(50ms);
    if (drops == 20) { EXPECT_EQ(dripping.read_response(1).value_or(RawResponse{}).status, 408); }
  }

  RawSocket body(server_->port());
  body.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
  const auto late_body = body.read_response(3);
  ASSERT_TRUE(late_body);
  EXPECT_EQ(late_body->status, 408);
  EXPECT_TRUE(body.closed_within(3));
  EXPECT_TRUE(alive());
}

TEST_F(HttpServerTest, ManyStalledClientsDoNotStopOthers) {
  options_.max_connections_per_address = 256;
  start();
  std::vector<std::unique_ptr<RawSocket>> stalled;
  for (int i = 0; i < 200; ++i) {
    stalled.push_back(std::make_unique<RawSocket>(server_->port()));
    stalled.back()->send(i % 2 == 0 ? "GET / HT"
                                    : "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nab");
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(alive());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(HttpServerTest, TooManyConnectionsAreTurnedAway) {
  options_.max_connections = 3;
  start();
  std::vector<std::unique_ptr<RawSocket>> open;
  for (int i = 0; i < 3; ++i) {
    open.push_back(std::make_unique<RawSocket>(server_->port()));
    open.back()->send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(open.back()->read_response());
  }
  RawSocket refused(server_->port());
  const auto response = refused.read_response(5);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 503);
  EXPECT_NE(response->head.find("Retry-After: "), std::string::npos);
  open.clear();
  EXPECT_TRUE(service_.wait_for([&] { return server_->connections() == 0; }));
  EXPECT_TRUE(alive());
}

// Those who are told so must not take the places of others.
TEST_F(HttpServerTest, AnAddressHasSoManyConnections) {
  options_.max_connections = 6;
  options_.max_connections_per_address = 2;
  start();
  std::vector<std::unique_ptr<RawSocket>> open;
  for (int i = 0; i < 2; ++i) {
    open.push_back(std::make_unique<RawSocket>(server_->port()));
    open.back()->send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(open.back()->read_response());
  }
  std::vector<std::unique_ptr<RawSocket>> refused;
  for (int i = 0; i < 10; ++i) {
    refused.push_back(std::make_unique<RawSocket>(server_->port()));
    const auto response = refused.back()->read_response(5);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 503);
    EXPECT_NE(response->body.find("server.busy"), std::string::npos);
    EXPECT_NE(response->body.find("of this address"), std::string::npos);
  }
  RawSocket elsewhere(server_->port(), "127.0.0.2");
  elsewhere.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(elsewhere.read_response(5).value_or(RawResponse{}).status, 200);
  open.clear();
  EXPECT_TRUE(service_.wait_for([&] { return alive(); }));
}

TEST_F(HttpServerTest, MethodsAreToldApart) {
  start();
  for (const char* method : {"GET", "PUT", "POST", "DELETE", "PATCH"}) {
    const std::string request = std::string(method) + " /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    EXPECT_EQ(status_of_bytes(request), 200) << method;
    EXPECT_EQ(service_.last_method, std::string_view(method) == "PATCH" ? "OTHER" : method);
  }
}

TEST_F(HttpServerTest, AClientThatHangsUpCancelsItsRun) {
  start();
  {
    RawSocket socket(server_->port());
    socket.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(service_.wait_for([&] { return service_.slow_count() == 1; }));
    EXPECT_EQ(service_.cancelled, 0);
  }
  EXPECT_TRUE(service_.wait_for([&] { return service_.cancelled == 1; }));
  EXPECT_TRUE(alive());
}

TEST_F(HttpServerTest, StoppingLetsRunningRequestsFinish) {
  start();
  RawSocket idle(server_->port()), busy(server_->port());
  idle.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(idle.read_response());
  busy.send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(service_.wait_for([&] { return service_.slow_count() == 1; }));
  std::thread stopper([&] { EXPECT_TRUE(server_->stop()); });
  EXPECT_TRUE(idle.closed_within(5));
  service_.release();
  const auto response = busy.read_response(5);
  stopper.join();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "ok");
  EXPECT_NE(response->head.find("Connection: close"), std::string::npos);
  EXPECT_EQ(service_.cancelled, 0);
  EXPECT_FALSE(RawSocket(server_->port()).connected());
}

TEST_F(HttpServerTest, StoppingCancelsWhatTakesTooLong) {
  options_.timeouts.shutdown = 200ms;
  start();
  RawSocket busy(server_->port());
  busy.send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(service_.wait_for([&] { return service_.slow_count() == 1; }));
  EXPECT_TRUE(server_->stop());
  EXPECT_EQ(service_.cancelled, 1);
  EXPECT_EQ(busy.read_response(1).value_or(RawResponse{}).status, 200);
}

TEST_F(HttpServerTest, AddressesAreUnderstood) {
  HttpOptions options;
  ASSERT_TRUE(parse_address("127.0.0.1:8080", options).ok());
  EXPECT_EQ(options.host, "127.0.0.1");
  EXPECT_EQ(options.port, 8080);
  ASSERT_TRUE(parse_address("[::1]:0", options).ok());
  EXPECT_EQ(options.host, "::1");
  ASSERT_TRUE(parse_address(":80", options).ok());
  EXPECT_EQ(options.host, "0.0.0.0");
  for (const char* text :
       {"", "localhost", "localhost:", "localhost:x", "localhost:65536", "::1:80", "a:-1"}) {
    EXPECT_EQ(parse_address(text, options).error().code, ErrorCode::kInvalidArgument) << text;
  }
  start();
  options = {};
  options.port = server_->port();
  EXPECT_EQ(HttpServer::start(service_, options).error().code, ErrorCode::kListen);
  options.host = "no-such-host.invalid";
  EXPECT_EQ(HttpServer::start(service_, options).error().code, ErrorCode::kListen);
}

}  // namespace
}  // namespace tacit::server
