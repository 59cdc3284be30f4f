// SPDX-License-Identifier: Apache-2.0
// AveragePool, GlobalAveragePool, ReduceMean over the image, Pad; and what windows have in common.
#include <algorithm>

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

}  // namespace

Result<Windows> read_windows(const Lowering& node, const Extent& kernel, const Shape& input) {
  Windows windows;
  TACIT_TRY(windows.stride, node.extent("strides", {}));
  TACIT_TRY(windows.dilation, node.extent("dilations", {}));
  Dims pads = node.has_attribute("pads") ? node.integers("pads") : Dims(4, 0);
  if (pads.size() != 4 || *std::min_element(pads.begin(), pads.end()) < 0) {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                      "its pads are " + dims_to_string(pads) +
                          " where four numbers from 0 are needed: top, left, bottom, right");
  }
  windows.pads = {pads[0], pads[1], pads[2], pads[3]};
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

Status average_pool(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* input, node.image(0));
  if (!node.has_attribute("kernel_shape"))
    return node.error(ErrorCode::kOnnxMalformed, "it has no kernel_shape");
  AveragePool pool;
  TACIT_TRY(pool.kernel, node.extent("kernel_shape", {}));
  TACIT_TRY(Windows windows, read_windows(node, pool.kernel, node.shape_of(*input)));
  if (node.integer("ceil_mode", 0) != 0) {
    return node.error(
        ErrorCode::kOnnxUnsupportedAttribute,
        "ceil_mode = 1 is not supported; retrain with ceil_mode=False or pad the input explicitly");
  }
  pool.stride = windows.stride;
  pool.pads = windows.pads;
  pool.count_include_pad = node.integer("count_include_pad", 0) != 0;
  TACIT_TRY(ValueId value, node.append(pool, {input->value}));
  return node.bind(node.image_operand(value));
}

Status global_average_pool(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* input, node.image(0));
  const Shape& shape = node.shape_of(*input);
  AveragePool pool;
  pool.kernel = {shape.height, shape.width};
  TACIT_TRY(ValueId value, node.append(pool, {input->value}));
  return node.bind(node.image_operand(value));
}

Status reduce_mean(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* input, node.image(0));
  std::vector<bool> reduced(4, false);
  for (std::int64_t axis : node.integers("axes")) {
    Result<std::size_t> place = normal_axis(axis, 4);
    if (!place.ok()) return node.labelled(std::move(place).error());
    reduced[*place] = true;
  }
  if (reduced != std::vector<bool>{false, false, true, true}) {
    return node.unsupported("a mean is supported only over the whole image, axes 2 and 3");
  }
  const Shape shape = node.shape_of(*input);
  AveragePool pool;
  pool.kernel = {shape.height, shape.width};
  TACIT_TRY(ValueId value, node.append(pool, {input->value}));
  Dims dims = {node.batch(), shape.channels};
  if (node.integer("keepdims", 1) != 0) dims.insert(dims.end(), {1, 1});
  return node.bind(ActivationOperand{value, dims});
}

Status pad(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* input, node.image(0));
  if (node.text("mode", "constant") != "constant") {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                      "its mode is " + in_quotes(node.text("mode", "")) + "; retrain with padding by zeros");
  }
  double value = node.number("value", 0);
  Dims pads = node.integers("pads");
  if (node.opset() >= 11) {
    TACIT_TRY(pads, node.integer_values(1, "pads"));
    if (node.has(2)) {
      TACIT_TRY(const Constant* constant, node.floats(2, "constant_value"));
      if (constant->size() != 1)
        return node.error(ErrorCode::kOnnxMalformed, "its constant_value is not one number");
      value = constant->floats()[0];
    }
  }
  if (pads.size() != 8) {
    return node.error(ErrorCode::kOnnxShape, "its pads are " + std::to_string(pads.size()) +
                                                 " numbers where its input " + dims_to_string(input->dims) +
                                                 " needs 8");
  }
  if (pads[0] != 0 || pads[1] != 0 || pads[4] != 0 || pads[5] != 0) {
    return node.unsupported("only rows and columns can be padded, not the batch or the channels");
  }
  if (*std::min_element(pads.begin(), pads.end()) < 0) {
    return node.unsupported(
        "negative pads, which crop the image, are not supported; use a convolution that does not "
        "pad");
  }
  Pad pad{{pads[2], pads[3], pads[6], pads[7]}};
  if (pad.pads.zero()) return node.bind(*input);
  if (value != 0)
    return node.unsupported("it pads with a number other than zero; retrain with padding by zeros");
  TACIT_TRY(ValueId padded, node.append(pad, {input->value}));
  return node.bind(node.image_operand(padded));
}

}  // namespace lower
}  // namespace tacit::graph
