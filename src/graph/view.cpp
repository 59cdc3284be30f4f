// SPDX-License-Identifier: Apache-2.0
#include "graph/view.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace tacit::graph {
namespace {

// The numbers of the axes with more than one element.
std::vector<std::size_t> wide_axes(const Dims& dims) {
  std::vector<std::size_t> axes;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] > 1) axes.push_back(i);
  }
  return axes;
}

Dims wide_dims(const Dims& dims) {
  Dims wide;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(wide), [](std::int64_t dim) { return dim > 1; });
  return wide;
}

// For each axis of wide_axes() its place in the value.
Dims places(const ActivationOperand& operand, std::size_t count) {
  if (!operand.order.empty()) return operand.order;
  Dims ascending(count);
  std::iota(ascending.begin(), ascending.end(), 0);
  return ascending;
}

// Wide dimensions and places of one image's axes.
struct ImageAxes {
  Dims dims, order;
};

std::optional<ImageAxes> image_axes(const ActivationOperand& operand, std::int64_t batch) {
  ImageAxes axes{wide_dims(operand.dims), {}};
  axes.order = places(operand, axes.dims.size());
  if (batch == 1) return axes;
  if (operand.dims.empty() || operand.dims[0] != batch || axes.order[0] != 0) return std::nullopt;
  axes.dims.erase(axes.dims.begin());
  axes.order.erase(axes.order.begin());
  for (std::int64_t& place : axes.order) --place;
  return axes;
}

}  // namespace

std::optional<Shape> image_shape(const Dims& dims, std::int64_t batch) {
  if (dims.size() == 1 && batch == 1) return Shape{dims[0], 1, 1};
  if (dims.size() < 2 || dims.size() > 4 || dims[0] != batch) return std::nullopt;
  if (dims.size() == 2) return Shape{dims[1], 1, 1};
  if (dims.size() == 3) return Shape{dims[1], 1, dims[2]};
  return Shape{dims[1], dims[2], dims[3]};
}

ActivationOperand transposed(const ActivationOperand& operand, std::span<const std::int64_t> permutation) {
  const std::vector<std::size_t> wide = wide_axes(operand.dims);
  const Dims before = places(operand, wide.size());
  Dims place_of(operand.dims.size(), -1);
  for (std::size_t k = 0; k < wide.size(); ++k) place_of[wide[k]] = before[k];
  ActivationOperand result{operand.value, {}, operand.function, {}, operand.mover};
  for (std::int64_t axis : permutation) {
    const auto from = static_cast<std::size_t>(axis);
    result.dims.push_back(operand.dims[from]);
    if (place_of[from] >= 0) result.order.push_back(place_of[from]);
  }
  if (std::is_sorted(result.order.begin(), result.order.end())) result.order.clear();
  return result;
}

std::optional<ActivationOperand> with_other_ones(const ActivationOperand& operand, const Dims& dims) {
  if (wide_dims(operand.dims) != wide_dims(dims)) return std::nullopt;
  ActivationOperand result = operand;
  result.dims = dims;
  return result;
}

std::optional<std::vector<std::uint32_t>> element_sources(const ActivationOperand& operand,
                                                          std::int64_t batch) {
  const std::optional<ImageAxes> axes = image_axes(operand, batch);
  if (!axes) return std::nullopt;
  Dims value_dims(axes->dims.size());
  for (std::size_t k = 0; k < axes->dims.size(); ++k)
    value_dims[static_cast<std::size_t>(axes->order[k])] = axes->dims[k];
  std::int64_t count = 1;
  for (std::int64_t dim : value_dims) count *= dim;
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  Result<Constant> turned = transpose(make_integers(value_dims, std::move(numbers)), axes->order);
  if (!turned.ok()) return std::nullopt;
  return std::vector<std::uint32_t>(turned->integers().begin(), turned->integers().end());
}

std::optional<std::vector<float>> in_value_order(const ActivationOperand& operand, std::int64_t batch,
                                                 const std::vector<float>& numbers) {
  const std::optional<ImageAxes> axes = image_axes(operand, batch);
  if (!axes) return std::nullopt;
  const Result<std::int64_t> count = element_count(axes->dims);
  if (!count.ok() || *count != static_cast<std::int64_t>(numbers.size())) return std::nullopt;
  Result<Constant> turned = transpose(make_floats(axes->dims, numbers), inverse(axes->order));
  if (!turned.ok()) return std::nullopt;
  return std::move(*std::get_if<0>(&turned->data));
}

Dims channels_first(const ActivationOperand& operand, std::int64_t axis) {
  const std::vector<std::size_t> wide = wide_axes(operand.dims);
  const Dims order = places(operand, wide.size());
  Dims by_place(wide.size());
  for (std::size_t k = 0; k < wide.size(); ++k)
    by_place[static_cast<std::size_t>(order[k])] = static_cast<std::int64_t>(wide[k]);
  std::erase_if(by_place, [&](std::int64_t other) { return other == 0 || other == axis; });
  Dims permutation = {0, axis};
  auto next = by_place.begin();
  for (std::int64_t i = 1; i < static_cast<std::int64_t>(operand.dims.size()); ++i) {
    if (i == axis) continue;
    permutation.push_back(operand.dims[static_cast<std::size_t>(i)] > 1 ? *next++ : i);
  }
  return permutation;
}

Dims inverse(std::span<const std::int64_t> permutation) {
  Dims result(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i)
    result[static_cast<std::size_t>(permutation[i])] = static_cast<std::int64_t>(i);
  return result;
}

Dims channels_first_dims(const Dims& dims) {
  Dims first = {dims.front(), dims.back()};
  first.insert(first.end(), dims.begin() + 1, dims.end() - 1);
  return first;
}

ActivationOperand channels_last_view(ValueId value, const Dims& dims) {
  Dims permutation = {0};
  for (std::size_t i = 2; i < dims.size(); ++i) permutation.push_back(static_cast<std::int64_t>(i));
  permutation.push_back(1);
  return transposed({value, channels_first_dims(dims)}, permutation);
}

}  // namespace tacit::graph
