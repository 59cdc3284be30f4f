// SPDX-License-Identifier: Apache-2.0
// The shape rule of every operation.
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "graph/graph.h"
#include "graph/taps.h"

namespace tacit::graph {
namespace {

Error mismatch(std::string message) { return Error{ErrorCode::kOnnxShape, std::move(message)}; }

bool has_size(const std::vector<float>& data, std::initializer_list<std::int64_t> dims) {
  std::uint64_t size = 1;
  for (std::int64_t dim : dims) {
    auto product = checked_multiply(size, static_cast<std::uint64_t>(dim));
    if (dim < 0 || !product) return false;
    size = *product;
  }
  return data.size() == size;
}

// The result, provided that it is not too large; all dimensions must be positive.
Result<Shape> bounded(const Shape& shape) {
  if (shape.channels > kMaxElements || shape.height > kMaxElements || shape.width > kMaxElements ||
      shape.channels * shape.height > kMaxElements || shape.size() > kMaxElements) {
    return mismatch("the result " + to_string(shape) + " is larger than the " + std::to_string(kMaxElements) +
                    " elements allowed");
  }
  return shape;
}

struct Windows {
  Extent kernel, stride, dilation;
  Pads pads;
};

Status check_pads(const Pads& pads) {
  for (std::int64_t pad : {pads.top, pads.left, pads.bottom, pads.right}) {
    if (pad < 0 || pad > kMaxWindow) {
      return mismatch("a padding of " + std::to_string(pad) + " is outside 0 to " +
                      std::to_string(kMaxWindow));
    }
  }
  return {};
}

// The number of places a window takes along both axes.
Result<Extent> slide(const Windows& windows, const Shape& input) {
  for (const Extent& extent : {windows.kernel, windows.stride, windows.dilation}) {
    if (extent.height < 1 || extent.width < 1 || extent.height > kMaxWindow || extent.width > kMaxWindow) {
      return mismatch("a kernel, stride or dilation of " + std::to_string(extent.height) + "x" +
                      std::to_string(extent.width) + " is outside 1 to " + std::to_string(kMaxWindow));
    }
  }
  TACIT_CHECK(check_pads(windows.pads));
  std::int64_t height = (windows.kernel.height - 1) * windows.dilation.height + 1;
  std::int64_t width = (windows.kernel.width - 1) * windows.dilation.width + 1;
  std::int64_t rows = input.height + windows.pads.top + windows.pads.bottom;
  std::int64_t columns = input.width + windows.pads.left + windows.pads.right;
  if (height > rows || width > columns) {
    return mismatch("a window of " + std::to_string(height) + "x" + std::to_string(width) +
                    " does not fit into the input " + to_string(input) + ", padded to " +
                    std::to_string(rows) + "x" + std::to_string(columns));
  }
  return Extent{(rows - height) / windows.stride.height + 1, (columns - width) / windows.stride.width + 1};
}

// Whether every place of a window has a tap inside of [0, size), along one axis.
bool each_window_inside(std::int64_t places, std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                        std::int64_t pad, std::int64_t size) {
  for (std::int64_t place = 0; place < places; ++place) {
    Taps taps = taps_inside(place * stride - pad, dilation, kernel, size);
    if (taps.begin == taps.end) return false;
  }
  return true;
}

struct Rule {
  const std::vector<Shape>& inputs;
  const Shape& input() const { return inputs.front(); }

  Result<Shape> operator()(const Conv& conv) const {
    if (conv.in_channels < 1 || conv.out_channels < 1 || conv.groups < 1 ||
        conv.in_channels % conv.groups != 0 || conv.out_channels % conv.groups != 0) {
      return mismatch(std::to_string(conv.groups) + " groups do not divide " +
                      std::to_string(conv.in_channels) + " input and " + std::to_string(conv.out_channels) +
                      " output channels");
    }
    if (input().channels != conv.in_channels) {
      return mismatch("the weights " + weights_text(conv) + " in " + std::to_string(conv.groups) +
                      " group(s) are for " + std::to_string(conv.in_channels) +
                      " input channels, but the input is " + to_string(input()));
    }
    TACIT_TRY(Extent places, slide({conv.kernel, conv.stride, conv.dilation, conv.pads}, input()));
    if (!has_size(conv.weights, {conv.out_channels, conv.in_channels / conv.groups, conv.kernel.height,
                                 conv.kernel.width})) {
      return mismatch("the weights should be " + weights_text(conv) + " but have " +
                      std::to_string(conv.weights.size()) + " elements");
    }
    if (!has_size(conv.bias, {conv.out_channels})) {
      return mismatch("the bias has " + std::to_string(conv.bias.size()) + " elements, the weights " +
                      weights_text(conv) + " have " + std::to_string(conv.out_channels) + " output channels");
    }
    return bounded({conv.out_channels, places.height, places.width});
  }

