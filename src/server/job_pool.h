// SPDX-License-Identifier: Apache-2.0
// A few threads and a bounded queue in front of them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tacit::server {

class JobPool {
 public:
  // At least one thread; at most `capacity` jobs wait.
  JobPool(std::size_t threads, std::size_t capacity);
  ~JobPool() { stop(); }
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // False, and `job` is dropped, where the queue is full or the pool was stopped. A job must not throw.
  bool submit(std::function<void()> job);
  // Jobs that wait.
  std::size_t waiting() const;
  // Does what was submitted and ends the threads; nothing can be submitted any more. Called twice it does nothing.
  void stop();

 private:
  void work();

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tacit::server
