// SPDX-License-Identifier: Apache-2.0
// Parallel loops over oneTBB, which hands work to the arena the caller is in: a server bounds a job by running it
// in an arena of its own.
#pragma once

#include <tbb/parallel_for.h>

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
  tbb::parallel_for(std::size_t{0}, count, body, tbb::simple_partitioner());
}

}  // namespace tacit
