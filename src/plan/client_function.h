// SPDX-License-Identifier: Apache-2.0
// What a client computes in the clear between two requests, on tensors of the network's own numbers.
#pragma once

#include <span>
#include <variant>
#include <vector>

#include "base/activation.h"
#include "plan/linear_map.h"

namespace tacit::plan {

// The maximum over windows of each channel; places outside of the image do not count, and every window has a place inside.
struct MaxPooling {
  int kernel_height = 1, kernel_width = 1;
  int stride_height = 1, stride_width = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int dilation_height = 1, dilation_width = 1;
};

// The sum of two tensors of one shape.
struct ClearSum {};

// A linear layer with public weights; its map's scale is 1.
struct ClearLinear {
  LinearMap map;
};

// An Activation is applied element by element.
using ClientFunction = std::variant<Activation, MaxPooling, ClearSum, ClearLinear>;

// The number of tensors that it takes.
std::size_t arity(const ClientFunction& function);

// The shape of the result for inputs of shape `in`; kDataMalformed where it does not fit, or the function's own numbers are
// not as they must be (finite, positive, not absurd).
Result<Shape> shape_after(const ClientFunction& function, const Shape& in);

// The result's elements, row-major. The function must fit `in` (shape_after), each input have its elements.
std::vector<float> apply(const ClientFunction& function, const Shape& in,
                         std::span<const std::span<const float>> inputs);

}  // namespace tacit::plan
