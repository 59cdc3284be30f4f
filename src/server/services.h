// SPDX-License-Identifier: Apache-2.0
// What the routes work with.
#pragma once

#include <atomic>

#include "server/audit.h"
#include "server/inference_quota.h"
#include "server/jobs.h"
#include "server/key_cache.h"
#include "server/key_store.h"
#include "server/metrics.h"
#include "server/model_registry.h"
#include "server/state_health.h"

namespace tacit::server {

struct Services {
  ModelShelf& models;
  KeyStore& keys;
  KeyCache& cache;
  Executor& executor;
  Jobs& jobs;
  InferenceQuota& inference_quota;
  Metrics& metrics;
  Audit& audit;
  StateHealth& health;
  std::chrono::milliseconds max_silence;
  std::uint64_t max_body_bytes;
  const std::atomic<bool>& stopping;
};

}  // namespace tacit::server
