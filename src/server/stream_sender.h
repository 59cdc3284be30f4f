// SPDX-License-Identifier: Apache-2.0
// Sends a body that is made while it is sent. Private to http_server, as it is slow to compile.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <optional>

#include "server/http_stream.h"
#include "server/service.h"

namespace tacit::server {

// Every function runs on the connection's strand.
class StreamSender : public std::enable_shared_from_this<StreamSender> {
 public:
  // In chunks (RFC 9112, section 7.1), or as it comes where `chunked` is false.
  StreamSender(std::shared_ptr<HttpStream> out, std::shared_ptr<BodyStream> body, bool chunked,
               const Timeouts& timeouts);
  ~StreamSender();
  StreamSender(const StreamSender&) = delete;
  StreamSender& operator=(const StreamSender&) = delete;

  // Sends until the body ends; true where the client has got all of it, or end() was called and it knows.
  boost::asio::awaitable<bool> send();
  // Has the body end where it is.
  void end();
  std::uint64_t sent() const { return sent_; }

 private:
  // Where the body's thread leaves a piece. It may outlive everything else here, so it holds nothing once it is shut.
  struct Inbox {
    std::mutex mutex;            // guards what follows
    std::function<void()> wake;  // empty: shut
    bool arrived = false;
    std::optional<Bytes> piece;  // what came, where something has; nothing: the body has ended
  };
  void ask();
  bool arrived();
  std::optional<Bytes> take();
  void finish(bool whole);
  boost::asio::awaitable<bool> write(ByteView piece);
  boost::asio::awaitable<bool> write_frame(std::string frame);

  const std::shared_ptr<HttpStream> out_;
  const std::shared_ptr<BodyStream> body_;
  const bool chunked_;
  const Timeouts timeouts_;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  boost::asio::steady_timer wake_;
  bool asked_ = false, gone_ = false, ended_ = false, finished_ = false;
  std::uint64_t sent_ = 0;
};

}  // namespace tacit::server
