// SPDX-License-Identifier: Apache-2.0
#include "server/executor.h"

#include <algorithm>

#include "base/parallel.h"
#include "server/keep_going.h"

namespace tacit::server {

namespace {

// So many tasks of one group may begin one after the other while another group waits.
constexpr std::size_t kInRow = 8;
// Weight of the latest task in the average.
constexpr double kWeight = 0.2;

}  // namespace

Executor::Executor(const Limits& limits)
    : limits_{std::max<std::size_t>(limits.cores, 1), limits.bytes, limits.waiting} {
  pulses_.reserve(limits_.cores);
  for (std::size_t i = 0; i < limits_.cores; ++i) {
    threads_.emplace_back([this] {
      for (bool going = true; going;) keep_going("a task was given up", [&] { going = work(); });
    });
  }
}

Status Executor::admits(std::uint64_t bytes) const {
  if (bytes <= limits_.bytes) return {};
  return Error{ErrorCode::kMemoryLimit, "this prediction needs " + std::to_string(bytes >> 20) +
                                            " MiB of memory, and the server gives " +
                                            std::to_string(limits_.bytes >> 20) +
                                            " MiB to all of them together; its operator can raise "
                                            "limits.memory"};
}

Status Executor::submit(Task task) {
  TACIT_CHECK(admits(task.bytes));
  {
    const std::lock_guard lock(mutex_);
    const auto of_tenant = static_cast<std::size_t>(std::ranges::count(line_, task.tenant, &Task::tenant));
    if (stopping_ || of_tenant + line_.size() >= limits_.waiting)
      return Error{ErrorCode::kServerBusy,
                   "as many predictions as allowed are waiting already; try again later"};
    line_.push_back(std::move(task));
  }
  changed_.notify_one();
  return {};
}

void Executor::set_source(Source next) {
  const std::lock_guard lock(mutex_);
  source_ = std::move(next);
}

void Executor::wake() {
  {
    const std::lock_guard lock(mutex_);
    source_may_have_ = true;
  }
  changed_.notify_one();
}

std::chrono::milliseconds Executor::expected_wait() const {
  const std::lock_guard lock(mutex_);
  const double tasks = static_cast<double>(line_.size() + running_);
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(1000 * core_seconds_ * tasks / static_cast<double>(limits_.cores)));
}

std::string Executor::retry_after() const {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(expected_wait());
  return std::to_string(std::clamp<std::int64_t>(seconds.count(), 1, 120));
}

Executor::Load Executor::load() const {
  const std::lock_guard lock(mutex_);
  return {running_, line_.size() + (ahead_ ? 1 : 0), used_cores_, used_bytes_};
}

std::chrono::nanoseconds Executor::silence() const {
  const std::lock_guard lock(mutex_);
  std::chrono::nanoseconds longest{0};
  for (const auto& pulse : pulses_)
    longest = std::max<std::chrono::nanoseconds>(longest, Clock::now() - pulse->last());
  return longest;
}

// More of the group that has its keys in memory, up to kInRow; else the oldest of the tenant that comes next.
std::optional<Task> Executor::from_line() {
  if (line_.empty()) return std::nullopt;
  auto chosen = in_row_ < kInRow ? std::ranges::find(line_, group_, &Task::group) : line_.end();
  if (chosen == line_.end())
    chosen = std::ranges::min_element(line_, {}, [this](const Task& task) {
      return std::pair(task.tenant <= tenant_, std::string_view(task.tenant));
    });
  // A task that does not fit now is waited for: others that do would keep it out for ever.
  if (!fits(*chosen)) return std::nullopt;
  Task task = std::move(*chosen);
  line_.erase(chosen);
  tenant_ = task.tenant;
  return task;
}

std::optional<Task> Executor::take(std::unique_lock<std::mutex>& lock) {
  if (used_cores_ >= limits_.cores) return std::nullopt;
  // What is submitted and woken while the lock is gone is seen when it is back.
  while (!ahead_ && source_may_have_ && !asking_ && !stopping_ && (line_.empty() || sources_turn_)) {
    const std::string group = in_row_ < kInRow ? group_ : std::string();
    asking_ = true;
    source_may_have_ = sources_turn_ = false;
    lock.unlock();
    std::optional<Task> task = source_(group);
    lock.lock();
    asking_ = false;
    if (!task) continue;
    source_may_have_ = true;
    ahead_ = std::move(task);
  }
  if (used_cores_ >= limits_.cores) return std::nullopt;
  if (ahead_) {
    if (!fits(*ahead_)) return std::nullopt;
    return std::exchange(ahead_, std::nullopt);
  }
  std::optional<Task> task = from_line();
  if (task) sources_turn_ = true;
  return task;
}

bool Executor::work() {
  std::unique_lock lock(mutex_);
  std::optional<Task> task;
  changed_.wait(lock, [&] {
    task = take(lock);
    return task || (stopping_ && line_.empty() && !ahead_);
  });
  if (!task) return false;
  // All cores for the only one; where others wait or run, they get theirs.
  const std::size_t others =
      std::min(running_ + line_.size() + (source_may_have_ ? 1 : 0), limits_.cores - 1);
  const std::size_t cores =
      std::clamp<std::size_t>(limits_.cores / (1 + others), 1, limits_.cores - used_cores_);
  in_row_ = task->group == group_ ? in_row_ + 1 : 1;
  group_.swap(task->group);
  const std::uint64_t bytes = task->bytes;
  ++running_, used_cores_ += cores, used_bytes_ += bytes;
  const std::shared_ptr<Pulse> pulse = task->pulse;
  if (pulse) {
    pulse->beat();
    pulses_.push_back(pulse);
  }
  lock.unlock();
  changed_.notify_one();  // there may be cores left
  const Clock::time_point start = Clock::now();
  keep_going("a task was given up", [&] { with_cores(cores, task->run); });
  task.reset();
  const std::chrono::duration<double> took = Clock::now() - start;
  lock.lock();
  --running_, used_cores_ -= cores, used_bytes_ -= bytes;
  std::erase(pulses_, pulse);
  const double core_seconds = took.count() * static_cast<double>(cores);
  core_seconds_ =
      core_seconds_ == 0 ? core_seconds : core_seconds_ + kWeight * (core_seconds - core_seconds_);
  changed_.notify_all();
  return true;
}

void Executor::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace tacit::server
