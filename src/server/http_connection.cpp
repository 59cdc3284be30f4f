// SPDX-License-Identifier: Apache-2.0
#include "server/http_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cmath>
#include <ctime>

#include "server/log.h"
#include "server/problem.h"
#include "server/router.h"

// In this file nothing but names and moves of names stands in a co_await: GCC 12 destroys some temporaries twice there.

namespace tacit::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kReadBytes = 256 << 10;        // of a body at a time
constexpr std::size_t kMaxBufferedBytes = 64 << 10;  // ahead of what is being looked at
constexpr std::uint64_t kMaxDiscardedBytes =
    64 << 10;  // a refused body up to this size is read to keep the connection
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

RequestHead convert(const http::request_parser<http::empty_body>& parser) {
  const auto& message = parser.get();
  RequestHead head;
  switch (message.method()) {
    case http::verb::get:
      head.method = Method::kGet;
      break;
    case http::verb::head:
      head.method = Method::kGet, head.head_only = true;
      break;
    case http::verb::put:
      head.method = Method::kPut;
      break;
    case http::verb::post:
      head.method = Method::kPost;
      break;
    case http::verb::delete_:
      head.method = Method::kDelete;
      break;
    default:
      head.method = Method::kOther;
      break;
  }
  head.target = std::string(message.target());
  head.version = static_cast<int>(message.version());
  for (const auto& field : message)
    head.fields.add(std::string(field.name_string()), std::string(field.value()));
  if (const auto length = parser.content_length()) head.content_length = *length;
  head.transfer_encoding = message.find(http::field::transfer_encoding) != message.end();
  const auto id = head.fields.find("X-Request-Id");
  head.id = id && is_request_id(*id) ? std::string(*id) : make_request_id();
  return head;
}

// What a client is told whose bytes are not a request; nothing where it went away in the middle of one.
std::optional<Error> explain(const error_code& failure) {
  if (failure == http::error::header_limit || failure == http::error::buffer_overflow) {
    return Error{ErrorCode::kHeadersTooLarge,
                 "the header has more than " + std::to_string(kMaxHeaderBytes) + " bytes"};
  }
  if (failure == http::error::end_of_stream || failure == http::error::partial_message) return std::nullopt;
  if (failure.category() == http::make_error_code(http::error::bad_method).category()) {
    return Error{ErrorCode::kRequestMalformed, "the request is not valid HTTP/1.1: " + failure.message()};
  }
  return std::nullopt;
}

Response no_memory() {
  return problem_response({ErrorCode::kOutOfMemory, "there is no memory for this body; try again later"}, "");
}

// Address space for the whole body; memory is taken up only as bytes arrive.
bool reserve(Bytes& body, std::uint64_t size) {
  try {
    body.reserve(size);
    return true;
  } catch (const std::exception&) { return false; }
}

Response too_slow(const Timeouts& timeouts) {
  const std::string rate = std::to_string(timeouts.body_rate);
  return problem_response(
      {ErrorCode::kRequestTimeout, "the body came too slowly; send at least " + rate + " bytes a second"},
      "");
}

milliseconds transfer_time(const Timeouts& timeouts, std::uint64_t bytes) {
  return timeouts.body_grace + milliseconds(bytes * 1000 / std::max<std::uint64_t>(timeouts.body_rate, 1));
}

}  // namespace

// Where the service's thread leaves the answer. Everything but `exchange` is used on the connection's strand only.
struct Connection::Answer {
  Answer(std::shared_ptr<Exchange> e, const Socket::executor_type& executor)
      : exchange(std::move(e)), ready(executor, asio::steady_timer::time_point::max()) {}
  std::shared_ptr<Exchange> exchange;
  asio::steady_timer ready;  // never expires; is cancelled when there is something to see
  std::optional<Response> response;
  bool gone = false;  // the client is
};

Connection::Connection(Socket socket, ConnectionHub& hub)
    : socket_(std::move(socket)), hub_(hub), deadline_(socket_.get_executor()), buffer_(kMaxBufferedBytes) {
  error_code ignored;
  const auto endpoint = socket_.remote_endpoint(ignored);
  peer_ = ignored ? "?" : endpoint.address().to_string();
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  const std::lock_guard lock(hub_.mutex);
  hub_.open.insert(this);
}

Connection::~Connection() {
  const std::lock_guard lock(hub_.mutex);
  hub_.open.erase(this);
  hub_.changed.notify_all();
}

void Connection::arm(milliseconds time) {
  timed_out_ = false;
  deadline_.expires_after(time);
  deadline_.async_wait([weak = weak_from_this()](const error_code& failure) {
    const auto self = weak.lock();
    // A wait that was put off may have expired before and be called late.
    if (failure || !self || self->deadline_.expiry() > Clock::now()) return;
    self->timed_out_ = true;
    error_code ignored;
    self->socket_.cancel(ignored);
  });
}

void Connection::disarm() { deadline_.expires_at(Clock::time_point::max()); }

