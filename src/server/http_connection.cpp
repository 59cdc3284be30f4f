// SPDX-License-Identifier: Apache-2.0
#include "server/http_connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <ctime>

#include "server/keep_going.h"
#include "server/problem.h"
#include "server/router.h"

// In this file nothing but names and moves of names stands in a co_await: GCC 12 destroys some temporaries twice there.

namespace tacit::server {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kHeadBytes = 8 << 10;          // of a header at a time
constexpr std::size_t kReadBytes = 256 << 10;        // of a body at a time
constexpr std::size_t kMaxBufferedBytes = 64 << 10;  // ahead of what is being looked at
constexpr std::size_t kJoinedBytes = 16 << 10;       // of a body that is sent together with its head
constexpr std::uint64_t kMaxDiscardedBytes =
    64 << 10;  // a refused body up to this size is read to keep the connection
// An answer that the connection could not be woken for is found after so long.
constexpr milliseconds kLookAgain{1'000};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
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

}  // namespace

// Where the service's thread leaves the answer. `ready` and `gone` are used on the connection's strand only.
struct Connection::Answer {
  Answer(std::shared_ptr<Exchange> e, const asio::any_io_executor& executor)
      : exchange(std::move(e)), ready(executor) {}
  bool settled() {
    const std::lock_guard lock(mutex);
    return is_settled;
  }
  const std::shared_ptr<Exchange> exchange;
  asio::steady_timer ready;  // is cancelled when there is something to see
  bool gone = false;         // the client is
  std::mutex mutex;
  bool is_settled = false;           // guarded by mutex
  std::optional<Response> response;  // guarded by mutex; nothing: there will be none
};

// The service's end of an Answer. The service may drop it without a word where it has no memory for one: the connection ends then.
class Connection::Debt {
 public:
  Debt(std::shared_ptr<Answer> answer, ConnectionHub& hub) : answer_(std::move(answer)), hub_(hub) {
    const std::lock_guard lock(hub_.mutex);
    ++hub_.owed;
  }
  ~Debt() { pay(std::nullopt); }
  Debt(const Debt&) = delete;
  Debt& operator=(const Debt&) = delete;

  // The first call counts.
  void pay(std::optional<Response> response) noexcept {
    if (answer_ == nullptr) return;
    {
      const std::lock_guard lock(answer_->mutex);
      answer_->is_settled = true;
      answer_->response = std::move(response);
    }
    keep_going("an answer waits for its connection to look", [this] {
      const auto executor = answer_->ready.get_executor();
      asio::post(executor, [answer = answer_] { answer->ready.cancel(); });
    });
    answer_ = nullptr;
    // When nothing is owed any more the server may be destroyed, so nothing of it may be held here from now on.
    const std::lock_guard lock(hub_.mutex);
    --hub_.owed;
    hub_.changed.notify_all();
  }

