// SPDX-License-Identifier: Apache-2.0
// From method and target to an endpoint. Pure: nothing is looked up but the table of patterns.
#pragma once

#include <deque>
#include <variant>

#include "server/endpoint.h"

namespace tacit::server {

struct RouteMatch {
  const Endpoint* endpoint = nullptr;
  PathArguments path;
};

struct RouteRefusal {
  Error error;
  std::string allow;  // for kMethodNotAllowed: the value of the Allow field
};

class Router {
 public:
  // Segments in braces match any one segment that is not empty.
  void add(Endpoint endpoint);
  // `target` is the request line's: a path, perhaps with a query, which is ignored, or the same behind "http://host".
  // A percent sign stands for itself and so matches nothing that has a name here.
  std::variant<RouteMatch, RouteRefusal> match(Method method, std::string_view target) const;

  const std::deque<Endpoint>& endpoints() const { return endpoints_; }

 private:
  std::deque<Endpoint> endpoints_;
};

// The path of a target, without authority and query; at most 200 bytes of it, anything but visible ASCII replaced by '?',
// so that it can stand in a log line and in JSON.
std::string printable_path(std::string_view target);

}  // namespace tacit::server
