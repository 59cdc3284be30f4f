// SPDX-License-Identifier: Apache-2.0
#include "server/inference_quota.h"

#include <algorithm>

#include "server/keep_going.h"

namespace tacit::server {

InferenceQuota::Charge::~Charge() {
  if (kept_ || ledger_ == nullptr) return;
  keep_going("refused predictions stay counted", [this] {
    if (const Status back = ledger_->return_inferences(tenant_, images_, time_); !back.ok())
      log_error("refused predictions stay counted", back.error());
  });
}

Result<std::shared_ptr<InferenceQuota::Charge>> InferenceQuota::take(std::string_view tenant,
                                                                     std::uint64_t images, Time now,
                                                                     int& retry_after) {
  retry_after = 0;
  const auto charge = [&](Ledger* ledger) {
    return std::shared_ptr<Charge>(new Charge(ledger, tenant, images, now));
  };
  if (per_day_ == 0) return charge(nullptr);
  const std::string limit = "at most " + std::to_string(per_day_) + " predictions in 24 hours";
  if (images > per_day_)
    return Error{ErrorCode::kQuota, "a request to this model counts as " + std::to_string(images) +
                                        " predictions, and this tenant may have " + limit +
                                        "; ask the server's operator for more"};
  TACIT_TRY(const std::optional<Time> fits, ledger_.count_inferences(tenant, images, per_day_, now));
  if (!fits) return charge(&ledger_);
  retry_after = static_cast<int>(std::max<Time>((*fits - now + 999) / 1000, 1));
  return Error{ErrorCode::kQuota,
               "this tenant may have " + limit + "; there is room for another one after Retry-After seconds"};
}

}  // namespace tacit::server
