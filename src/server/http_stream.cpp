// SPDX-License-Identifier: Apache-2.0
#include "server/http_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

// In this file nothing but names and moves of names stands in a co_await: GCC 12 destroys some temporaries twice there.

namespace tacit::server {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kWriteBytes = 256 << 10;  // then others on this thread have their turn

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

error_code last_error() { return {errno, boost::system::system_category()}; }

}  // namespace

HttpStream::HttpStream(Socket socket, const std::shared_ptr<const TlsContext>& tls)
    : socket_(std::move(socket)), deadline_(socket_.get_executor()) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (tls != nullptr) tls_ = tls->accept(socket_.native_handle());
}

void HttpStream::arm(milliseconds time) {
  timed_out_ = false;
  deadline_.expires_after(time);
  deadline_.async_wait([weak = weak_from_this()](const error_code& failure) {
    const auto self = weak.lock();
    // A wait that was put off may have expired before and be called late.
    if (failure || !self || self->deadline_.expiry() > std::chrono::steady_clock::now()) return;
    self->timed_out_ = true;
    self->cancel();
  });
}

void HttpStream::disarm() { deadline_.expires_at(asio::steady_timer::time_point::max()); }

void HttpStream::cancel() {
  cancelled_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

void HttpStream::finish_sending() {
  if (tls_ != nullptr && !broken_ && SSL_is_init_finished(tls_.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(tls_.get());  // a close_notify, if it goes out at once
  }
  broken_ = true;
}

void HttpStream::close() {
  if (!socket_.is_open()) return;
  finish_sending();
  error_code ignored;
  socket_.close(ignored);
}

HttpStream::Step HttpStream::tls_step(int result, std::size_t count) {
  if (result == 1) return {count, Need::kNothing, {}};
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {0, Need::kRead, {}};
    case SSL_ERROR_WANT_WRITE:
      return {0, Need::kWrite, {}};
    case SSL_ERROR_ZERO_RETURN:
      return {0, Need::kNothing, asio::error::eof};
    default:
      broken_ = true;
      return {0, Need::kNothing, asio::error::connection_reset};
  }
}

// After close() the descriptor's number may be another connection's.
HttpStream::Step HttpStream::closed() { return {0, Need::kNothing, asio::error::bad_descriptor}; }

HttpStream::Step HttpStream::try_handshake() {
  if (!socket_.is_open()) return closed();
  ERR_clear_error();
  return tls_step(SSL_do_handshake(tls_.get()), 0);
}

// `flags` is 0 or MSG_PEEK.
HttpStream::Step HttpStream::try_read(void* to, std::size_t size, int flags) {
  if (!socket_.is_open()) return closed();
  if (tls_ != nullptr) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result =
        flags == 0 ? SSL_read_ex(tls_.get(), to, size, &count) : SSL_peek_ex(tls_.get(), to, size, &count);
    return tls_step(result, count);
  }
  const ssize_t count = ::recv(socket_.native_handle(), to, size, flags | MSG_DONTWAIT);
  if (count > 0) return {static_cast<std::size_t>(count), Need::kNothing, {}};
  if (count == 0) return {0, Need::kNothing, asio::error::eof};
  if (would_block() || errno == EINTR) return {0, Need::kRead, {}};
  return {0, Need::kNothing, last_error()};
}

HttpStream::Step HttpStream::try_write(ByteView bytes) {
  if (!socket_.is_open()) return closed();
  if (tls_ != nullptr) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &count);
    return tls_step(result, count);
  }
  const ssize_t count =
      ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count >= 0) return {static_cast<std::size_t>(count), Need::kNothing, {}};
  if (would_block() || errno == EINTR) return {0, Need::kWrite, {}};
  return {0, Need::kNothing, last_error()};
}

HttpStream::Awaitable<void> HttpStream::wait(Need need, Failure& failure) {
  if (!cancelled_) {
    const auto what = need == Need::kRead ? Socket::wait_read : Socket::wait_write;
    co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, failure));
  }
  if (!failure && cancelled_) failure = asio::error::operation_aborted;
}