  Result<Shape> operator()(const AveragePool& pool) const {
    TACIT_TRY(Extent places, slide({pool.kernel, pool.stride, {}, pool.pads}, input()));
    // A window that lies in the padding alone would have no mean.
    if (std::max(pool.pads.top, pool.pads.bottom) >= pool.kernel.height ||
        std::max(pool.pads.left, pool.pads.right) >= pool.kernel.width) {
      return mismatch("the padding is not smaller than the kernel " + std::to_string(pool.kernel.height) +
                      "x" + std::to_string(pool.kernel.width) + " on the input " + to_string(input()));
    }
    return bounded({input().channels, places.height, places.width});
  }

  Result<Shape> operator()(const MaxPool& pool) const {
    TACIT_TRY(Extent places, slide({pool.kernel, pool.stride, pool.dilation, pool.pads}, input()));
    if (!each_window_inside(places.height, pool.kernel.height, pool.stride.height, pool.dilation.height,
                            pool.pads.top, input().height) ||
        !each_window_inside(places.width, pool.kernel.width, pool.stride.width, pool.dilation.width,
                            pool.pads.left, input().width)) {
      return mismatch("a window of the kernel " + std::to_string(pool.kernel.height) + "x" +
                      std::to_string(pool.kernel.width) + " lies in the padding alone, on the input " +
                      to_string(input()));
    }
    return bounded({input().channels, places.height, places.width});
  }

  Result<Shape> operator()(const Dense& dense) const {
    if (dense.in != input().size()) {
      return mismatch("the weights " + std::to_string(dense.out) + "x" + std::to_string(dense.in) +
                      " are for " + std::to_string(dense.in) + " inputs, but the input " +
                      to_string(input()) + " has " + std::to_string(input().size()));
    }
    if (dense.out < 1 || !has_size(dense.weights, {dense.out, dense.in})) {
      return mismatch("the weights should be " + std::to_string(dense.out) + "x" + std::to_string(dense.in) +
                      " but have " + std::to_string(dense.weights.size()) + " elements");
    }
    if (!has_size(dense.bias, {dense.out})) {
      return mismatch("the bias has " + std::to_string(dense.bias.size()) + " elements for " +
                      std::to_string(dense.out) + " outputs");
    }
    return bounded({dense.out, 1, 1});
  }

  Result<Shape> operator()(const ChannelAffine& affine) const {
    return affine_shape(affine.scale, affine.shift, input().channels, "channel");
  }
  Result<Shape> operator()(const ElementAffine& affine) const {
    return affine_shape(affine.scale, affine.shift, input().size(), "element");
  }
  Result<Shape> operator()(const Square&) const { return input(); }
  Result<Shape> operator()(const Activation&) const { return input(); }
  Result<Shape> operator()(const Add&) const { return same_shapes(); }
  Result<Shape> operator()(const Multiply&) const { return same_shapes(); }

  Result<Shape> operator()(const Reshape& reshape) const { return rearranged(reshape.shape); }

  Result<Shape> operator()(const Permute& permute) const {
    TACIT_TRY(Shape shape, rearranged(permute.shape));
    std::vector<bool> seen(static_cast<std::size_t>(shape.size()), false);
    bool valid = permute.source.size() == seen.size();
    for (std::size_t i = 0; valid && i < seen.size(); ++i) {
      std::uint32_t source = permute.source[i];
      valid = source < seen.size() && !seen[source];
      if (valid) seen[source] = true;
    }
    if (!valid)
      return mismatch("the order of the elements of " + to_string(input()) + " is not a permutation");
    return shape;
  }

