// SPDX-License-Identifier: Apache-2.0
// The diagonals of linear maps between layouts.
#include <algorithm>

#include "plan/linear_map.h"
#include "plan/row_walk.h"

namespace tacit::plan {

namespace {

// The slot of every element, row-major.
std::vector<std::size_t> slots_of(const Layout& layout) {
  std::vector<std::size_t> slots;
  slots.reserve(layout.shape.elements());
  for (int c = 0; c < layout.shape.channels; ++c)
    for (int y = 0; y < layout.shape.height; ++y)
      for (int x = 0; x < layout.shape.width; ++x) slots.push_back(layout.slot(c, y, x));
  return slots;
}

// Calls f(diagonal, t, value) for every entry: within a block M[row, column] stands on the diagonal d = column - row
// modulo min(R, T). Where T <= R, only t = row gives M's row; else the one t = row modulo R with t + d = column modulo T.
template <class F>
void for_each_entry(const LinearMap& map, const Layout& in, std::size_t in_period, const Layout& out,
                    std::size_t out_period, std::size_t slots, const F& f) {
  const std::vector<std::size_t> columns = slots_of(in), rows = slots_of(out);
  const std::size_t in_block = std::min(in_period, slots), out_block = std::min(out_period, slots);
  const std::size_t modulus = std::min(in_block, out_block);
  const bool folded = in_block > out_block;
  detail::RowWalk walk(map);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const SparseEntry& entry : walk.row(i)) {
      // The periods are powers of two: masking reduces modulo them.
      const std::size_t row = rows[i] & (out_block - 1), column = columns[entry.column] & (in_block - 1);
      const std::size_t d = (column - row) & (modulus - 1);
      const ckks::DiagonalIndex diagonal{static_cast<std::uint32_t>(rows[i] / out_block),
                                         static_cast<std::uint32_t>(columns[entry.column] / in_block), d};
      f(diagonal, folded ? (column - d) & (in_block - 1) : row, entry.value);
    }
}

}  // namespace

DiagonalIndices diagonal_frame(std::size_t in_period, std::size_t out_period, std::size_t slots) {
  const std::size_t in_block = std::min(in_period, slots), out_block = std::min(out_period, slots);
  DiagonalIndices frame;
  frame.slots = slots;
  frame.modulus = std::min(in_block, out_block);
  frame.period = std::max(in_block, out_block);
  for (std::size_t step = in_block / 2; step >= out_block; step /= 2) frame.folds.push_back(step);
  return frame;
}

DiagonalIndices diagonal_indices(const LinearMap& map, const Layout& in, std::size_t in_period,
                                 const Layout& out, std::size_t out_period, std::size_t slots) {
  DiagonalIndices result = diagonal_frame(in_period, out_period, slots);
  const std::size_t inputs = ciphertext_count(in, in_period, slots),
                    outputs = ciphertext_count(out, out_period, slots);
  std::vector<bool> present(outputs * inputs * result.modulus, false);
  for_each_entry(map, in, in_period, out, out_period, slots,
                 [&](const ckks::DiagonalIndex& d, std::size_t, double) {
                   present[(d.output * inputs + d.input) * result.modulus + d.index] = true;
                 });
  for (std::size_t place = 0; place < present.size(); ++place) {
    if (!present[place]) continue;
    const std::size_t block = place / result.modulus;
    result.indices.push_back({static_cast<std::uint32_t>(block / inputs),
                              static_cast<std::uint32_t>(block % inputs), place % result.modulus});
  }
  return result;
}

Diagonals make_diagonals(const LinearMap& map, const Layout& in, std::size_t in_period, const Layout& out,
                         std::size_t out_period, std::size_t slots) {
  const DiagonalIndices frame = diagonal_frame(in_period, out_period, slots);
  Diagonals result{frame.slots, frame.modulus, frame.period, frame.folds, {}};
  const std::size_t inputs = ciphertext_count(in, in_period, slots),
                    outputs = ciphertext_count(out, out_period, slots);
  // Looked up once for each place: there are as many entries as weights.
  std::vector<std::vector<double>*> dense(outputs * inputs * frame.modulus, nullptr);
  for_each_entry(map, in, in_period, out, out_period, slots,
                 [&](const ckks::DiagonalIndex& d, std::size_t t, double value) {
                   auto& entries = dense[(d.output * inputs + d.input) * frame.modulus + d.index];
                   if (entries == nullptr) {
                     entries = &result.diagonals[d];
                     entries->assign(frame.period, 0);
                   }
                   (*entries)[t] = value;
                 });
  return result;
}

DiagonalIndices Diagonals::indices() const {
  DiagonalIndices result{slots, modulus, period, folds, {}};
  for (const auto& [d, entries] : diagonals) result.indices.push_back(d);
  return result;
}

std::vector<double> bias_slots(const LinearMap& map, const Layout& out, std::size_t out_period) {
  std::vector<double> result(out_period, 0);
  if (map.bias.empty()) return result;
  const std::vector<std::size_t> slots = slots_of(out);
  for (std::size_t i = 0; i < slots.size(); ++i) result[slots[i]] = map.bias[i];
  return result;
}

}  // namespace tacit::plan
