// SPDX-License-Identifier: Apache-2.0
#include "ckks/row_blocks.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>

namespace tacit::ckks {

namespace {

using Columns = std::vector<std::uint32_t>;

Columns joined(const Columns& a, const Columns& b) {
  if (a == b) return a;
  Columns all;
  all.reserve(a.size() + b.size());
  std::ranges::set_union(a, b, std::back_inserter(all));
  return all;
}

}  // namespace

std::vector<RowBlock> make_row_blocks(std::span<const Columns> columns, std::size_t max_rows) {
  Columns order(columns.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, {}, [&](std::uint32_t row) -> const Columns& { return columns[row]; });

  // From the last row backwards: the least cost of what begins with a row, and how many rows its first block has then.
  std::vector<std::uint64_t> cost(order.size() + 1, 0);
  std::vector<std::size_t> size(order.size());
  for (std::size_t first = order.size(); first-- > 0;) {
    cost[first] = std::numeric_limits<std::uint64_t>::max();
    Columns all;
    for (std::size_t rows = 1; rows <= std::min(max_rows, order.size() - first); ++rows) {
      all = joined(all, columns[order[first + rows - 1]]);
      const std::uint64_t total = all.size() * (rows + 1) + cost[first + rows];
      if (total < cost[first]) {
        cost[first] = total;
        size[first] = rows;
      }
    }
  }

  std::vector<RowBlock> blocks;
  for (std::size_t first = 0; first < order.size(); first += size[first]) {
    RowBlock& block = blocks.emplace_back();
    for (std::size_t i = first; i < first + size[first]; ++i) {
      block.rows.push_back(order[i]);
      block.columns = joined(block.columns, columns[order[i]]);
    }
  }
  return blocks;
}

}  // namespace tacit::ckks
