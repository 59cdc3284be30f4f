// SPDX-License-Identifier: Apache-2.0
#include "server/stream_sender.h"

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

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
  std::function<void(std::optional<Bytes>)> dropped;
  {
    const std::lock_guard lock(inbox_->mutex);
    dropped.swap(inbox_->deliver);
  }
  if (!whole) body_->cancel();
}

void StreamSender::ask() {
  asked_ = true;
  arrived_ = false;
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->deliver = [weak = weak_from_this(), where = out_->executor()](std::optional<Bytes> piece) {
      asio::post(where, [weak, piece = std::move(piece)]() mutable {
        const auto self = weak.lock();
        if (!self) return;
        self->piece_ = std::move(piece);
        self->arrived_ = true;
        self->wake_.cancel();
      });
    };
  }
  body_->next([inbox = inbox_](std::optional<Bytes> piece) {
    const std::lock_guard lock(inbox->mutex);
    if (!inbox->deliver) return;
    inbox->deliver(std::move(piece));
    inbox->deliver = nullptr;
  });
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
  bool whole = false;
  while (!gone_ && !ended_) {
    if (!asked_) ask();
    wake_.expires_after(timeouts_.silence);
    error_code ignored;
    if (!arrived_) co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (gone_ || ended_) break;
    Bytes piece;
    if (arrived_) {
      asked_ = false;
      whole = !piece_;
      if (whole) break;
      piece = std::move(*piece_);
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
