// SPDX-License-Identifier: Apache-2.0
// Predictions in their turn: which runs next, on how many cores and within how much memory. Cores and bytes are handed out and
// given back, so that neither is ever promised twice; what does not fit waits in a line of bounded length, or is refused. Tenants
// take turns, and none can fill the line.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace tacit::server {

// Says when work last got on.
class Pulse {
 public:
  using Clock = std::chrono::steady_clock;
  void beat() { last_ = Clock::now().time_since_epoch().count(); }
  Clock::time_point last() const { return Clock::time_point(Clock::duration(last_)); }

 private:
  std::atomic<Clock::rep> last_ = 0;
};

struct Task {
  std::string group;        // tasks of one group work with the same keys in memory
  std::uint64_t bytes = 0;  // that it may take up, keys included
  // Called once, in an arena of the cores that it was given, or destroyed without a call where there is no memory for that.
  std::function<void()> run;
  // Beaten by `run` between its steps, so that others can see whether it gets on; null where nobody is to look.
  std::shared_ptr<Pulse> pulse = nullptr;
  std::string tenant = {};
};

class Executor {
 public:
  struct Limits {
    std::size_t cores = 1;
    std::uint64_t bytes = ~std::uint64_t{0};
    std::size_t waiting =
        64;  // of all tenants; one may have as many of them as are still free (Choudhury and
             // Hahne, "Dynamic queue length thresholds", 1998, alpha = 1)
  };
  explicit Executor(const Limits& limits);
  ~Executor() { stop(); }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // kMemoryLimit for what would not fit even alone.
  Status admits(std::uint64_t bytes) const;
  // Errors of admits(); kServerBusy where the line is full, has no place for more of this tenant, or was stopped; the task is dropped
  // then.
  Status submit(Task task);

  // Tasks that wait elsewhere, in the ledger: `next` is asked for one that admits() has let in when it is their turn, with the group
  // that had the last one where more of it are welcome. It may block and must not throw. Set before the first wake().
  using Source = std::function<std::optional<Task>(const std::string& group)>;
  void set_source(Source next);
  // There may be one in the source.
  void wake();

  // How long a task that is submitted now will wait, about: from the time that others took of late.
  std::chrono::milliseconds expected_wait() const;
  // The same for the field Retry-After: 1 to 120 seconds.
  std::string retry_after() const;
  struct Load {
    std::size_t running = 0, waiting = 0, cores = 0;
    std::uint64_t bytes = 0;  // given to what runs
  };
  Load load() const;
  const Limits& limits() const { return limits_; }
  // The longest time that a running task has shown no sign of life; 0 where none runs.
  std::chrono::nanoseconds silence() const;

  // Runs what was submitted, asks the source for nothing more, and ends the threads. Called twice it does nothing.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  // The next task, when it can begin; false at the end.
  bool work();
  // With the lock held, which it may let go for a while: the next task that can begin, taken out of the line.
  std::optional<Task> take(std::unique_lock<std::mutex>& lock);
  std::optional<Task> from_line();
  bool fits(const Task& task) const { return task.bytes <= limits_.bytes - used_bytes_; }

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> line_;      // the oldest first
  std::optional<Task> ahead_;  // out of the source, to run before anything else
  Source source_;
  bool source_may_have_ = false, asking_ = false, sources_turn_ = false;
  std::string group_;                           // of the task that began last
  std::string tenant_;                          // of the one that came last out of the line
  std::size_t in_row_ = 0;                      // so many of its group have begun one after the other
  std::vector<std::shared_ptr<Pulse>> pulses_;  // of what runs; has room for one on each core
  std::size_t running_ = 0, used_cores_ = 0;
  std::uint64_t used_bytes_ = 0;
  double core_seconds_ = 0;  // that a task takes, averaged
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tacit::server
