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

// Calls f(d, t, value) for every entry: M[row, column] stands on the diagonal d = column - row modulo min(R, T). Where
// T <= R, only t = row gives M's row; else the one t = row modulo R with t + d = column modulo T.
template <class F>
void for_each_entry(const LinearMap& map, const Layout& in, std::size_t in_period, const Layout& out,
                    std::size_t out_period, const F& f) {
  const std::vector<std::size_t> columns = slots_of(in), rows = slots_of(out);
  const std::size_t modulus = std::min(in_period, out_period);
  const bool folded = in_period > out_period;
  detail::RowWalk walk(map);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const SparseEntry& entry : walk.row(i)) {
      const std::size_t column = columns[entry.column];
      // The periods are powers of two: masking reduces differences modulo them.
      const std::size_t d = (column - rows[i]) & (modulus - 1);
      f(d, folded ? (column - d) & (in_period - 1) : rows[i], entry.value);
    }
}

}  // namespace

DiagonalIndices diagonal_frame(std::size_t in_period, std::size_t out_period, std::size_t slots) {
  DiagonalIndices frame;
  frame.slots = slots;
  frame.modulus = std::min(in_period, out_period);
  frame.period = std::max(in_period, out_period);
  for (std::size_t step = in_period / 2; step >= out_period; step /= 2) frame.folds.push_back(step);
  return frame;
}

DiagonalIndices diagonal_indices(const LinearMap& map, const Layout& in, std::size_t in_period,
                                 const Layout& out, std::size_t out_period, std::size_t slots) {
  DiagonalIndices result = diagonal_frame(in_period, out_period, slots);
  std::vector<bool> present(result.modulus, false);
  for_each_entry(map, in, in_period, out, out_period,
                 [&](std::size_t d, std::size_t, double) { present[d] = true; });
  for (std::size_t d = 0; d < present.size(); ++d)
    if (present[d]) result.indices.push_back(d);
  return result;
}

Diagonals make_diagonals(const LinearMap& map, const Layout& in, std::size_t in_period, const Layout& out,
                         std::size_t out_period, std::size_t slots) {
  const DiagonalIndices frame = diagonal_frame(in_period, out_period, slots);
  std::vector<std::vector<double>> dense(frame.modulus);
  for_each_entry(map, in, in_period, out, out_period, [&](std::size_t d, std::size_t t, double value) {
    if (dense[d].empty()) dense[d].assign(frame.period, 0);
    dense[d][t] = value;
  });
  Diagonals result{frame.slots, frame.modulus, frame.period, frame.folds, {}};
  for (std::size_t d = 0; d < dense.size(); ++d)
    if (!dense[d].empty()) result.diagonals.emplace_hint(result.diagonals.end(), d, std::move(dense[d]));
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
