// SPDX-License-Identifier: Apache-2.0
// Parallel loops over oneTBB, which hands work to the arena the caller is in: a server bounds a job by running it
// in an arena of its own.
#pragma once

#if defined(__SANITIZE_THREAD__)
#include <atomic>
#include <thread>
#else
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#endif

#include <cstddef>

namespace tacit {

// Calls body(i) for every i in [0, count), in any order, on any thread of the current arena; returns when all are
// done. The calls must not depend on each other.
template <class Body>
void parallel_for(std::size_t count, const Body& body) {
  if (count == 1) {
    body(std::size_t{0});
    return;
  }
#if defined(__SANITIZE_THREAD__)
  // Debian's oneTBB is not built for the thread sanitizer, which cannot see how it synchronises. Two threads do instead:
  // the sanitizer then knows of the start and the end of the loop, and of nothing else that would order its calls.
  std::atomic<std::size_t> next{0};
  auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(i);
  };
  std::thread helper(work);
  work();
  helper.join();
#else
  tbb::parallel_for(std::size_t{0}, count, body, tbb::simple_partitioner());
#endif
}

// Calls body(), whose loops use at most so many cores.
template <class Body>
void with_cores(std::size_t cores, const Body& body) {
#if defined(__SANITIZE_THREAD__)
  static_cast<void>(cores);
  body();
#else
  tbb::task_arena arena(static_cast<int>(cores));
  arena.execute(body);
#endif
}

}  // namespace tacit
