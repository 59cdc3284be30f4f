// SPDX-License-Identifier: Apache-2.0
// What a route is made of. A route's functions know no socket; they are called in the order in which they stand here.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "server/http_types.h"
#include "server/state/tenant.h"

namespace tacit::server {

class Pulse;  // executor.h

// The path's variable segments, for instance {"model", "lenet"}.
class PathArguments {
 public:
  void add(std::string name, std::string value) { values_.emplace_back(std::move(name), std::move(value)); }
  // Empty where the pattern has no such segment.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const { return !get(name).empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

// How many bytes a body may have, and how many of them are shown to the route before the rest is read.
struct BodyPlan {
  std::uint64_t limit = 0;
  std::size_t prefix = 0;
};

// A request with its whole body. It lives until the answer is there.
struct Call {
  RequestHead head;
  PathArguments path;
  Bytes body;
  std::string instance;  // the path, as a problem document names it
  std::string tenant;    // who asks
  std::string token;     // its public part; empty in open mode
};

// What work that was put off learns when its turn has come.
struct WorkContext {
  const std::atomic<bool>& cancelled;  // becomes true when nobody waits for the answer any more
  double queue_ms = 0;
  Pulse* pulse = nullptr;  // of a Turn; to be beaten between steps
};

struct Outcome;

// The rest of the work, to be done on threads that may wait for disk and digests.
struct Later {
  std::function<Outcome(const WorkContext&)> work;
};
// The rest of the work, to be done by the executor: on all cores that it gives, in its turn.
struct Turn {
  std::string group;  // as Task
  std::uint64_t bytes = 0;
  std::function<Outcome(const WorkContext&)> work;
};
// The answer comes when something else has happened: `begin` is called once, and calls its argument once, on any thread.
struct Awaited {
  std::function<void(std::function<void(Outcome)>)> begin;
};

struct Outcome : std::variant<Response, Error, Later, Turn, Awaited> {
  using variant::variant;
  Outcome(Result<Response> result) {
    if (result.ok())
      emplace<Response>(std::move(result).value());
    else
      emplace<Error>(std::move(result).error());
  }
};

struct Endpoint {
  Method method = Method::kGet;
  std::string pattern;  // "/v2/models/{model}/infer"
  Scopes scope = 0;     // that the caller's token needs; 0: anybody
  // From the header alone. Where it is empty, there must be no body.
  std::function<Result<BodyPlan>(const RequestHead&, const PathArguments&)> plan_body;
  // From the first BodyPlan::prefix bytes and the length: whether the rest is worth reading. May be empty.
  std::function<Status(const RequestHead&, const PathArguments&, ByteView prefix)> inspect;
  // On a network thread, so it must be quick. The call outlives the work that is put off.
  std::function<Outcome(const Call&)> handle;
};

}  // namespace tacit::server
