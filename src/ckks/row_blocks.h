// SPDX-License-Identifier: Apache-2.0
// Which rows of a sparse matrix are multiplied together: those of a block share what is read of a vector, but for each of
// them all columns count that any of them has.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tacit::ckks {

struct RowBlock {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> columns;  // of any of its rows, ascending
};

// Every row in one block, with up to `max_rows` others. Rows are put in the order of their columns, which brings together
// those that have the same (the channels of a convolution at one place) or overlap (at places next to each other); of all
// ways to cut that order into blocks, the one of least cost is taken: for each column of a block one for each of its rows,
// and one for reading. `columns` has each row's, ascending.
std::vector<RowBlock> make_row_blocks(std::span<const std::vector<std::uint32_t>> columns,
                                      std::size_t max_rows);

}  // namespace tacit::ckks
