// SPDX-License-Identifier: Apache-2.0
#include "plan/layout.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

namespace tacit::plan {

namespace {

Error bad_layout(std::string_view what, const std::string& why) {
  return Error{ErrorCode::kDataMalformed, "the layout of " + std::string(what) + " " + why};
}

// Calls f(slot, row-major index) for every element.
template <class F>
void for_each_element(const Layout& layout, const F& f) {
  const Shape& shape = layout.shape;
  std::size_t index = 0;
  for (int c = 0; c < shape.channels; ++c)
    for (int y = 0; y < shape.height; ++y)
      for (int x = 0; x < shape.width; ++x) f(layout.slot(c, y, x), index++);
}

}  // namespace

std::size_t Layout::slot(int c, int y, int x) const {
  const int block = c / (gap * gap);
  const int within = c % (gap * gap);
  const auto row = static_cast<std::size_t>(y * gap + within / gap);
  const auto column = static_cast<std::size_t>(x * gap + within % gap);
  return (static_cast<std::size_t>(block) * static_cast<std::size_t>(grid_height) + row) *
             static_cast<std::size_t>(grid_width) +
         column;
}

std::size_t Layout::extent() const {
  const auto per_block = static_cast<std::size_t>(gap) * static_cast<std::size_t>(gap);
  const std::size_t blocks = (static_cast<std::size_t>(shape.channels) + per_block - 1) / per_block;
  return blocks * static_cast<std::size_t>(grid_height) * static_cast<std::size_t>(grid_width);
}

bool Layout::fits_grid() const {
  return static_cast<std::int64_t>(shape.height) * gap <= grid_height &&
         static_cast<std::int64_t>(shape.width) * gap <= grid_width;
}

Status Layout::validate(std::string_view what) const {
  constexpr int kLimit = static_cast<int>(kMaxExtent);
  for (int dimension : {shape.channels, shape.height, shape.width, grid_height, grid_width})
    if (dimension < 1 || dimension > kLimit)
      return bad_layout(what, "has a dimension outside of 1 to " + std::to_string(kLimit));
  if (gap < 1 || gap > 256) return bad_layout(what, "has a gap outside of 1 to 256");
  if (!fits_grid())
    return bad_layout(what, "does not fit its grid of " + std::to_string(grid_height) + "x" +
                                std::to_string(grid_width) + " slots");
  if (extent() > kMaxExtent)
    return bad_layout(what, "needs more than " + std::to_string(kMaxExtent) + " slots");
  return {};
}

std::size_t ciphertext_count(const Layout& layout, std::size_t period, std::size_t slots) {
  return period <= slots ? 1 : (layout.extent() + slots - 1) / slots;
}

Result<std::vector<double>> pack(const Layout& layout, std::size_t period, std::size_t slots,
                                 std::span<const float> tensor, double factor) {
  const bool repeats = std::has_single_bit(slots) && period <= slots;
  if (!std::has_single_bit(period) || layout.extent() > std::min(period, slots) ||
      !(repeats || slots < period))
    return Error{ErrorCode::kInvalidArgument, "cannot pack " + std::to_string(layout.extent()) +
                                                  " slots with period " + std::to_string(period) + " into " +
                                                  std::to_string(slots) + " slots"};
  if (tensor.size() != layout.shape.elements())
    return Error{ErrorCode::kTensorShape, "the tensor has " + std::to_string(tensor.size()) +
                                              " elements, the model's input has " +
                                              std::to_string(layout.shape.elements())};
  for (std::size_t i = 0; i < tensor.size(); ++i)
    if (!std::isfinite(tensor[i] * factor))
      return Error{ErrorCode::kValueOutOfRange,
                   "element " + std::to_string(i) + " of the tensor is not finite"};
  std::vector<double> result(slots, 0);
  for_each_element(layout,
                   [&](std::size_t slot, std::size_t index) { result[slot] = tensor[index] * factor; });
  for (std::size_t t = period; t < slots; ++t) result[t] = result[t - period];
  return result;
}

Result<std::vector<float>> unpack(const Layout& layout, std::span<const double> slots, double factor) {
  if (slots.size() < layout.extent())
    return Error{ErrorCode::kTensorShape, "there are " + std::to_string(slots.size()) +
                                              " slots, the layout needs " + std::to_string(layout.extent())};
  std::vector<float> tensor(layout.shape.elements());
  for_each_element(layout, [&](std::size_t slot, std::size_t index) {
    tensor[index] = static_cast<float>(slots[slot] * factor);
  });
  return tensor;
}

}  // namespace tacit::plan
