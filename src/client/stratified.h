// SPDX-License-Identifier: Apache-2.0
// Dividing labelled rows into parts that have the classes in the same proportions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tacit::client {

// Row numbers, each list ascending; together every row once.
struct Split {
  std::vector<std::size_t> training, held_out;
};

// Holds out round(share * rows) rows, from each class as many as its proportion says (what the rounding leaves goes to
// the classes with the largest remainders), but never the last row of a class. Which rows depends on `seed` and
// nothing else. `labels` are below `classes`, `share` is in [0, 1).
Split stratified_split(std::span<const std::uint32_t> labels, std::size_t classes, double share,
                       std::uint64_t seed);

// The part, below `parts`, that each of the rows is in: every class is dealt out in turn, shuffled by `seed`, so that
// the parts' sizes, and their shares of each class, differ by at most one row.
std::vector<std::size_t> stratified_parts(std::span<const std::uint32_t> labels, std::size_t classes,
                                          std::size_t parts, std::uint64_t seed);

}  // namespace tacit::client
