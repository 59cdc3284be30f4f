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
      const std::string id = to_hex(set.digest);
      log_info("a key set was removed that nobody has used for long",
               {{"tenant", set.tenant}, {"key_id", id}});
      Json line = audit_event("keys.deleted");
      line["tenant"] = set.tenant;
      line["key_id"] = id;
      line["by"] = "retention";
      audit_.record_soon(std::move(line));
    }
  }
  for (const auto& [tenant, set] : cache_.resident_sets())
    if (const auto row = ledger.find_set(tenant, set);
        !row.ok() && row.error().code == ErrorCode::kKeyUnknown)
      cache_.forget(tenant, set);
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