 private:
  std::shared_ptr<Answer> answer_;
  ConnectionHub& hub_;
};

Connection::Connection(std::shared_ptr<HttpStream> stream, const asio::ip::address& address,
                       ConnectionLimits::Place place, ConnectionHub& hub)
    : stream_(std::move(stream)),
      address_(address),
      hub_(hub),
      place_(std::move(place)),
      buffer_(kMaxBufferedBytes) {
  hub_.service.on_connection(place_.verdict() == ConnectionLimits::Verdict::kServe ? ConnectionEvent::kOpened
                             : place_.verdict() == ConnectionLimits::Verdict::kAddressFull
                                 ? ConnectionEvent::kAddressFull
                                 : ConnectionEvent::kFull);
}

Connection::~Connection() {
  if (place_.verdict() == ConnectionLimits::Verdict::kServe)
    hub_.service.on_connection(ConnectionEvent::kClosed);
  const std::lock_guard lock(hub_.mutex);
  hub_.open.erase(this);
  hub_.changed.notify_all();
}

void Connection::join() {
  const std::lock_guard lock(hub_.mutex);
  hub_.open.insert(this);
}

void Connection::wind_down() {
  if (idle_) stream_->close();
  if (const auto sender = sender_.lock()) sender->end();
}

void Connection::abort() {
  if (pending_) {
    pending_->exchange->cancel();
  } else {
    stream_->close();
  }
}

void Connection::log(int status, std::uint64_t sent) const {
  const std::chrono::duration<double, std::milli> took = Clock::now() - account_.start;
  log_info("request", {{"request_id", account_.id},
                       {"method", account_.method},
                       {"path", account_.path},
                       status == 0 ? LogField("status", "gone") : LogField("status", status),
                       {"in", account_.request.received},
                       {"out", sent},
                       {"ms", std::lround(took.count())},
                       {"peer", address_.to_string()}});
  AnsweredRequest request = account_.request;
  request.status = status;
  request.sent = sent;
  request.seconds = took.count() / 1000;
  hub_.service.answered(request);
}

asio::awaitable<void> Connection::live() {
  stream_->arm(hub_.timeouts.header);
  const std::string trouble = co_await stream_->handshake();
  if (!trouble.empty()) {
    log_info("no TLS connection", {{"reason", trouble}, {"peer", address_.to_string()}});
    hub_.service.on_connection(ConnectionEvent::kNoTls);
  } else if (place_.verdict() != ConnectionLimits::Verdict::kServe) {
    co_await turn_away();
  } else {
    while (co_await serve_one()) {}
  }
  stream_->disarm();
  stream_->close();
}

asio::awaitable<void> Connection::turn_away() {
  account_ = {.id = make_request_id(), .start = Clock::now(), .request = {}};
  idle_ = false;
  Error error{ErrorCode::kServerBusy,
              place_.verdict() == ConnectionLimits::Verdict::kAddressFull
                  ? "too many connections of this address are open; close some of them"
                  : "too many connections are open; try again later"};
  co_await refuse(std::move(error));
}

// One request and its answer; false where the connection is to be closed.
asio::awaitable<bool> Connection::serve_one() {
  idle_ = true;
  if (hub_.stopping) co_return false;
  HeadReader reader;
  if (!co_await read_head(reader)) co_return false;
  stream_->disarm();
  co_return co_await answer(reader);
}

// False where there is none, and the client has been told why if it is still there.
asio::awaitable<bool> Connection::read_head(HeadReader& reader) {
  if (buffer_.size() == 0) stream_->arm(hub_.timeouts.idle);
  auto state = HeadReader::State::kMore;
  while (state == HeadReader::State::kMore) {
    if (buffer_.size() > 0 && std::exchange(idle_, false)) {
      account_ = {.id = make_request_id(), .start = Clock::now(), .request = {}};
      stream_->arm(hub_.timeouts.header);
    }
    state = reader.read(buffer_);
    if (state != HeadReader::State::kMore) break;
    error_code failure;
    const auto room = buffer_.prepare(kHeadBytes);
    const std::size_t count = co_await stream_->read_some(room, failure);
    buffer_.commit(count);
    if (!failure) continue;
    if (stream_->timed_out() && !idle_) {
      Error late{ErrorCode::kRequestTimeout, "the header did not arrive in time"};
      co_await refuse(std::move(late));
    }
    co_return false;
  }
  if (state == HeadReader::State::kDone) co_return true;
  Error error = reader.error();
  co_await refuse(std::move(error));
  co_return false;
}

asio::awaitable<bool> Connection::answer(const HeadReader& reader) {
  RequestHead head = reader.head();
  bool expects_continue = reader.expects_continue();
  version_ = head.version;
  const std::string id = head.id;
  const bool head_only = head.head_only;
  account_.id = id;
  account_.method = head_only ? "HEAD" : to_string(head.method);
  account_.path = printable_path(head.target);
  account_.request.method = head.method;
  account_.request.route = hub_.service.route_of(head.method, head.target);
  // Where a body comes in chunks nothing tells how much is to be skipped.
  unread_ = head.transfer_encoding ? ~std::uint64_t{0} : head.content_length.value_or(0);

  std::optional<Response> response;
  auto opened = hub_.service.open(std::move(head));
  if (auto* early = std::get_if<Response>(&opened)) {
    response = std::move(*early);
  } else {
    const auto exchange = std::move(*std::get_if<std::shared_ptr<Exchange>>(&opened));
    if (expects_continue && unread_ > 0 && buffer_.size() == 0) {
      stream_->arm(hub_.timeouts.body_grace);
      error_code failure;
      const ByteView go_on = as_bytes(kContinue);
      co_await stream_->write(go_on, failure);
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
  const bool knows_end = response->stream == nullptr || version_ >= 11;
  const bool keep = reader.client_keeps_connection() && in_step && knows_end && !hub_.stopping;
  const bool written = co_await write(*response, id, head_only, keep);
  if (written && !in_step) {
    buffer_.clear();
    co_await stream_->linger(hub_.timeouts.linger);
  }
  // The server may have been told to stop while a body was made.
  co_return written&& keep && !hub_.stopping;
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
  if (there || !stream_->timed_out()) co_return std::nullopt;
  co_return too_slow(hub_.timeouts);
}

// Reads until `body` has `size` bytes; false where the client is gone or too slow (timed_out_).
asio::awaitable<bool> Connection::receive_until(Bytes& body, std::uint64_t size) {
  while (body.size() < size) {
    const std::size_t had = body.size();
    // Memory for not much more than has come already, as there may never come more.
    const std::size_t step = std::min<std::uint64_t>(size - had, std::clamp(had, kHeadBytes, kReadBytes));
    std::size_t count = std::min(step, buffer_.size());
    if (count > 0) {
      const auto* bytes = static_cast<const std::uint8_t*>(buffer_.data().data());
      body.insert(body.end(), bytes, bytes + count);
      buffer_.consume(count);
    } else {
      const auto due = body_start_ + transfer_time(hub_.timeouts, had) - Clock::now();
      stream_->arm(std::max(milliseconds(0), std::chrono::ceil<milliseconds>(due)));
      body.resize(had + step);
      error_code failure;
      const asio::mutable_buffer room(body.data() + had, step);
      count = co_await stream_->read_some(room, failure);
      body.resize(had + count);
      if (failure) co_return false;
    }
    account_.request.received += count;
    unread_ -= count;
  }
  stream_->disarm();
  co_return true;
}

// The service's answer, or nothing where the client went away first.
asio::awaitable<std::optional<Response>> Connection::run(std::shared_ptr<Exchange> exchange, Bytes body) {
  const auto answer = std::make_shared<Answer>(exchange, executor());
  auto debt = std::make_shared<Debt>(answer, hub_);
  pending_ = answer;
  exchange->run(std::move(body),
                [debt = std::move(debt)](Response response) { debt->pay(std::move(response)); });
  // A client that closes its side is taken to have lost interest.
  stream_->watch([answer] {
    answer->gone = true;
    answer->ready.cancel();
  });
  while (!answer->settled() && !answer->gone) {
    error_code ignored;
    answer->ready.expires_after(kLookAgain);
    co_await answer->ready.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  pending_ = nullptr;
  stream_->unwatch();
  std::optional<Response> response;
  if (answer->settled())
    response = std::move(answer->response);
  else
    exchange->cancel();
  co_return response;
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
  const std::string date = http_date();
  const bool chunked = version_ >= 11;
  AnswerHead about{id, date, keep, Framing::kLength, stream_->is_tls()};
  if (response.stream != nullptr) about.framing = chunked ? Framing::kChunked : Framing::kUntilClose;
  std::string head = serialise_head(response, about);
  ByteView body = response.body;
  if (head_only || response.status == 304 || response.stream != nullptr) body = {};
  const std::size_t body_bytes = body.size();
  stream_->arm(transfer_time(hub_.timeouts, head.size() + body_bytes));
  if (body_bytes <= kJoinedBytes) {  // into one packet, one record
    head.append(as_text(body));
    body = {};
  }
  error_code failure;
  const ByteView first = as_bytes(head);
  co_await stream_->write(first, failure);
  if (!failure) co_await stream_->write(body, failure);
  stream_->disarm();
  if (response.stream != nullptr) {
    std::shared_ptr<BodyStream> stream = response.stream;
    if (!failure && !head_only) co_return co_await write_stream(std::move(stream), chunked, response.status);
    stream->cancel();
  }
  log(failure ? 0 : response.status, body_bytes);
  co_return !failure;
}

// After the head.
asio::awaitable<bool> Connection::write_stream(std::shared_ptr<BodyStream> body, bool chunked, int status) {
  const auto sender = std::make_shared<StreamSender>(stream_, std::move(body), chunked, hub_.timeouts);
  sender_ = sender;
  if (hub_.stopping) sender->end();  // wind_down() has been here already
  const bool whole = co_await sender->send();
  log(whole ? status : 0, sender->sent());
  co_return whole;
}

asio::awaitable<void> Connection::refuse(Error error) {
  const Response response = problem_response(error, "");
  if (!co_await write(response, account_.id, false, false)) co_return;
  buffer_.clear();
  co_await stream_->linger(hub_.timeouts.linger);
}

}  // namespace tacit::server
