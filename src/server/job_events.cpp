// SPDX-License-Identifier: Apache-2.0
#include "server/job_events.h"

#include <utility>

#include "server/json.h"
#include "server/keep_going.h"

namespace tacit::server {

namespace {

constexpr std::string_view kRetry = "retry: 3000\n\n";

Bytes event_of(const ProgressBoard::News& news, std::uint64_t number) {
  Json data = {{"state", std::string(to_string(news.state))}, {"layer", nullptr}};
  data["progress"] = rests(news.state) && news.state != JobState::kFailed ? 1.0 : 0.0;
  if (news.step) {
    data["layer"] = news.step->layer;
    data["progress"] = news.step->share();
  }
  const std::string text =
      (number == 1 ? std::string(kRetry) : std::string()) + "id: " + std::to_string(number) +
      "\nevent: " + (news.step ? "progress" : "state") + "\ndata: " + dump(data) + "\n\n";
  return Bytes(text.begin(), text.end());
}

}  // namespace

std::shared_ptr<JobEvents> JobEvents::of(ProgressBoard& board, const std::string& job) {
  std::shared_ptr<JobEvents> events(new JobEvents(board, job));
  events->watch_ = board.watch(job, [weak = std::weak_ptr(events)](const ProgressBoard::News& news) {
    const auto self = weak.lock();
    if (!self) return false;
    if (keep_going("a job's events end early", [&] { self->hear(news); })) return !rests(news.state);
    self->end();
    return false;
  });
  return events;
}

void JobEvents::begin(const Job& job) {
  const auto step = job.state == JobState::kRunning ? board_.step_of(job_) : std::nullopt;
  std::function<void()> deliver;
  {
    const std::lock_guard lock(mutex_);
    if (news_ || events_ > 0) return;
    news_ = ProgressBoard::News{job.state, step};
    deliver = delivery();
  }
  deliver();
}

void JobEvents::hear(const ProgressBoard::News& news) {
  std::function<void()> deliver;
  {
    const std::lock_guard lock(mutex_);
    news_ = news;
    deliver = delivery();
  }
  deliver();
}

void JobEvents::next(std::function<void(std::optional<Bytes>)> ready) {
  std::function<void()> deliver;
  {
    const std::lock_guard lock(mutex_);
    ready_ = std::move(ready);
    deliver = delivery();
  }
  deliver();
}

std::function<void()> JobEvents::delivery() {
  if (!ready_) return [] {};
  if (over_) return [ready = std::exchange(ready_, nullptr)] { ready(std::nullopt); };
  if (!news_) return [] {};
  Bytes bytes = event_of(*news_, events_ + 1);
  ++events_;
  over_ = rests(news_->state);
  news_.reset();
  return [ready = std::exchange(ready_, nullptr), bytes = std::move(bytes)] { ready(bytes); };
}

Bytes JobEvents::keep_alive() const {
  constexpr std::string_view kComment = ": still here\n\n";
  return Bytes(kComment.begin(), kComment.end());
}

void JobEvents::cancel() {
  board_.unwatch(job_, watch_);
  end();
}

void JobEvents::end() {
  std::function<void(std::optional<Bytes>)> ready;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    ready.swap(ready_);
  }
  if (ready) ready(std::nullopt);
}

}  // namespace tacit::server
