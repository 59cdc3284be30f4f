// SPDX-License-Identifier: Apache-2.0
#include "plan/row_walk.h"

#include <algorithm>

namespace tacit::plan::detail {

namespace {

struct Position {
  int channel, row, column;
};

Position position(const Shape& shape, std::size_t index) {
  const auto width = static_cast<std::size_t>(shape.width), height = static_cast<std::size_t>(shape.height);
  return {static_cast<int>(index / (width * height)), static_cast<int>(index / width % height),
          static_cast<int>(index % width)};
}

// The window positions k in [first, last) for which start + k dilation lies in [0, size).
struct Range {
  int first, last;
};
Range inside(int start, int dilation, int kernel, int size) {
  const int first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
  const int last = start >= size ? 0 : std::min(kernel, (size - start + dilation - 1) / dilation);
  return {first, std::max(first, last)};
}

// Each adds value times the row `index` of the piece's matrix to `target`.
void pull(const Convolution& c, const Shape& in, const Shape& out, std::size_t index, double value,
          SparseVector& target) {
  const Position p = position(out, index);
  const int group_in = c.in_channels / c.groups;
  const int group = p.channel / (c.out_channels / c.groups);
  const int top = p.row * c.stride_height - c.pad_top, left = p.column * c.stride_width - c.pad_left;
  const Range rows = inside(top, c.dilation_height, c.kernel_height, in.height);
  const Range columns = inside(left, c.dilation_width, c.kernel_width, in.width);
  for (int ci = 0; ci < group_in; ++ci)
    for (int ky = rows.first; ky < rows.last; ++ky) {
      const std::size_t base = in.index(group * group_in + ci, top + ky * c.dilation_height, 0);
      const float* weights = c.weights.data() + ((static_cast<std::size_t>(p.channel) * group_in + ci) *
                                                     static_cast<std::size_t>(c.kernel_height) +
                                                 static_cast<std::size_t>(ky)) *
                                                    static_cast<std::size_t>(c.kernel_width);
      for (int kx = columns.first; kx < columns.last; ++kx)
        if (weights[kx] != 0)
          target.add(base + static_cast<std::size_t>(left + kx * c.dilation_width), value * weights[kx]);
    }
}

void pull(const AveragePooling& a, const Shape& in, const Shape& out, std::size_t index, double value,
          SparseVector& target) {
  const Position p = position(out, index);
  const int top = p.row * a.stride_height - a.pad_top, left = p.column * a.stride_width - a.pad_left;
  const Range rows = inside(top, 1, a.kernel_height, in.height);
  const Range columns = inside(left, 1, a.kernel_width, in.width);
  const double count = a.exclude_padding
                           ? static_cast<double>(rows.last - rows.first) * (columns.last - columns.first)
                           : static_cast<double>(a.kernel_height) * a.kernel_width;
  for (int ky = rows.first; ky < rows.last; ++ky)
    for (int kx = columns.first; kx < columns.last; ++kx)
      target.add(in.index(p.channel, top + ky, left + kx), value / count);
}

void pull(const Matrix& m, const Shape&, const Shape&, std::size_t index, double value,
          SparseVector& target) {
  const auto inputs = static_cast<std::size_t>(m.inputs);
  const float* weights = m.weights.data() + index * inputs;
  for (std::size_t i = 0; i < inputs; ++i)
    if (weights[i] != 0) target.add(i, value * weights[i]);
}

void pull(const Scaling& s, const Shape& in, const Shape&, std::size_t index, double value,
          SparseVector& target) {
  std::size_t factor = 0;
  if (s.factor.size() == in.elements())
    factor = index;
  else if (s.factor.size() > 1)
    factor = static_cast<std::size_t>(position(in, index).channel);
  target.add(index, value * s.factor[factor]);
}

}  // namespace

void SparseVector::sort() {
  if (!std::is_sorted(touched_.begin(), touched_.end())) std::sort(touched_.begin(), touched_.end());
}

void SparseVector::clear() {
  for (std::uint32_t index : touched_) {
    values_[index] = 0;
    touched_flag_[index] = 0;
  }
  touched_.clear();
}

RowWalk::RowWalk(const LinearMap& map) : map_(map), shapes_(shapes_of(map)) {
  stages_.reserve(shapes_.size());
  for (const Shape& shape : shapes_) stages_.emplace_back(shape.elements());
}

std::span<const SparseEntry> RowWalk::row(std::size_t output) {
  stages_.back().add(output, map_.scale);
  for (std::size_t i = map_.pieces.size(); i-- > 0;) {
    SparseVector& from = stages_[i + 1];
    for (std::uint32_t index : from.touched())
      std::visit(
          [&](const auto& piece) { pull(piece, shapes_[i], shapes_[i + 1], index, from[index], stages_[i]); },
          map_.pieces[i]);
    from.clear();
  }
  SparseVector& input = stages_.front();
  input.sort();
  row_.clear();
  for (std::uint32_t column : input.touched())
    if (input[column] != 0) row_.push_back({column, input[column]});
  input.clear();
  return row_;
}

}  // namespace tacit::plan::detail
