// SPDX-License-Identifier: Apache-2.0
// The seam between HTTP and everything else: what http_server asks of whatever answers requests.
#pragma once

#include <functional>
#include <memory>
#include <variant>

#include "server/http_types.h"

namespace tacit::server {

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

class Service {
 public:
  virtual ~Service() = default;
  // An answer where the header is enough for one. Must not block.
  virtual std::variant<Response, std::shared_ptr<Exchange>> open(RequestHead head) = 0;
};

}  // namespace tacit::server
