// SPDX-License-Identifier: Apache-2.0
// Bodies that are made while they are sent, on real sockets: with curl, and with raw bytes where curl hides them.
#include "server/stream_sender.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "server/http_server.h"
#include "server/raw_socket.h"
#include "server/temporary_folder.h"

namespace tacit::server {
namespace {

using namespace std::chrono_literals;
using Ready = std::function<void(std::optional<Bytes>)>;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// A body whose pieces the test gives, from any thread.
class GivenBody : public BodyStream {
 public:
  void next(Ready ready) override {
    const std::lock_guard lock(mutex_);
    ++asked;
    ready_ = std::move(ready);
    give();
  }
  Bytes keep_alive() const override { return bytes_of(":\n"); }
  void cancel() override { ++cancelled; }

  void push(std::optional<Bytes> piece) {
    const std::lock_guard lock(mutex_);
    pieces_.push_back(std::move(piece));
    give();
  }
  std::atomic<int> asked = 0, cancelled = 0;

 private:
  void give() {
    if (!ready_ || pieces_.empty()) return;
    const Ready ready = std::exchange(ready_, nullptr);
    std::optional<Bytes> piece = std::move(pieces_.front());
    pieces_.pop_front();
    ready(std::move(piece));
  }
  std::mutex mutex_;
  Ready ready_;
  std::deque<std::optional<Bytes>> pieces_;
};

// "/stream" is answered with the body; everything else with "plain".
class StreamService : public Service {
 public:
  std::variant<Response, std::shared_ptr<Exchange>> open(RequestHead head) override {
    Response response;
    if (head.target == "/stream") {
      response.stream = body();
      response.fields.add("Content-Type", "text/event-stream");
    } else {
      response.body = bytes_of("plain");
    }
    ++opened;
    return response;
  }
  std::shared_ptr<GivenBody> body() {
    const std::lock_guard lock(mutex_);
    return body_;
  }
  // For the requests that follow; the one before.
  std::shared_ptr<GivenBody> exchange_body(std::shared_ptr<GivenBody> next = std::make_shared<GivenBody>()) {
    const std::lock_guard lock(mutex_);
    return std::exchange(body_, std::move(next));
  }
  std::atomic<int> opened = 0;

 private:
  std::mutex mutex_;
  std::shared_ptr<GivenBody> body_ = std::make_shared<GivenBody>();
};

bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
  return condition();
}

class StreamSenderTest : public testing::Test {
 protected:
  void start() {
    auto server = HttpServer::start(service_, options_);
    ASSERT_TRUE(server.ok()) << server.error().to_line();
    server_ = std::move(server).value();
  }
  static std::string request(const std::string& version = "1.1", const std::string& method = "GET") {
    return method + " /stream HTTP/" + version + "\r\nHost: x\r\n\r\n";
  }
  GivenBody& body() { return *service_.body(); }