  Result<Shape> operator()(const Concat&) const {
    Shape shape = input();
    for (std::size_t i = 1; i < inputs.size(); ++i) {
      if (inputs[i].height != shape.height || inputs[i].width != shape.width) {
        return mismatch("its inputs have the shapes " + to_string(input()) + " and " + to_string(inputs[i]) +
                        ", whose heights and widths must be equal");
      }
      shape.channels += inputs[i].channels;
      TACIT_CHECK(bounded(shape));
    }
    return shape;
  }

  Result<Shape> operator()(const Pad& pad) const {
    TACIT_CHECK(check_pads(pad.pads));
    return bounded({input().channels, input().height + pad.pads.top + pad.pads.bottom,
                    input().width + pad.pads.left + pad.pads.right});
  }

 private:
  Result<Shape> rearranged(const Shape& shape) const {
    if (shape.channels < 1 || shape.height < 1 || shape.width < 1) {
      return mismatch("the shape " + to_string(shape) + " is not possible");
    }
    TACIT_TRY(Shape checked, bounded(shape));
    if (checked.size() != input().size()) {
      return mismatch("the input " + to_string(input()) + " has " + std::to_string(input().size()) +
                      " elements, the new shape " + to_string(checked) + " has " +
                      std::to_string(checked.size()));
    }
    return checked;
  }
  static std::string weights_text(const Conv& conv) {
    return std::to_string(conv.out_channels) + "x" + std::to_string(conv.in_channels / conv.groups) + "x" +
           std::to_string(conv.kernel.height) + "x" + std::to_string(conv.kernel.width);
  }
  Result<Shape> affine_shape(const std::vector<float>& scale, const std::vector<float>& shift,
                             std::int64_t size, const char* unit) const {
    if (!has_size(scale, {size}) || !has_size(shift, {size})) {
      return mismatch("the input is " + to_string(input()) +
                      ", so there must be one factor and one summand for each " + unit + ", not " +
                      std::to_string(scale.size()) + " and " + std::to_string(shift.size()));
    }
    return input();
  }
  Result<Shape> same_shapes() const {
    if (inputs[0] != inputs[1]) {
      return mismatch("its inputs have the shapes " + to_string(inputs[0]) + " and " + to_string(inputs[1]) +
                      ", which must be equal");
    }
    return input();
  }
};

bool finite(const std::vector<float>& data) {
  return std::all_of(data.begin(), data.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace

Result<Shape> infer_shape(const Operation& operation, const std::vector<Shape>& inputs) {
  bool joins = std::holds_alternative<Concat>(operation);
  bool binary = std::holds_alternative<Add>(operation) || std::holds_alternative<Multiply>(operation);
  std::size_t arity = binary || joins ? 2 : 1;
  if (joins ? inputs.size() < arity : inputs.size() != arity) {
    return mismatch("it takes " + std::to_string(arity) + (joins ? " or more" : "") + " input(s), not " +
                    std::to_string(inputs.size()));
  }
  return std::visit(Rule{inputs}, operation);
}

bool weights_finite(const Operation& operation) {
  struct Check {
    bool operator()(const Conv& conv) const { return finite(conv.weights) && finite(conv.bias); }
    bool operator()(const Dense& dense) const { return finite(dense.weights) && finite(dense.bias); }
    bool operator()(const ChannelAffine& affine) const {
      return finite(affine.scale) && finite(affine.shift);
    }
    bool operator()(const ElementAffine& affine) const {
      return finite(affine.scale) && finite(affine.shift);
    }
    bool operator()(const Activation& activation) const { return is_valid(activation); }
    bool operator()(const AveragePool&) const { return true; }
    bool operator()(const Square&) const { return true; }
    bool operator()(const Add&) const { return true; }
    bool operator()(const Multiply&) const { return true; }
    bool operator()(const Reshape&) const { return true; }
    bool operator()(const Pad&) const { return true; }
    bool operator()(const MaxPool&) const { return true; }
    bool operator()(const Permute&) const { return true; }
    bool operator()(const Concat&) const { return true; }
  };
  return std::visit(Check{}, operation);
}

}  // namespace tacit::graph
