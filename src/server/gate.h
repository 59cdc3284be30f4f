// SPDX-License-Identifier: Apache-2.0
// Who may ask for what: tokens, scopes and the rate of requests.
#pragma once

#include <atomic>

#include "server/http_types.h"
#include "server/quota.h"
#include "server/token.h"

namespace tacit::server {

class Gate {
 public:
  // Without tokens in the ledger everybody is the tenant kOpenTenant and may do everything: main takes care that such a server
  // listens on the loopback interface only, and the gate refuses what came through a proxy. `ledger` must outlive it.
  static Result<std::unique_ptr<Gate>> create(Ledger& ledger, const Quota& quota);

  bool is_open() const { return book_.empty(); }
  // `scope` 0: anybody, without a token. kAuthentication, kScope, kRateLimited; `retry_after` says how many seconds to wait
  // after the last.
  Result<Identity> admit(const RequestHead& head, Scopes scope, int& retry_after);

 private:
  Gate(Ledger& ledger, const Quota& quota)
      : ledger_(ledger), rate_(quota.requests_per_second, static_cast<double>(quota.burst)) {}
  void refresh(RateLimit::Clock::time_point now);

  Ledger& ledger_;
  TokenBook book_;
  RateLimit rate_;
  std::atomic<std::int64_t> next_look_ = 0;  // when to ask the ledger again, on the steady clock
};

}  // namespace tacit::server