  StreamService service_;
  HttpOptions options_;
  std::unique_ptr<HttpServer> server_;
};

// A curl that prints what comes at once (-N), and the status at the end.
struct Curl {
  explicit Curl(std::uint16_t port, const std::string& flags = "", const std::string& scheme = "http")
      : pipe(::popen(("curl -sN --max-time 60 " + flags + " -w '[%{http_code} %{exitcode}]' " + scheme +
                      "://127.0.0.1:" + std::to_string(port) + "/stream")
                         .c_str(),
                     "r")) {}
  ~Curl() {
    if (pipe != nullptr) ::pclose(pipe);
  }
  // Reads until `end` has come, or nothing comes any more.
  std::string read_until(const std::string& end) {
    for (int c = 0; !text.ends_with(end) && (c = std::fgetc(pipe)) != EOF;)
      text.push_back(static_cast<char>(c));
    return text;
  }
  std::FILE* pipe;
  std::string text;
};

TEST_F(StreamSenderTest, CurlGetsEachPieceWhenItIsThere) {
  start();
  for (const char* flags : {"", "--http1.0"}) {
    service_.exchange_body();
    Curl curl(server_->port(), flags);
    for (int i = 0; i < 5; ++i) {
      // Nothing follows before this one was read by curl, so it cannot have been kept back.
      body().push(bytes_of("event " + std::to_string(i) + "\n"));
      const std::string read = curl.read_until("event " + std::to_string(i) + "\n");
      EXPECT_TRUE(read.ends_with("event " + std::to_string(i) + "\n")) << read;
    }
    body().push(Bytes{});  // says nothing, and must not end the body
    body().push(bytes_of("last"));
    body().push(std::nullopt);
    EXPECT_TRUE(curl.read_until("]").ends_with("last[200 0]")) << curl.text;
    EXPECT_EQ(body().cancelled, 0);
  }
}

TEST_F(StreamSenderTest, LargePiecesArriveWhole) {
  start();
  std::string all;
  for (std::size_t size : {1u, 15u, 16u, 4095u, 65'536u, 3'000'000u}) {
    std::string piece(size, 'a');
    for (std::size_t i = 0; i < size; ++i) piece[i] = static_cast<char>('a' + i * 7 % 26);
    all += piece;
    body().push(bytes_of(piece));
  }
  body().push(std::nullopt);
  Curl curl(server_->port());
  EXPECT_EQ(curl.read_until("]"), all + "[200 0]");
}

TEST_F(StreamSenderTest, TheConnectionGoesOnAfterTheLastChunk) {
  start();
  RawSocket socket(server_->port());
  body().push(bytes_of("hello"));
  body().push(std::nullopt);
  socket.send(request());
  const auto head = socket.read_response();
  ASSERT_TRUE(head);
  EXPECT_NE(head->head.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << head->head;
  EXPECT_NE(head->head.find("Connection: keep-alive\r\n"), std::string::npos) << head->head;
  EXPECT_EQ(head->head.find("Content-Length"), std::string::npos) << head->head;
  EXPECT_EQ(socket.read_exactly(15), "5\r\nhello\r\n0\r\n\r\n");
  socket.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(socket.read_response().value_or(RawResponse{}).body, "plain");
}

TEST_F(StreamSenderTest, OldClientsGetTheBodyUntilTheEnd) {
  start();
  RawSocket socket(server_->port());
  body().push(bytes_of("hello"));
  body().push(std::nullopt);
  socket.send(request("1.0"));
  const auto head = socket.read_response();
  ASSERT_TRUE(head);
  EXPECT_EQ(head->head.find("Transfer-Encoding"), std::string::npos) << head->head;
  EXPECT_NE(head->head.find("Connection: close\r\n"), std::string::npos) << head->head;
  EXPECT_EQ(socket.read_exactly(5), "hello");
  EXPECT_TRUE(socket.closed_within(5));
}

TEST_F(StreamSenderTest, HeadAsksForNothing) {
  start();
  RawSocket socket(server_->port());
  socket.send(request("1.1", "HEAD"));
  ASSERT_TRUE(socket.read_response());
  EXPECT_TRUE(soon([&] { return body().cancelled == 1; }));
  EXPECT_EQ(body().asked, 0);
  socket.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(socket.read_response().value_or(RawResponse{}).body, "plain");
}

TEST_F(StreamSenderTest, SilenceIsFilled) {
  options_.timeouts.silence = 50ms;
  options_.timeouts.idle = 100ms;
  options_.timeouts.header = 100ms;
  start();
  RawSocket socket(server_->port());
  socket.send(request());
  ASSERT_TRUE(socket.read_response());
  EXPECT_EQ(socket.read_exactly(21), "2\r\n:\n\r\n2\r\n:\n\r\n2\r\n:\n\r\n");
  EXPECT_EQ(body().asked, 1) << "the piece that was asked for is still to come";
  body().push(bytes_of("x"));
  body().push(std::nullopt);
  std::string rest;
  while (!rest.ends_with("1\r\nx\r\n0\r\n\r\n")) {
    const std::string more = socket.read_exactly(1);
    ASSERT_FALSE(more.empty()) << rest;
    rest += more;
  }
}

TEST_F(StreamSenderTest, AClientThatHangsUpEndsTheBody) {
  start();
  {
    RawSocket socket(server_->port());
    socket.send(request());
    ASSERT_TRUE(socket.read_response());
    EXPECT_TRUE(soon([&] { return body().asked == 1; }));
    EXPECT_EQ(body().cancelled, 0);
  }
  EXPECT_TRUE(soon([&] { return body().cancelled == 1 && server_->connections() == 0; }));
  body().push(bytes_of("for nobody"));
  EXPECT_EQ(body().asked, 1);
}

TEST_F(StreamSenderTest, AClientThatDoesNotReadIsLeft) {
  options_.timeouts.body_grace = 200ms;
  options_.timeouts.body_rate = 1 << 30;
  start();
  RawSocket socket(server_->port());
  socket.send(request());
  for (int i = 0; i < 20; ++i) body().push(Bytes(4 << 20, 'x'));
  EXPECT_TRUE(soon([&] { return body().cancelled == 1 && server_->connections() == 0; }));
  EXPECT_LT(body().asked, 20) << "nothing is asked for before what came is sent";
}

TEST_F(StreamSenderTest, StoppingEndsTheBodyWhereItIs) {
  start();
  Curl curl(server_->port());
  body().push(bytes_of("first\n"));
  curl.read_until("first\n");
  RawSocket silent(server_->port());  // takes the stream too, and waits
  const auto other = std::make_shared<GivenBody>();
  const auto first = service_.exchange_body(other);
  silent.send(request());
  ASSERT_TRUE(silent.read_response());
  EXPECT_TRUE(server_->stop());
  EXPECT_TRUE(curl.read_until("]").ends_with("[200 0]")) << "the last chunk came: " << curl.text;
  EXPECT_TRUE(silent.closed_within(5));
  EXPECT_EQ(first->cancelled, 1);
  EXPECT_EQ(other->cancelled, 1);
  // What comes late finds nobody.
  server_.reset();
  first->push(bytes_of("late"));
  other->push(std::nullopt);
}

TEST_F(StreamSenderTest, AReaderThatStandsStillDoesNotHoldUpStopping) {
  options_.timeouts.shutdown = 60s;
  options_.timeouts.linger = 100ms;
  start();
  RawSocket socket(server_->port());
  socket.send(request());
  for (int i = 0; i < 20; ++i) body().push(Bytes(4 << 20, 'x'));
  ASSERT_TRUE(socket.read_response());
  ASSERT_TRUE(soon([&] { return body().asked >= 1; }));
  std::this_thread::sleep_for(100ms);
  std::atomic<bool> stopped = false;
  std::thread stopper([&] {
    EXPECT_TRUE(server_->stop());
    stopped = true;
  });
  EXPECT_TRUE(soon([&] { return stopped.load(); }));
  stopper.join();
  EXPECT_EQ(body().cancelled, 1);
}

TEST_F(StreamSenderTest, TheSameOverTls) {
  TemporaryFolder folder;
  const std::string path = folder.path().string();
  ASSERT_EQ(
      std::system(("/usr/bin/python3 -B " TACIT_SOURCE_DIR "/tests/support/certificates.py " + path).c_str()),
      0);
  options_.certificate = path + "/server.pem";
  options_.private_key = path + "/server.key";
  start();
  {
    Curl curl(server_->port(), "--cacert " + path + "/authority.pem", "https");
    for (const char* event : {"first\n", "second\n"}) {
      body().push(bytes_of(event));
      EXPECT_TRUE(curl.read_until(event).ends_with(event)) << curl.text;
    }
    body().push(Bytes(1 << 20, 'x'));
    body().push(std::nullopt);
    EXPECT_TRUE(curl.read_until("]").ends_with("x[200 0]"));
    EXPECT_EQ(body().cancelled, 0);
  }
  service_.exchange_body();
  Curl curl(server_->port(), "--cacert " + path + "/authority.pem --max-time 1", "https");
  EXPECT_TRUE(soon([&] { return body().cancelled == 1; })) << "a client that left was not noticed";
  EXPECT_EQ(body().asked, 1);
}

// Pieces and the end come from many threads while clients come and go.
TEST_F(StreamSenderTest, ManyStreamsAtOnce) {
  options_.max_connections_per_address = 256;
  start();
  constexpr int kRounds = 40;
  std::atomic<int> whole = 0;
  for (int round = 0; round < kRounds; ++round) {
    service_.exchange_body();
    const auto body = service_.body();
    RawSocket socket(server_->port());
    socket.send(request());
    ASSERT_TRUE(soon([&] { return service_.opened == round + 1; })) << "the next body is not for this one";
    std::thread maker([&] {
      for (int i = 0; i < 50; ++i) body->push(bytes_of("0123456789"));
      body->push(std::nullopt);
    });
    if (round % 2 == 0) {
      ASSERT_TRUE(socket.read_response());
      const std::string read = socket.read_exactly(50 * 15 + 5);
      whole += read.ends_with("\r\n0\r\n\r\n");
    }
    maker.join();
  }
  EXPECT_EQ(whole, kRounds / 2);
  EXPECT_TRUE(soon([&] { return server_->connections() == 0; }));
}

}  // namespace
}  // namespace tacit::server
