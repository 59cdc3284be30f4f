// SPDX-License-Identifier: Apache-2.0
#include "ckks/row_blocks.h"
#include "support/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>

namespace tacit::ckks {
namespace {

using test::kSeed;
constexpr std::size_t kMaxRows = 6;

using Columns = std::vector<std::uint32_t>;

std::size_t cost(const std::vector<RowBlock>& blocks) {
  std::size_t total = 0;
  for (const RowBlock& block : blocks) total += block.columns.size() * (block.rows.size() + 1);
  return total;
}

void expect_blocks_of(const std::vector<Columns>& rows, const std::vector<RowBlock>& blocks) {
  Columns seen;
  std::size_t alone = 0;
  for (const RowBlock& block : blocks) {
    ASSERT_GE(block.rows.size(), 1u);
    ASSERT_LE(block.rows.size(), kMaxRows);
    Columns all;
    for (std::uint32_t row : block.rows) {
      Columns joined;
      std::ranges::set_union(all, rows.at(row), std::back_inserter(joined));
      all = joined;
      seen.push_back(row);
      alone += 2 * rows[row].size();
    }
    EXPECT_EQ(block.columns, all);
  }
  std::ranges::sort(seen);
  ASSERT_EQ(seen.size(), rows.size());
  for (std::uint32_t row = 0; row < rows.size(); ++row) EXPECT_EQ(seen[row], row);
  EXPECT_LE(cost(blocks), alone);
}

TEST(RowBlocks, HaveEveryRowOnce) {
  std::mt19937_64 random(kSeed);
  for (double share : {0.02, 0.2, 0.6, 1.0}) {
    for (std::size_t count : {1, 5, 6, 7, 40}) {
      SCOPED_TRACE("share " + std::to_string(share) + ", " + std::to_string(count) + " rows, seed " +
                   std::to_string(kSeed));
      std::vector<Columns> rows(count);
      std::bernoulli_distribution present(share);
      for (Columns& row : rows) {
        for (std::uint32_t column = 0; column < 30; ++column)
          if (present(random)) row.push_back(column);
      }
      expect_blocks_of(rows, make_row_blocks(rows, kMaxRows));
    }
  }
}

TEST(RowBlocks, OfADenseMatrixAreFull) {
  const std::vector<Columns> rows(20, {0, 1, 2, 3, 4});
  const auto blocks = make_row_blocks(rows, kMaxRows);
  expect_blocks_of(rows, blocks);
  EXPECT_EQ(blocks.size(), 4u);
}

TEST(RowBlocks, KeepTheChannelsOfAConvolutionTogether) {
  // Five channels at four places that do not overlap, channel after channel.
  std::vector<Columns> rows;
  for (std::uint32_t channel = 0; channel < 5; ++channel)
    for (std::uint32_t place = 0; place < 4; ++place)
      rows.push_back({3 * place, 3 * place + 1, 3 * place + 2});
  const auto blocks = make_row_blocks(rows, kMaxRows);
  expect_blocks_of(rows, blocks);
  EXPECT_EQ(cost(blocks), 4u * 3 * (5 + 1));
}

TEST(RowBlocks, JoinRowsOnlyWhereThatIsCheaper) {
  EXPECT_EQ(make_row_blocks(std::vector<Columns>{{0, 1, 2}, {3, 4, 5}}, kMaxRows).size(), 2u);
  EXPECT_EQ(make_row_blocks(std::vector<Columns>{{0, 1, 2, 3}, {1, 2, 3, 4}}, kMaxRows).size(), 1u);
}

}  // namespace
}  // namespace tacit::ckks