void Connection::close_if_idle() {
  error_code ignored;
  if (idle_) socket_.close(ignored);
}

void Connection::abort() {
  if (pending_) {
    pending_->exchange->cancel();
  } else {
    error_code ignored;
    socket_.close(ignored);
  }
}

void Connection::log(int status, std::uint64_t sent) const {
  const std::chrono::duration<double, std::milli> took = Clock::now() - account_.start;
  log_info(account_.line + " " + (status == 0 ? "gone" : std::to_string(status)) +
           " in=" + std::to_string(account_.received) + " out=" + std::to_string(sent) +
           " ms=" + std::to_string(std::lround(took.count())) + " peer=" + peer_);
}

asio::awaitable<void> Connection::serve() {
  while (co_await serve_one()) {}
  disarm();
  error_code ignored;
  socket_.close(ignored);
}

asio::awaitable<void> Connection::turn_away() {
  account_ = {make_request_id() + " - -", Clock::now(), 0};
  idle_ = false;
  const Response response =
      problem_response({ErrorCode::kServerBusy, "too many connections are open; try again later"}, "");
  if (co_await write_refusal(response)) co_await linger();
  disarm();
}

// One request and its answer; false where the connection is to be closed.
asio::awaitable<bool> Connection::serve_one() {
  error_code failure;
  idle_ = true;
  if (hub_.stopping) co_return false;
  if (buffer_.size() == 0) {
    arm(hub_.timeouts.idle);
    const std::size_t count = co_await socket_.async_read_some(
        buffer_.prepare(kMaxHeaderBytes), asio::redirect_error(asio::use_awaitable, failure));
    if (failure) co_return false;
    buffer_.commit(count);
  }
  idle_ = false;
  account_ = {make_request_id() + " - -", Clock::now(), 0};

  http::request_parser<http::empty_body> parser;
  parser.header_limit(kMaxHeaderBytes);
  parser.body_limit(boost::none);  // the service decides, by the route
  arm(hub_.timeouts.header);
  co_await http::async_read_header(socket_, buffer_, parser,
                                   asio::redirect_error(asio::use_awaitable, failure));
  if (failure) {
    auto error = explain(failure);
    if (timed_out_) error = Error{ErrorCode::kRequestTimeout, "the header did not arrive in time"};
    if (!error) co_return false;
    const Response response = problem_response(*error, "");
    if (co_await write_refusal(response)) co_await linger();
    co_return false;
  }
  disarm();
  const bool expects_continue = parser.get().find(http::field::expect) != parser.get().end();
  RequestHead head = convert(parser);
  co_return co_await answer(std::move(head), parser.keep_alive(), expects_continue);
}

asio::awaitable<bool> Connection::answer(RequestHead head, bool client_keeps, bool expects_continue) {
  const std::string id = head.id;
  const bool head_only = head.head_only;
  account_.line = id + " " + (head_only ? "HEAD" : std::string(to_string(head.method))) + " " +
                  printable_path(head.target);
  // Where a body comes in chunks nothing tells how much is to be skipped.
  unread_ = head.transfer_encoding ? ~std::uint64_t{0} : head.content_length.value_or(0);

  std::optional<Response> response;
  auto opened = hub_.service.open(std::move(head));
  if (auto* early = std::get_if<Response>(&opened)) {
    response = std::move(*early);
  } else {
    const auto exchange = std::move(*std::get_if<std::shared_ptr<Exchange>>(&opened));
    if (expects_continue && unread_ > 0 && buffer_.size() == 0) {
      arm(hub_.timeouts.body_grace);
      error_code failure;
      co_await asio::async_write(socket_, asio::buffer(kContinue),
                                 asio::redirect_error(asio::use_awaitable, failure));
    }
    expects_continue = false;
    Bytes body;
    response = co_await receive_body(*exchange, body);
    if (!response && unread_ == 0) response = co_await run(exchange, std::move(body));
  }
  if (!response) {
    log(0, 0);
    co_return false;
  }
  // A client that waits for "100 Continue" may or may not send its body now, and a slow one is not waited for again: in
  // both cases nobody knows where the next request begins.
  const bool skippable = !expects_continue && response->status != status_of(ErrorCode::kRequestTimeout);
  const bool in_step = unread_ == 0 || (skippable && co_await discard_body());
  const bool keep = client_keeps && in_step && !hub_.stopping;
  const bool written = co_await write(*response, id, head_only, keep);
  if (written && !in_step) co_await linger();
  co_return written&& keep;
}

// Nothing where the whole body is there (unread_ is 0 then) or the client is gone; else why it is refused.
asio::awaitable<std::optional<Response>> Connection::receive_body(Exchange& exchange, Bytes& body) {
  body_start_ = Clock::now();
  const std::uint64_t size = exchange.body_bytes();
  const std::uint64_t prefix = std::min<std::uint64_t>(exchange.prefix_bytes(), size);
  bool there = co_await receive_until(body, prefix);
  if (there && prefix > 0) {
    if (auto refusal = exchange.inspect(body)) co_return refusal;
  }
  if (there) {
    if (!reserve(body, size)) co_return no_memory();
    there = co_await receive_until(body, size);
  }
  if (there || !timed_out_) co_return std::nullopt;
  co_return too_slow(hub_.timeouts);
}

