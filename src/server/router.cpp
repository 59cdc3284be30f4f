// SPDX-License-Identifier: Apache-2.0
#include "server/router.h"

#include <algorithm>

namespace tacit::server {
namespace {

std::string_view path_of(std::string_view target) {
  // RFC 9112, section 3.2.2: a server must accept the absolute form.
  for (std::string_view scheme : {"http://", "https://"}) {
    if (target.starts_with(scheme)) {
      target.remove_prefix(scheme.size());
      target.remove_prefix(std::min(target.find('/'), target.size()));
      break;
    }
  }
  return target.substr(0, target.find('?'));
}

// "/a/b" has the segments "a" and "b"; nothing unless it begins with a slash.
std::optional<std::vector<std::string_view>> segments_of(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

bool is_variable(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

std::optional<PathArguments> match_pattern(std::string_view pattern,
                                           const std::vector<std::string_view>& segments) {
  const auto wanted = segments_of(pattern);
  if (!wanted || wanted->size() != segments.size()) return std::nullopt;
  PathArguments arguments;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::string_view want = (*wanted)[i];
    if (is_variable(want) && !segments[i].empty()) {
      arguments.add(std::string(want.substr(1, want.size() - 2)), std::string(segments[i]));
    } else if (want != segments[i]) {
      return std::nullopt;
    }
  }
  return arguments;
}

}  // namespace

std::string_view PathArguments::get(std::string_view name) const {
  for (const auto& [argument, value] : values_) {
    if (argument == name) return value;
  }
  return {};
}

void Router::add(Endpoint endpoint) { endpoints_.push_back(std::move(endpoint)); }

std::variant<RouteMatch, RouteRefusal> Router::match(Method method, std::string_view target) const {
  std::string allow;
  if (const auto segments = segments_of(path_of(target))) {
    for (const Endpoint& endpoint : endpoints_) {
      auto arguments = match_pattern(endpoint.pattern, *segments);
      if (!arguments) continue;
      if (endpoint.method == method) return RouteMatch{&endpoint, std::move(*arguments)};
      allow.append(allow.empty() ? "" : ", ").append(to_string(endpoint.method));
      if (endpoint.method == Method::kGet) allow.append(", HEAD");
    }
  }
  RouteRefusal refusal;
  if (allow.empty()) {
    refusal.error = {ErrorCode::kRouteUnknown,
                     "there is nothing under this path; protocol/rest.md lists the routes"};
  } else {
    refusal.error = {ErrorCode::kMethodNotAllowed, "this path takes only " + allow};
    refusal.allow = std::move(allow);
  }
  return refusal;
}

std::string printable_path(std::string_view target) {
  constexpr std::size_t kLongest = 200;
  std::string path(path_of(target).substr(0, kLongest));
  for (char& c : path) {
    if (c <= 0x20 || c >= 0x7F) c = '?';
  }
  return path;
}

}  // namespace tacit::server
