// SPDX-License-Identifier: Apache-2.0
// What the routes work with.
#pragma once

#include <atomic>

#include "server/key_cache.h"
#include "server/key_store.h"
#include "server/model_registry.h"

namespace tacit::server {

struct Services {
  const ModelRegistry& models;
  KeyStore& keys;
  KeyCache& cache;
  std::uint64_t max_body_bytes;
  const std::atomic<bool>& stopping;
};

}  // namespace tacit::server
