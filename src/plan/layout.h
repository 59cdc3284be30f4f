// SPDX-License-Identifier: Apache-2.0
// Where the elements of a tensor stand in the slots: the gap (multiplexed) layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace tacit::plan {

// Channels, rows and columns of one image's tensor; a vector of n numbers is {n, 1, 1}.
struct Shape {
  int channels = 0;
  int height = 1;
  int width = 1;

  std::size_t elements() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
  // Position in row-major [channel, row, column] order.
  std::size_t index(int c, int y, int x) const {
    return (static_cast<std::size_t>(c) * static_cast<std::size_t>(height) + static_cast<std::size_t>(y)) *
               static_cast<std::size_t>(width) +
           static_cast<std::size_t>(x);
  }
  friend bool operator==(const Shape&, const Shape&) = default;
};

// A tensor of `shape` on a physical grid of grid_height x grid_width slots per block, with `gap` g: channel
// c = b g^2 + i g + j, row y, column x stands in slot b grid_height grid_width + (y g + i) grid_width + (x g + j)
// (pixel shuffle; Orion, section 4.3). A vector has gap 1 on a 1 x 1 grid, so element c stands in slot c.
struct Layout {
  Shape shape;
  int gap = 1;
  int grid_height = 1;
  int grid_width = 1;

  std::size_t slot(int c, int y, int x) const;
  // The number of slots up to the last one that the layout can use: a whole number of blocks.
  std::size_t extent() const;
  // Whether every element has a slot of its own on the grid.
  bool fits_grid() const;
  // Whether the numbers are positive and small enough to compute with, and every element has a slot of its own.
  // `what` names the layout in the message; kDataMalformed.
  Status validate(std::string_view what) const;
  friend bool operator==(const Layout&, const Layout&) = default;
};

// The slot count of the largest ring.
inline constexpr std::size_t kMaxSlots = std::size_t{1} << 15;
// No shape has more elements and no layout more slots, over all its ciphertexts.
inline constexpr std::size_t kMaxExtent = std::size_t{1} << 20;

// How many ciphertexts of `slots` slots hold a vector that repeats with `period`: one up to that many slots, else as many as
// the layout extends over.
std::size_t ciphertext_count(const Layout& layout, std::size_t period, std::size_t slots);

// tensor[c, y, x] * factor in its slot, 0 in the slots without an element, repeated with `period` over `slots` slots, which
// may be those of several ciphertexts after each other.
// kTensorShape where the tensor has another size than the layout, kValueOutOfRange where an element is not finite,
// kInvalidArgument unless the period is a power of two, the slots are one as well or fewer than a period, and both are at
// least the extent.
Result<std::vector<double>> pack(const Layout& layout, std::size_t period, std::size_t slots,
                                 std::span<const float> tensor, double factor);

// The elements, row-major, each slot times `factor`. kTensorShape where there are fewer slots than the extent.
Result<std::vector<float>> unpack(const Layout& layout, std::span<const double> slots, double factor);

}  // namespace tacit::plan
