// SPDX-License-Identifier: Apache-2.0
// One client's connection. Private to http_server: everything that includes this is slow to compile.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>

#include "server/connection_limits.h"
#include "server/http_head.h"
#include "server/http_stream.h"
#include "server/limits.h"
#include "server/service.h"
#include "server/stream_sender.h"

namespace tacit::server {

class Connection;

// What the connections of a server share.
struct ConnectionHub {
  Service& service;
  const Timeouts timeouts;
  std::atomic<bool> stopping = false;
  ConnectionLimits limits;

  std::mutex mutex;
  std::condition_variable changed;
  std::set<Connection*> open;  // guarded by mutex
  std::size_t owed = 0;        // guarded by mutex: answers that the service has not given yet
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `stream`'s executor must be a strand of its own; every function but the constructor runs on it. The hub's limits have given
  // `place` to `address`.
  Connection(std::shared_ptr<HttpStream> stream, const boost::asio::ip::address& address,
             ConnectionLimits::Place place, ConnectionHub& hub);
  ~Connection();
  // Makes it one of hub.open until it ends. Called once, when there is a shared_ptr to it.
  void join();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Answers requests until the client or the server ends the connection, or tells the client that there are too many.
  boost::asio::awaitable<void> live();

  auto executor() { return stream_->executor(); }
  // Ends a connection on which no request is being received or answered, and a body that is made while it is sent.
  void wind_down();
  // Cancels the request that is being answered, and ends the connection unless an answer is owed.
  void abort();

 private:
  using Clock = std::chrono::steady_clock;
  struct Answer;
  class Debt;
  // For the log.
  struct Account {
    std::string id;
    Clock::time_point start;
    std::string_view method = "-";
    std::string path = "-";
    AnsweredRequest request;
  };

  boost::asio::awaitable<void> turn_away();
  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> read_head(HeadReader& reader);
  boost::asio::awaitable<bool> answer(const HeadReader& reader);
  boost::asio::awaitable<std::optional<Response>> receive_body(Exchange& exchange, Bytes& body);
  boost::asio::awaitable<bool> receive_until(Bytes& body, std::uint64_t size);
  boost::asio::awaitable<std::optional<Response>> run(std::shared_ptr<Exchange> exchange, Bytes body);
  boost::asio::awaitable<bool> discard_body();
  boost::asio::awaitable<bool> write(const Response& response, std::string_view id, bool head_only,
                                     bool keep);
  boost::asio::awaitable<bool> write_stream(std::shared_ptr<BodyStream> body, bool chunked, int status);
  boost::asio::awaitable<void> refuse(Error error);
  void log(int status, std::uint64_t sent) const;

  const std::shared_ptr<HttpStream> stream_;
  const boost::asio::ip::address address_;
  ConnectionHub& hub_;
  const ConnectionLimits::Place place_;
  boost::beast::flat_buffer buffer_;
  Account account_;
  bool idle_ = true;
  std::uint64_t unread_ = 0;  // bytes of the current body that have not been read
  Clock::time_point body_start_;
  int version_ = 11;                 // of HTTP, times 10, that the client speaks
  std::shared_ptr<Answer> pending_;  // while the service works
  std::weak_ptr<StreamSender> sender_;
};

}  // namespace tacit::server
