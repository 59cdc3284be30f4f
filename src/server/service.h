// SPDX-License-Identifier: Apache-2.0
// The seam between HTTP and everything else: what http_server asks of whatever answers requests.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

#include "server/http_types.h"

namespace tacit::server {

// A body that is made while it is sent, for instance server-sent events. The functions are called from one thread at a
// time.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // Calls `ready` once, now or later, on any thread: with the next piece, or with nothing where the body has ended. The
  // call that follows comes after the piece was sent, so that a slow reader is not written for without bound. `ready`
  // may be called after cancel() too, even when the server is gone; it does nothing then.
  virtual void next(std::function<void(std::optional<Bytes>)> ready) = 0;
  // What is sent where there was nothing for Timeouts::silence, so that nobody takes the connection for dead; may be empty.
  virtual Bytes keep_alive() const = 0;
  // Nobody reads any further: the client is gone, or the server is about to end. Called at most once.
  virtual void cancel() = 0;
};

// One request from the end of its header to its answer. The functions are called in the order in which they stand here,
// from one thread at a time; cancel() at any time after run().
class Exchange {
 public:
  virtual ~Exchange() = default;
  // How many bytes of body follow, and how many of them inspect() wants to see before the others are read.
  virtual std::uint64_t body_bytes() const = 0;
  virtual std::size_t prefix_bytes() const = 0;
  // An answer where the rest of the body is not worth reading.
  virtual std::optional<Response> inspect(ByteView prefix) = 0;
  // Calls `done` once, now or later, on any thread. Does not block.
  virtual void run(Bytes body, std::function<void(Response)> done) = 0;
  // Nobody waits for the answer any more.
  virtual void cancel() = 0;
};

// What became of a request.
struct AnsweredRequest {
  std::string_view route;  // as Service::route_of
  Method method = Method::kOther;
  int status = 0;                        // 0: the client went away
  std::uint64_t received = 0, sent = 0;  // bytes of the bodies
  double seconds = 0;                    // from the first byte of the header to the last of the answer
};

enum class ConnectionEvent {
  kOpened,
  kClosed,
  kFull,         // told that there are too many connections
  kAddressFull,  // told that there are too many of its address
  kDropped,      // closed without a word
  kNoTls,        // no TLS connection came about
};

class Service {
 public:
  virtual ~Service() = default;
  // An answer where the header is enough for one. Must not block.
  virtual std::variant<Response, std::shared_ptr<Exchange>> open(RequestHead head) = 0;
  // The operator changed what may change while the server runs (SIGHUP): reads it anew. What fails stays as it was and is
  // logged. Called on the main thread.
  virtual void reload() {}

  // For the metrics; on any thread, must not block. The pattern of the route that this is for, empty where there is none; it lives
  // as long as the service.
  virtual std::string_view route_of(Method, std::string_view /*target*/) const { return {}; }
  virtual void answered(const AnsweredRequest&) {}
  virtual void on_connection(ConnectionEvent) {}
  // The certificate was read, at the start or anew: when it ends, in seconds since 1970; nothing where it could not be used.
  virtual void on_certificate(std::optional<std::int64_t> /*expires*/) {}
};

}  // namespace tacit::server
