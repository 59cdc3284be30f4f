// SPDX-License-Identifier: Apache-2.0
// AveragePool, MaxPool, their global forms, ReduceMean over the image; and what windows have in common.
#include <algorithm>
#include <optional>

#include "graph/lowering.h"
#include "graph/text.h"
#include "graph/windows.h"

namespace tacit::graph {
namespace {

// The pads before and after one axis that make ceil(size / stride) windows.
std::pair<std::int64_t, std::int64_t> same_pads(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                                                std::int64_t dilation, bool upper) {
  std::int64_t windows = (size + stride - 1) / stride;
  std::int64_t total = std::max<std::int64_t>(0, (windows - 1) * stride + (kernel - 1) * dilation + 1 - size);
  std::int64_t small = total / 2;
  return upper ? std::pair{small, total - small} : std::pair{total - small, small};
}

// With ceil_mode = 1 a window that begins inside the image or in the padding before it counts even where it
// reaches beyond the padding after it: so many more places there, along one axis.
std::int64_t ceil_mode_pad(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
                           std::int64_t before, std::int64_t after) {
  std::int64_t room = size + before + after - ((kernel - 1) * dilation + 1);
  if (room < 0 || room % stride == 0) return 0;
  std::int64_t last = (room / stride + 1) * stride;  // where the additional window begins
  return last < size + before ? last - room : 0;
}

// The pads that ceil_mode adds after the image; none without it.
Result<Pads> ceil_mode_pads(const Lowering& node, const Extent& kernel, const Windows& windows,
                            const Shape& input) {
  Pads added;
  if (node.integer("ceil_mode", 0) == 0) return added;
  // What the shape rule checks too; beyond this the products would overflow.
  for (std::int64_t pad : {windows.pads.top, windows.pads.left, windows.pads.bottom, windows.pads.right}) {
    if (pad > kMaxWindow) return node.error(ErrorCode::kOnnxShape, "its padding is larger than any image");
  }
  added.bottom = ceil_mode_pad(input.height, kernel.height, windows.stride.height, windows.dilation.height,
                               windows.pads.top, windows.pads.bottom);
  added.right = ceil_mode_pad(input.width, kernel.width, windows.stride.width, windows.dilation.width,
                              windows.pads.left, windows.pads.right);
  return added;
}

Pads sum(const Pads& a, const Pads& b) {
  return {a.top + b.top, a.left + b.left, a.bottom + b.bottom, a.right + b.right};
}

}  // namespace

Result<Windows> read_windows(const Lowering& node, std::size_t axes, const Extent& kernel,
                             const Shape& input) {
  Windows windows;
  TACIT_TRY(windows.stride, node.extent("strides", axes, {}));
  TACIT_TRY(windows.dilation, node.extent("dilations", axes, {}));
  Dims pads = node.has_attribute("pads") ? node.integers("pads") : Dims(2 * axes, 0);
  if (pads.size() != 2 * axes || *std::min_element(pads.begin(), pads.end()) < 0) {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                      "its pads are " + dims_to_string(pads) + " where " +
                          (axes == 1 ? "two numbers from 0 are needed: left, right"
                                     : "four numbers from 0 are needed: top, left, bottom, right"));
  }
  windows.pads = axes == 1 ? Pads{0, pads[0], 0, pads[1]} : Pads{pads[0], pads[1], pads[2], pads[3]};
  std::string mode = node.text("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode.empty()) return windows;
  if (!windows.pads.zero()) {
    return node.error(ErrorCode::kOnnxMalformed, "it has both pads and auto_pad " + in_quotes(mode));
  }
  if (mode == "VALID") return windows;
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                      "its auto_pad is " + in_quotes(mode) + ", not NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  }
  bool upper = mode == "SAME_UPPER";
  // A kernel read from weights is checked by the shape rule only later; beyond this the products would
  // overflow.
  if (std::max(kernel.height, kernel.width) > kMaxElements) {
    return node.error(ErrorCode::kOnnxShape, "its kernel is larger than any image");
  }
  std::tie(windows.pads.top, windows.pads.bottom) =
      same_pads(input.height, kernel.height, windows.stride.height, windows.dilation.height, upper);
  std::tie(windows.pads.left, windows.pads.right) =
      same_pads(input.width, kernel.width, windows.stride.width, windows.dilation.width, upper);
  return windows;
}

namespace lower {

namespace {

// The kernel_shape of a pool, which must be there.
Result<Extent> pool_kernel(const Lowering& node, std::size_t axes) {
  if (node.has_attribute("kernel_shape")) return node.extent("kernel_shape", axes, {});
  return node.error(ErrorCode::kOnnxMalformed, "it has no kernel_shape");
}

// A pool over the whole image.
template <class Pool>
Status global_pool(const Lowering& node) {
  TACIT_TRY(const ActivationOperand input, node.image(0));
  const Shape& shape = node.shape_of(input);
  Pool pool;
  pool.kernel = {shape.height, shape.width};
  TACIT_TRY(ValueId value, node.append(pool, {input.value}));
  return node.bind(node.image_operand(value, axes_of(input)));
}

// Which axes of the operand a list names.
Result<std::vector<bool>> named_axes(const Lowering& node, const Dims& axes, std::size_t rank) {
  std::vector<bool> named(rank, false);
  for (std::int64_t axis : axes) {
    Result<std::size_t> place = normal_axis(axis, rank);
    if (!place.ok()) return node.labelled(std::move(place).error());
    named[*place] = true;
  }
  return named;
}

}  // namespace

Status average_pool(const Lowering& node) {
  TACIT_TRY(const ActivationOperand input, node.image(0));
  const std::size_t axes = axes_of(input);
  const Shape shape = node.shape_of(input);
  AveragePool pool;
  TACIT_TRY(pool.kernel, pool_kernel(node, axes));
  TACIT_TRY(const Windows windows, read_windows(node, axes, pool.kernel, shape));
  TACIT_TRY(const Pads added, ceil_mode_pads(node, pool.kernel, windows, shape));
  pool.stride = windows.stride;
  pool.count_include_pad = node.integer("count_include_pad", 0) != 0;
  if (!added.zero()) {
    // What ceil_mode adds is never counted, what padding adds may be: one rule for both is there only without
    // the other.
    if (pool.count_include_pad && !windows.pads.zero()) {
      return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                        "ceil_mode = 1 together with counted padding is not supported; retrain with "
                        "ceil_mode=False or count_include_pad=False");
    }
    pool.count_include_pad = false;
  }
  pool.pads = sum(windows.pads, added);
  TACIT_TRY(ValueId value, node.append(pool, {input.value}));
  return node.bind(node.image_operand(value, axes));
}

Status max_pool(const Lowering& node) {
  TACIT_TRY(const ActivationOperand input, node.image(0));
  const std::size_t axes = axes_of(input);
  const Shape shape = node.shape_of(input);
  MaxPool pool;
  TACIT_TRY(pool.kernel, pool_kernel(node, axes));
  TACIT_TRY(const Windows windows, read_windows(node, axes, pool.kernel, shape));
  TACIT_TRY(const Pads added, ceil_mode_pads(node, pool.kernel, windows, shape));
  pool.stride = windows.stride;
  pool.dilation = windows.dilation;
  pool.pads = sum(windows.pads, added);
  TACIT_TRY(ValueId value, node.append(pool, {input.value}));
  return node.bind(node.image_operand(value, axes));
}

Status global_average_pool(const Lowering& node) { return global_pool<AveragePool>(node); }
Status global_max_pool(const Lowering& node) { return global_pool<MaxPool>(node); }

Status reduce_mean(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* view, node.view(0));
  const std::size_t rank = view->dims.size();
  TACIT_TRY(const std::vector<bool> reduced, named_axes(node, node.integers("axes"), rank));
  // All axes but the batch and one, which are the channels.
  const auto kept =
      std::find(reduced.begin() + std::min<std::ptrdiff_t>(1, std::ssize(reduced)), reduced.end(), false);
  const auto count = std::count(reduced.begin(), reduced.end(), true);
  if ((rank != 3 && rank != 4) || reduced[0] || count + 2 != std::ssize(reduced)) {
    return node.unsupported(
        "a mean is supported only over the whole image: all axes but the batch and the channels; "
        "retrain with global average pooling, or with batch normalisation in place of layer normalisation");
  }
  TACIT_TRY(const ActivationOperand image,
            node.as_image(transposed(*view, channels_first(*view, kept - reduced.begin()))));
  const Shape shape = node.shape_of(image);
  AveragePool pool;
  pool.kernel = {shape.height, shape.width};
  TACIT_TRY(ValueId value, node.append(pool, {image.value}));
  Dims dims;
  for (std::size_t i = 0; i < rank; ++i) {
    if (!reduced[i])
      dims.push_back(view->dims[i]);
    else if (node.integer("keepdims", 1) != 0)
      dims.push_back(1);
  }
  return node.bind_reshaped(node.image_operand(value, rank - 2), dims);
}

}  // namespace lower
}  // namespace tacit::graph
