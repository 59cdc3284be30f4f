// SPDX-License-Identifier: Apache-2.0
#include "client/stratified.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace tacit::client {
namespace {

// The rows of each class in an order that only `seed` decides. The library's own shuffle may differ from one standard
// library to the next; this one does not.
std::vector<std::vector<std::size_t>> shuffled_classes(std::span<const std::uint32_t> labels,
                                                       std::size_t classes, std::uint64_t seed) {
  std::vector<std::vector<std::size_t>> rows(classes);
  for (std::size_t i = 0; i < labels.size(); ++i) rows[labels[i]].push_back(i);
  std::mt19937_64 random(seed);
  for (std::vector<std::size_t>& one : rows)
    for (std::size_t left = one.size(); left > 1; --left) std::swap(one[left - 1], one[random() % left]);
  return rows;
}

// How many rows of each class are held out.
std::vector<std::size_t> quotas(const std::vector<std::vector<std::size_t>>& rows, std::size_t total,
                                double share) {
  std::vector<std::size_t> taken(rows.size());
  std::vector<double> remainders(rows.size());
  for (std::size_t c = 0; c < rows.size(); ++c) {
    const double exact = share * static_cast<double>(rows[c].size());
    taken[c] = static_cast<std::size_t>(exact);
    remainders[c] = exact - std::floor(exact);
  }
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  const auto wanted = static_cast<std::size_t>(std::llround(share * static_cast<double>(total)));
  std::size_t sum = std::accumulate(taken.begin(), taken.end(), std::size_t{0});
  for (std::size_t c : order) {
    if (sum >= wanted) break;
    if (taken[c] + 1 >= rows[c].size()) continue;
    ++taken[c];
    ++sum;
  }
  return taken;
}

}  // namespace

Split stratified_split(std::span<const std::uint32_t> labels, std::size_t classes, double share,
                       std::uint64_t seed) {
  const auto rows = shuffled_classes(labels, classes, seed);
  const std::vector<std::size_t> taken = quotas(rows, labels.size(), share);
  Split split;
  for (std::size_t c = 0; c < classes; ++c) {
    const auto border = rows[c].begin() + static_cast<std::ptrdiff_t>(taken[c]);
    split.held_out.insert(split.held_out.end(), rows[c].begin(), border);
    split.training.insert(split.training.end(), border, rows[c].end());
  }
  std::sort(split.held_out.begin(), split.held_out.end());
  std::sort(split.training.begin(), split.training.end());
  return split;
}

std::vector<std::size_t> stratified_parts(std::span<const std::uint32_t> labels, std::size_t classes,
                                          std::size_t parts, std::uint64_t seed) {
  std::vector<std::size_t> part(labels.size());
  std::size_t turn = 0;
  for (const std::vector<std::size_t>& rows : shuffled_classes(labels, classes, seed))
    for (std::size_t row : rows) part[row] = turn++ % parts;
  return part;
}

}  // namespace tacit::client
