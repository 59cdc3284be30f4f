// SPDX-License-Identifier: Apache-2.0
#include "server/job_pool.h"

#include <algorithm>

#include "server/keep_going.h"

namespace tacit::server {

JobPool::JobPool(std::size_t threads, std::size_t capacity) : capacity_(capacity) {
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i)
    threads_.emplace_back([this] { work(); });
}

bool JobPool::submit(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

std::size_t JobPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void JobPool::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void JobPool::work() {
  while (true) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    keep_going("work was given up", job);
  }
}

}  // namespace tacit::server
