// SPDX-License-Identifier: Apache-2.0
// What nobody needs any more goes: key sets that nobody uses, pieces that are in no set, uploads that were not finished, and keys in
// memory whose set was deleted beside the server.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/audit.h"
#include "server/key_cache.h"
#include "server/key_store.h"

namespace tacit::server {

class Retention {
 public:
  // All must outlive it. `idle_keys`: milliseconds after which an unused key set goes; 0: never.
  Retention(KeyStore& keys, KeyCache& cache, Audit& audit, Time idle_keys)
      : keys_(keys), cache_(cache), audit_(audit), idle_keys_(idle_keys) {}
  ~Retention() { stop(); }
  Retention(const Retention&) = delete;
  Retention& operator=(const Retention&) = delete;

  // Removes what is due at `now`; what fails is logged and left to the next time.
  void sweep(Time now);

  // Sweeps now and every ten minutes, on a thread of its own.
  void start();
  void stop();

 private:
  KeyStore& keys_;
  KeyCache& cache_;
  Audit& audit_;
  const Time idle_keys_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tacit::server
