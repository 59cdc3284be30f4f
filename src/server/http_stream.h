// SPDX-License-Identifier: Apache-2.0
// The bytes of one connection, plain or in TLS, with a time limit. Private to http_server, as it is slow to compile.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "server/limits.h"
#include "server/tls.h"

namespace tacit::server {

class HttpStream : public std::enable_shared_from_this<HttpStream> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Failure = boost::system::error_code;
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;

  // The socket's executor must be a strand of its own; every function but the constructor runs on it. Plain where `tls` is
  // null.
  HttpStream(Socket socket, const std::shared_ptr<const TlsContext>& tls);
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  bool is_tls() const { return tls_ != nullptr; }
  auto executor() { return socket_.get_executor(); }

  // From now on operations fail after `time`, and timed_out() says why.
  void arm(milliseconds time);
  void disarm();
  bool timed_out() const { return timed_out_; }

  // Nothing to do for a plain connection. Else the reason why no TLS connection came about; empty where it did.
  Awaitable<std::string> handshake();
  // At least one byte, unless it fails; asio::error::eof where the client has sent all that it will.
  Awaitable<std::size_t> read_some(boost::asio::mutable_buffer to, Failure& failure);
  // All of them, unless it fails.
  Awaitable<void> write(ByteView bytes, Failure& failure);
  // Says that nothing more is sent, then reads on until the client ends too or `time` has passed: closing a socket with
  // unread bytes resets the connection, and the client may lose the answer.
  Awaitable<void> linger(milliseconds time);
  // Ends it: politely where nothing is under way.
  void close();

  // Calls `gone` where the client ends its side while nothing is read, until unwatch(). A client that sends its next
  // request already is not watched any further.
  void watch(std::function<void()> gone);
  void unwatch();

 private:
  enum class Need { kNothing, kRead, kWrite };
  // What one call that does not block has come to.
  struct Step {
    std::size_t count = 0;
    Need need = Need::kNothing;
    Failure failure;
  };
  Step try_read(void* to, std::size_t size, int flags);
  Step try_write(ByteView bytes);
  static Step closed();
  Step try_handshake();
  Step tls_step(int result, std::size_t count);
  Awaitable<void> wait(Need need, Failure& failure);
  Awaitable<void> pause();
  void cancel();
  void finish_sending();
  void watch_on(std::function<void()> gone);

  Socket socket_;
  TlsContext::Connection tls_;
  boost::asio::steady_timer deadline_;
  bool timed_out_ = false;
  bool cancelled_ = false;  // since the operation began
  bool broken_ = false;     // TLS failed, so that nothing can be said in it any more
  std::uint64_t watch_ = 0;
};

}  // namespace tacit::server
