// SPDX-License-Identifier: Apache-2.0
#include "server/progress.h"

#include <utility>

#include "server/keep_going.h"

namespace tacit::server {

std::optional<JobStep> ProgressBoard::step_of(const std::string& job) const {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(job);
  return entry == entries_.end() ? std::nullopt : entry->second.step;
}

void ProgressBoard::step(const std::string& job, JobStep step) {
  tell(job, {JobState::kRunning, std::move(step)});
}

void ProgressBoard::state(const std::string& job, JobState state) { tell(job, {state, std::nullopt}); }

void ProgressBoard::tell(const std::string& job, const News& news) {
  const std::lock_guard lock(mutex_);
  const auto entry = news.step ? entries_.try_emplace(job).first : entries_.find(job);
  if (entry == entries_.end()) return;
  entry->second.step = news.step;
  std::erase_if(entry->second.watchers, [&](const auto& watching) {
    bool stays = false;
    keep_going("a job is not watched any more", [&] { stays = watching.second(news); });
    return !stays;
  });
  if (!news.step && entry->second.watchers.empty()) entries_.erase(entry);
}

ProgressBoard::Watch ProgressBoard::watch(const std::string& job, Watcher watcher) {
  const std::lock_guard lock(mutex_);
  entries_[job].watchers.emplace(++watches_, std::move(watcher));
  return watches_;
}

void ProgressBoard::unwatch(const std::string& job, Watch watch) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(job);
  if (entry == entries_.end()) return;
  entry->second.watchers.erase(watch);
  if (!entry->second.step && entry->second.watchers.empty()) entries_.erase(entry);
}

}  // namespace tacit::server
