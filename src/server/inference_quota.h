// SPDX-License-Identifier: Apache-2.0
// How many predictions a tenant may have made within any 24 hours: each answers something about the model.
#pragma once

#include <memory>

#include "server/state/ledger.h"

namespace tacit::server {

// What has been counted survives a restart. May be used from several threads at once.
class InferenceQuota {
 public:
  // `ledger` must outlive it. `per_day` 0: no limit, and nothing is counted.
  InferenceQuota(Ledger& ledger, std::uint64_t per_day) : ledger_(ledger), per_day_(per_day) {}

  // Predictions that are counted, and given back at its end unless they were kept: those that were refused after all.
  class Charge {
   public:
    ~Charge();
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    // They are run, or will be, whether or not that succeeds.
    void keep() { kept_ = true; }

   private:
    friend class InferenceQuota;
    Charge(Ledger* ledger, std::string_view tenant, std::uint64_t images, Time time)
        : ledger_(ledger), tenant_(tenant), images_(images), time_(time) {}
    Ledger* const ledger_;  // null where nothing was counted
    const std::string tenant_;
    const std::uint64_t images_;
    const Time time_;
    bool kept_ = false;
  };

  // Counts `images` predictions before they are run. kQuota where that would be more than the tenant may; `retry_after` then
  // says after how many seconds it will not be, 0 where it never will. This and the end of a charge write to the disk: not for network
  // threads. Errors of Ledger.
  Result<std::shared_ptr<Charge>> take(std::string_view tenant, std::uint64_t images, Time now,
                                       int& retry_after);

 private:
  Ledger& ledger_;
  const std::uint64_t per_day_;
};

}  // namespace tacit::server