// Lets others have this thread.
HttpStream::Awaitable<void> HttpStream::pause() {
  const auto where = socket_.get_executor();
  co_await asio::post(where, asio::use_awaitable);
}

HttpStream::Awaitable<std::string> HttpStream::handshake() {
  cancelled_ = false;
  Failure failure;
  while (tls_ != nullptr) {
    const Step step = try_handshake();
    if (step.failure) {
      std::string reason = tls_reason();
      co_return reason;
    }
    if (step.need == Need::kNothing) break;
    co_await wait(step.need, failure);
    if (failure) {
      broken_ = true;
      std::string reason = timed_out_ ? "it took too long" : failure.message();
      co_return reason;
    }
  }
  co_return std::string();
}

HttpStream::Awaitable<std::size_t> HttpStream::read_some(asio::mutable_buffer to, Failure& failure) {
  cancelled_ = false;
  failure = {};
  std::size_t had = 0;
  while (true) {
    // TLS gives one record at a time; what has come is taken together.
    const Step step = try_read(static_cast<char*>(to.data()) + had, to.size() - had, 0);
    had += step.count;
    if (had > 0 && (step.count == 0 || had == to.size() || tls_ == nullptr)) break;
    if (step.failure) {
      failure = step.failure;
      co_return 0;
    }
    if (step.need == Need::kNothing) continue;
    co_await wait(step.need, failure);
    if (failure) co_return 0;
  }
  // There may be more at once, as long as the client sends.
  if (had == to.size()) co_await pause();
  co_return had;
}

HttpStream::Awaitable<void> HttpStream::write(ByteView bytes, Failure& failure) {
  cancelled_ = false;
  failure = {};
  while (!bytes.empty()) {
    const Step step = try_write(bytes.first(std::min(bytes.size(), kWriteBytes)));
    if (step.failure) {
      failure = step.failure;
      co_return;
    }
    if (step.need != Need::kNothing) {
      co_await wait(step.need, failure);
      if (failure) co_return;
      continue;
    }
    bytes = bytes.subspan(step.count);
    if (!bytes.empty()) co_await pause();
  }
}

HttpStream::Awaitable<void> HttpStream::linger(milliseconds time) {
  finish_sending();
  Failure failure;
  socket_.shutdown(Socket::shutdown_send, failure);
  std::array<char, 4096> unread;
  cancelled_ = false;
  arm(time);
  while (!failure) {
    // The bytes as they come, as nobody wants to know what they say.
    const ssize_t count = ::recv(socket_.native_handle(), unread.data(), unread.size(), MSG_DONTWAIT);
    if (count > 0 && !timed_out_) {
      co_await pause();
    } else if (count < 0 && would_block()) {
      co_await wait(Need::kRead, failure);
    } else {
      break;
    }
  }
}

void HttpStream::watch(std::function<void()> gone) {
  ++watch_;
  watch_on(std::move(gone));
}

void HttpStream::unwatch() {
  ++watch_;
  error_code ignored;
  socket_.cancel(ignored);
}

void HttpStream::watch_on(std::function<void()> gone) {
  char byte;
  const Step step = try_read(&byte, 1, MSG_PEEK);
  if (step.count > 0) return;
  // Not from here, as the caller may not expect it yet.
  auto unless_unwatched = [weak = weak_from_this(), gone = std::move(gone),
                           number = watch_](const auto& act) mutable {
    const auto self = weak.lock();
    if (self && self->watch_ == number) act(*self, std::move(gone));
  };
  if (step.failure) {
    const auto where = socket_.get_executor();
    return asio::post(where, [unless_unwatched = std::move(unless_unwatched)]() mutable {
      unless_unwatched([](HttpStream&, std::function<void()> then) { then(); });
    });
  }
  socket_.async_wait(Socket::wait_read, [unless_unwatched =
                                             std::move(unless_unwatched)](const error_code& failure) mutable {
    if (failure) return;
    unless_unwatched([](HttpStream& self, std::function<void()> then) { self.watch_on(std::move(then)); });
  });
}

}  // namespace tacit::server
