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

#include "server/limits.h"
#include "server/service.h"

namespace tacit::server {

class Connection;

// What the connections of a server share.
struct ConnectionHub {
  Service& service;
  const Timeouts timeouts;
  std::atomic<bool> stopping = false;

  std::mutex mutex;
  std::condition_variable changed;
  std::set<Connection*> open;  // guarded by mutex
  std::size_t owed = 0;        // guarded by mutex: answers that the service has not given yet
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  // The socket's executor must be a strand of its own; every function but the constructor runs on it.
  Connection(Socket socket, ConnectionHub& hub);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Answers requests until the client or the server ends the connection.
  boost::asio::awaitable<void> serve();
  // Tells the client that there are too many connections.
  boost::asio::awaitable<void> turn_away();

  auto executor() { return socket_.get_executor(); }
  // Ends a connection on which no request is being received or answered.
  void close_if_idle();
  // Cancels the request that is being answered, and ends the connection unless an answer is owed.
  void abort();

 private:
  using Clock = std::chrono::steady_clock;
  struct Answer;
  // For the log.
  struct Account {
    std::string line;  // id, method, path
    Clock::time_point start;
    std::uint64_t received = 0;
  };

  boost::asio::awaitable<bool> serve_one();
  boost::asio::awaitable<bool> answer(RequestHead head, bool client_keeps, bool expects_continue);
  boost::asio::awaitable<std::optional<Response>> receive_body(Exchange& exchange, Bytes& body);
  boost::asio::awaitable<bool> receive_until(Bytes& body, std::uint64_t size);
  boost::asio::awaitable<std::optional<Response>> run(std::shared_ptr<Exchange> exchange, Bytes body);
  boost::asio::awaitable<bool> discard_body();
  boost::asio::awaitable<bool> write(const Response& response, std::string_view id, bool head_only,
                                     bool keep);
  boost::asio::awaitable<bool> write_refusal(const Response& response);
  boost::asio::awaitable<void> linger();
  void watch_for_hangup(std::shared_ptr<Answer> answer);

  // Cancels what the socket is doing after `time`; timed_out_ then says why.
  void arm(milliseconds time);
  void disarm();
  void log(int status, std::uint64_t sent) const;

  Socket socket_;
  ConnectionHub& hub_;
  boost::asio::steady_timer deadline_;
  boost::beast::flat_buffer buffer_;
  std::string peer_;
  Account account_;
  bool idle_ = true;
  bool timed_out_ = false;
  std::uint64_t unread_ = 0;  // bytes of the current body that have not been read
  Clock::time_point body_start_;
  std::shared_ptr<Answer> pending_;  // while the service works
};

}  // namespace tacit::server
