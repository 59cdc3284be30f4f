// SPDX-License-Identifier: Apache-2.0
#include "server/stream_sender.h"

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

#include "server/keep_going.h"

// In this file nothing but names and moves of names stands in a co_await: GCC 12 destroys some temporaries twice there.

namespace tacit::server {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::string_view kEndOfLine = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace

StreamSender::StreamSender(std::shared_ptr<HttpStream> out, std::shared_ptr<BodyStream> body, bool chunked,
                           const Timeouts& timeouts)
    : out_(std::move(out)),
      body_(std::move(body)),
      chunked_(chunked),
      timeouts_(timeouts),
      wake_(out_->executor()) {}

StreamSender::~StreamSender() { finish(false); }

// Nothing comes in any more; `whole`: because the body has ended by itself.
void StreamSender::finish(bool whole) {
  if (std::exchange(finished_, true)) return;
  std::function<void()> dropped;
  {
    const std::lock_guard lock(inbox_->mutex);
    dropped.swap(inbox_->wake);
  }
  if (!whole) body_->cancel();
}

void StreamSender::ask() {
  asked_ = true;
  body_->next([inbox = inbox_](std::optional<Bytes> piece) {
    const std::lock_guard lock(inbox->mutex);
    if (!inbox->wake) return;
    inbox->piece = std::move(piece);
    inbox->arrived = true;
    keep_going("a piece of a stream waits for its connection to look", inbox->wake);
  });
}

bool StreamSender::arrived() {
  const std::lock_guard lock(inbox_->mutex);
  return inbox_->arrived;
}

std::optional<Bytes> StreamSender::take() {
  asked_ = false;
  const std::lock_guard lock(inbox_->mutex);
  inbox_->arrived = false;
  return std::exchange(inbox_->piece, std::nullopt);
}

void StreamSender::end() {
  ended_ = true;
  wake_.cancel();
  // A client that reads slowly has this long for what is under way.
  out_->arm(timeouts_.linger);
}

asio::awaitable<bool> StreamSender::send() {
  out_->watch([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->gone_ = true;
      self->wake_.cancel();
    }
  });
  inbox_->wake = [weak = weak_from_this(), where = out_->executor()] {
    asio::post(where, [weak] {
      if (const auto self = weak.lock()) self->wake_.cancel();
    });
  };
  bool whole = false;
  while (!gone_ && !ended_) {
    if (!asked_) ask();
    wake_.expires_after(timeouts_.silence);
    error_code ignored;
    if (!arrived()) co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (gone_ || ended_) break;
    Bytes piece;
    if (arrived()) {
      std::optional<Bytes> came = take();
      whole = !came;
      if (whole) break;
      piece = std::move(*came);
    } else if (!ignored) {
      piece = body_->keep_alive();
    }
    if (piece.empty()) continue;  // as a chunk it would say that the body ends
    const ByteView bytes = piece;
    if (!co_await write(bytes)) gone_ = true;
  }
  finish(whole);
  out_->unwatch();
  if (gone_) co_return false;
  if (chunked_) {
    std::string last(kLastChunk);
    co_return co_await write_frame(std::move(last));
  }
  co_return true;
}

asio::awaitable<bool> StreamSender::write(ByteView piece) {
  std::string frame;
  if (chunked_) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), piece.size(), 16).ptr;
    frame.append(digits.data(), end).append(kEndOfLine);
  }
  frame.append(as_text(piece));
  if (chunked_) frame.append(kEndOfLine);
  const bool written = co_await write_frame(std::move(frame));
  if (written) sent_ += piece.size();
  co_return written;
}

asio::awaitable<bool> StreamSender::write_frame(std::string frame) {
  out_->arm(ended_ ? timeouts_.linger : transfer_time(timeouts_, frame.size()));
  error_code failure;
  const ByteView bytes = as_bytes(frame);
  co_await out_->write(bytes, failure);
  if (!ended_) out_->disarm();
  co_return !failure;
}

}  // namespace tacit::server
