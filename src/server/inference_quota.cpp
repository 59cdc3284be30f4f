// SPDX-License-Identifier: Apache-2.0
#include "server/inference_quota.h"

#include <algorithm>

namespace tacit::server {

Status InferenceQuota::take(std::string_view tenant, std::uint64_t images, Time now, int& retry_after) {
  retry_after = 0;
  if (per_day_ == 0) return {};
  const std::string limit = "at most " + std::to_string(per_day_) + " predictions in 24 hours";
  if (images > per_day_)
    return Error{ErrorCode::kQuota, "a request to this model counts as " + std::to_string(images) +
                                        " predictions, and this tenant may have " + limit +
                                        "; ask the server's operator for more"};
  TACIT_TRY(const std::optional<Time> fits, ledger_.count_inferences(tenant, images, per_day_, now));
  if (!fits) return {};
  retry_after = static_cast<int>(std::max<Time>((*fits - now + 999) / 1000, 1));
  return Error{ErrorCode::kQuota,
               "this tenant may have " + limit + "; there is room for another one after Retry-After seconds"};
}

}  // namespace tacit::server
