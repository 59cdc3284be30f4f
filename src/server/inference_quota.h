// SPDX-License-Identifier: Apache-2.0
// How many predictions a tenant may have made within any 24 hours: each answers something about the model.
#pragma once

#include "server/quota.h"
#include "server/state/ledger.h"

namespace tacit::server {

// What has been counted survives a restart. May be used from several threads at once.
class InferenceQuota {
 public:
  // `ledger` must outlive it. `per_day` 0: no limit, and nothing is counted.
  InferenceQuota(Ledger& ledger, std::uint64_t per_day) : ledger_(ledger), per_day_(per_day) {}

  // Counts `images` predictions, before they are run and whether or not they succeed. kQuota where that would be more than the
  // tenant may; `retry_after` then says after how many seconds it will not be, 0 where it never will. Writes to the disk:
  // not for network threads. Errors of Ledger.
  Status take(std::string_view tenant, std::uint64_t images, Time now, int& retry_after);

 private:
  Ledger& ledger_;
  const std::uint64_t per_day_;
};

}  // namespace tacit::server
