// SPDX-License-Identifier: Apache-2.0
#include "plan/client_function.h"

#include <algorithm>
#include <limits>

#include "plan/row_walk.h"

namespace tacit::plan {

namespace {

// Outputs along one dimension; nothing where a window reaches over no place of the image.
Result<int> pooled(int size, int kernel, int stride, int before, int after, int dilation) {
  constexpr int kLimit = static_cast<int>(kMaxExtent);
  for (int x : {kernel, stride, dilation})
    if (x < 1 || x > kLimit) return malformed_data("a maximum's window, stride or dilation is out of range");
  const std::int64_t span = std::int64_t{kernel - 1} * dilation + 1;
  if (before < 0 || after < 0 || before >= span || after >= span)
    return malformed_data("a maximum's padding is not smaller than its window");
  const std::int64_t room = std::int64_t{size} + before + after - span;
  if (room < 0) return malformed_data("a maximum's window is larger than the padded image");
  return static_cast<int>(room / stride + 1);
}

// The places of one window along a dimension that lie in the image: f(place).
template <class F>
void for_each_place(int output, int size, int kernel, int stride, int before, int dilation, const F& f) {
  for (int k = 0; k < kernel; ++k) {
    const int place = output * stride - before + k * dilation;
    if (place >= 0 && place < size) f(place);
  }
}

std::vector<float> pool(const MaxPooling& p, const Shape& in, const Shape& out, std::span<const float> x) {
  std::vector<float> y(out.elements(), -std::numeric_limits<float>::infinity());
  for (int c = 0; c < out.channels; ++c)
    for (int row = 0; row < out.height; ++row)
      for (int column = 0; column < out.width; ++column) {
        float& largest = y[out.index(c, row, column)];
        for_each_place(
            row, in.height, p.kernel_height, p.stride_height, p.pad_top, p.dilation_height, [&](int i) {
              for_each_place(column, in.width, p.kernel_width, p.stride_width, p.pad_left, p.dilation_width,
                             [&](int j) { largest = std::max(largest, x[in.index(c, i, j)]); });
            });
      }
  return y;
}

std::vector<float> multiply(const LinearMap& map, std::span<const float> x) {
  detail::RowWalk walk(map);
  std::vector<float> y(map.out.elements());
  for (std::size_t i = 0; i < y.size(); ++i) {
    double sum = map.bias.empty() ? 0 : map.bias[i];
    for (const SparseEntry& entry : walk.row(i)) sum += entry.value * x[entry.column];
    y[i] = static_cast<float>(sum);
  }
  return y;
}

}  // namespace

std::size_t arity(const ClientFunction& function) {
  return std::holds_alternative<ClearSum>(function) ? 2 : 1;
}

Result<Shape> shape_after(const ClientFunction& function, const Shape& in) {
  if (const auto* activation = std::get_if<Activation>(&function)) {
    if (!is_valid(*activation))
      return malformed_data("a client's function has steps that cannot be computed");
    return in;
  }
  if (const auto* p = std::get_if<MaxPooling>(&function)) {
    Shape out = in;
    TACIT_TRY(out.height, pooled(in.height, p->kernel_height, p->stride_height, p->pad_top, p->pad_bottom,
                                 p->dilation_height));
    TACIT_TRY(out.width, pooled(in.width, p->kernel_width, p->stride_width, p->pad_left, p->pad_right,
                                p->dilation_width));
    return out;
  }
  if (const auto* linear = std::get_if<ClearLinear>(&function)) {
    TACIT_CHECK(linear->map.validate());
    if (linear->map.in != in)
      return malformed_data("a client's linear layer has another shape than its input");
    return linear->map.out;
  }
  return in;
}

std::vector<float> apply(const ClientFunction& function, const Shape& in,
                         std::span<const std::span<const float>> inputs) {
  const std::span<const float> x = inputs[0];
  if (const auto* p = std::get_if<MaxPooling>(&function))
    return pool(*p, in, shape_after(function, in).value(), x);
  if (const auto* linear = std::get_if<ClearLinear>(&function)) return multiply(linear->map, x);
  std::vector<float> y(x.size());
  if (const auto* activation = std::get_if<Activation>(&function)) {
    std::ranges::transform(x, y.begin(),
                           [&](float v) { return static_cast<float>(evaluate(*activation, double{v})); });
  } else {
    std::ranges::transform(x, inputs[1], y.begin(), std::plus<>());
  }
  return y;
}

}  // namespace tacit::plan