// Reads until `body` has `size` bytes; false where the client is gone or too slow (timed_out_).
asio::awaitable<bool> Connection::receive_until(Bytes& body, std::uint64_t size) {
  while (body.size() < size) {
    const std::size_t had = body.size();
    const std::size_t step = std::min<std::uint64_t>(size - had, kReadBytes);
    std::size_t count = std::min(step, buffer_.size());
    if (count > 0) {
      const auto* bytes = static_cast<const std::uint8_t*>(buffer_.data().data());
      body.insert(body.end(), bytes, bytes + count);
      buffer_.consume(count);
    } else {
      const auto due = body_start_ + transfer_time(hub_.timeouts, had) - Clock::now();
      arm(std::max(milliseconds(0), std::chrono::ceil<milliseconds>(due)));
      body.resize(had + step);
      error_code failure;
      count = co_await socket_.async_read_some(asio::buffer(body.data() + had, step),
                                               asio::redirect_error(asio::use_awaitable, failure));
      body.resize(had + count);
      if (failure) co_return false;
    }
    account_.received += count;
    unread_ -= count;
  }
  disarm();
  co_return true;
}

// The service's answer, or nothing where the client went away first.
asio::awaitable<std::optional<Response>> Connection::run(std::shared_ptr<Exchange> exchange, Bytes body) {
  const auto answer = std::make_shared<Answer>(exchange, socket_.get_executor());
  {
    const std::lock_guard lock(hub_.mutex);
    ++hub_.owed;
  }
  pending_ = answer;
  exchange->run(std::move(body), [answer, &hub = hub_](Response response) mutable {
    {
      const auto executor = answer->ready.get_executor();
      asio::post(executor, [answer = std::move(answer), response = std::move(response)]() mutable {
        answer->response = std::move(response);
        answer->ready.cancel();
      });
    }
    // When nothing is owed any more the server may be destroyed, so nothing of it may be held here from now on.
    const std::lock_guard lock(hub.mutex);
    --hub.owed;
    hub.changed.notify_all();
  });
  watch_for_hangup(answer);
  while (!answer->response && !answer->gone) {
    error_code ignored;
    co_await answer->ready.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  pending_ = nullptr;
  error_code ignored;
  socket_.cancel(ignored);  // the watch
  if (answer->response) co_return std::move(answer->response);
  exchange->cancel();
  co_return std::nullopt;
}

// A client that closes its side is taken to have lost interest. One that sends its next request already is not watched
// any further.
void Connection::watch_for_hangup(std::shared_ptr<Answer> answer) {
  socket_.async_wait(Socket::wait_read, [weak = weak_from_this(), answer](const error_code& failure) {
    const auto self = weak.lock();
    if (failure || !self || self->pending_ != answer) return;
    char byte;
    const ssize_t count = ::recv(self->socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))) return;
    answer->gone = true;
    answer->ready.cancel();
  });
}

// Skips the rest of a refused body where it is short.
asio::awaitable<bool> Connection::discard_body() {
  if (unread_ > kMaxDiscardedBytes) co_return false;
  Bytes rest;
  body_start_ = Clock::now();
  co_return co_await receive_until(rest, unread_);
}

asio::awaitable<bool> Connection::write(const Response& response, std::string_view id, bool head_only,
                                        bool keep) {
  const std::string head = serialise_head(response, id, http_date(), keep);
  const std::size_t body_bytes = head_only || response.status == 304 ? 0 : response.body.size();
  const std::array<asio::const_buffer, 2> buffers = {asio::buffer(head),
                                                     asio::buffer(response.body.data(), body_bytes)};
  arm(transfer_time(hub_.timeouts, head.size() + body_bytes));
  error_code failure;
  co_await asio::async_write(socket_, buffers, asio::redirect_error(asio::use_awaitable, failure));
  disarm();
  log(failure ? 0 : response.status, body_bytes);
  co_return !failure;
}

asio::awaitable<bool> Connection::write_refusal(const Response& response) {
  const std::string id = account_.line.substr(0, account_.line.find(' '));
  co_return co_await write(response, id, false, false);
}

// Closing a socket with unread bytes resets the connection, and the client may lose the answer: read on for a while.
asio::awaitable<void> Connection::linger() {
  error_code failure;
  socket_.shutdown(Socket::shutdown_send, failure);
  buffer_.clear();
  arm(hub_.timeouts.linger);
  while (!failure && !timed_out_) {
    co_await socket_.async_read_some(buffer_.prepare(kMaxHeaderBytes),
                                     asio::redirect_error(asio::use_awaitable, failure));
  }
}

}  // namespace tacit::server
