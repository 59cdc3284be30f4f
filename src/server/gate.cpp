// SPDX-License-Identifier: Apache-2.0
#include "server/gate.h"

#include <chrono>

#include "server/log.h"

namespace tacit::server {

namespace {

using Clock = RateLimit::Clock;

// So soon a token that was revoked on the command line is refused.
constexpr std::chrono::milliseconds kLook{500};

constexpr std::string_view kScheme = "Bearer ";

// The name in a Host field, or in an Origin behind its scheme: of this machine's own loopback interface?
bool is_loopback_name(std::string_view authority) {
  const bool bracketed = authority.starts_with('[');
  const std::size_t end = bracketed ? authority.find(']') : authority.find(':');
  const std::string_view name = authority.substr(0, bracketed && end != authority.npos ? end + 1 : end);
  return equal_ignoring_case(name, "localhost") || name == "[::1]" ||
         (name.starts_with("127.") && name.find_first_not_of("0123456789.") == name.npos);
}

// Whether a web page of somebody else may have made a browser on this machine send the request: its own name is in Origin, or, where
// it had that name resolved to this machine, in Host.
bool may_come_from_a_page(const RequestHead& head) {
  if (const auto host = head.fields.find("Host"); host && !is_loopback_name(*host)) return true;
  const auto origin = head.fields.find("Origin");
  if (!origin) return false;
  const std::size_t scheme = origin->find("://");
  return scheme == std::string_view::npos || !is_loopback_name(origin->substr(scheme + 3));
}

// A proxy names the client that it asks for in one of these (RFC 7239, section 4).
bool is_forwarded(const RequestHead& head) {
  return head.fields.find("X-Forwarded-For").has_value() || head.fields.find("Forwarded").has_value();
}

}  // namespace

Result<std::unique_ptr<Gate>> Gate::create(Ledger& ledger, const Quota& quota) {
  std::unique_ptr<Gate> gate(new Gate(ledger, quota));
  TACIT_CHECK(gate->book_.load(ledger));
  return gate;
}

void Gate::refresh(Clock::time_point now) {
  const std::int64_t tick = now.time_since_epoch().count();
  std::int64_t due = next_look_;
  if (tick < due) return;
  const std::int64_t next = (now + kLook).time_since_epoch().count();
  if (!next_look_.compare_exchange_strong(due, next)) return;
  const auto changed = ledger_.changed_elsewhere();
  const Status loaded = !changed.ok() ? Status(changed.error()) : *changed ? book_.load(ledger_) : Status();
  // The tokens that are known stay valid: a disk that fails must not lock everybody out.
  if (!loaded.ok()) log_error("tokens were not read anew", loaded.error());
}

Result<Identity> Gate::admit(const RequestHead& head, Scopes scope, int& retry_after) {
  if (scope == 0) return Identity{};
  const Clock::time_point tick = Clock::now();
  refresh(tick);
  Identity identity{std::string(kOpenTenant), kAllScopes, {}};
  if (is_open()) {
    // Without tokens only this machine may ask, and a proxy would let in everybody.
    if (is_forwarded(head))
      return Error{
          ErrorCode::kAuthentication,
          "this server has no token yet and takes requests from its own machine only, and this one came "
          "through a proxy; its operator makes a token with tacitd token create"};
    if (may_come_from_a_page(head))
      return Error{ErrorCode::kAuthentication,
                   "this server has no token yet and answers only to localhost, 127.0.0.1 and [::1], and the "
                   "request's "
                   "Host or Origin is another; its operator makes a token with tacitd token create"};
  } else {
    const std::string_view field = head.fields.find("Authorization").value_or("");
    const bool bearer =
        field.size() > kScheme.size() && equal_ignoring_case(field.substr(0, kScheme.size()), kScheme);
    TACIT_TRY(identity, book_.identify(bearer ? field.substr(kScheme.size()) : std::string_view(), now()));
  }
  if ((identity.scopes & scope) == 0)
    return Error{ErrorCode::kScope,
                 "the token has the scopes " + to_text(identity.scopes) + "; this needs " + to_text(scope)};
  const auto wait = rate_.take(identity.tenant, tick);
  if (wait.count() > 0) {
    retry_after = static_cast<int>((wait.count() + 999) / 1000);
    return Error{ErrorCode::kRateLimited, "requests come faster than this tenant may send them; wait " +
                                              std::to_string(wait.count()) + " ms"};
  }
  return identity;
}

}  // namespace tacit::server
