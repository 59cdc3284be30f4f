// SPDX-License-Identifier: Apache-2.0
// How far jobs are, in memory, and who wants to know: what pages and event streams show between two rows of the ledger. All
// functions may be called from several threads at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "server/state/queue.h"

namespace tacit::server {

struct JobStep {
  std::size_t done = 0, total = 0;  // operations of the plan
  std::string layer;                // that is being computed

  double share() const { return total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total); }
};

class ProgressBoard {
 public:
  struct News {
    JobState state = JobState::kQueued;
    std::optional<JobStep> step;  // while it runs
  };
  // Called at every change, one after the other and in their order, until it answers false. Must be quick and call nothing of
  // the board.
  using Watcher = std::function<bool(const News&)>;
  using Watch = std::uint64_t;

  // Where a running job is.
  std::optional<JobStep> step_of(const std::string& job) const;
  void step(const std::string& job, JobStep step);
  // The row says so already.
  void state(const std::string& job, JobState state);

  // Hears of all changes from now on.
  Watch watch(const std::string& job, Watcher watcher);
  // The watcher is not called any more when this returns.
  void unwatch(const std::string& job, Watch watch);

 private:
  struct Entry {
    std::optional<JobStep> step;
    std::map<Watch, Watcher> watchers;
  };
  void tell(const std::string& job, const News& news);

  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;  // jobs that run or are watched
  Watch watches_ = 0;
};

}  // namespace tacit::server
