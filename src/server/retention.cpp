// SPDX-License-Identifier: Apache-2.0
#include "server/retention.h"

#include <chrono>

#include "server/keep_going.h"

namespace tacit::server {

namespace {

constexpr std::chrono::minutes kEvery{10};

}  // namespace

void Retention::sweep(Time now) {
  const auto logged = [](const Status& status) {
    if (!status.ok()) log_error("old keys are not removed", status.error());
  };
  Ledger& ledger = keys_.ledger();
  if (idle_keys_ > 0) {
    const auto idle = ledger.idle_sets(now - idle_keys_);
    if (!idle.ok()) return logged(idle.error());
    for (const Ledger::Owned& set : *idle) {
      const Status removed = keys_.remove_set(set.tenant, set.digest);
      logged(removed);
      if (!removed.ok()) continue;
      cache_.forget(set.tenant, set.digest);
      log_info("a key set was removed that nobody has used for long");
    }
  }
  logged(keys_.remove_loose(now - kKeepLoosePieces));
  const auto abandoned = ledger.abandoned_parts(now - kKeepLoosePieces);
  if (!abandoned.ok()) return logged(abandoned.error());
  for (const Ledger::Owned& piece : *abandoned) logged(keys_.remove_parts(piece.tenant, piece.digest));
}

void Retention::start() {
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      keep_going("old keys are not removed", [this] { sweep(now()); });
      lock.lock();
      woken_.wait_for(lock, kEvery, [this] { return stopping_; });
    }
  });
}

void Retention::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace tacit::server
