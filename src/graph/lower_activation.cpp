// SPDX-License-Identifier: Apache-2.0
// Element-wise functions, and the softmax or ArgMax at a network's end.
#include <algorithm>
#include <limits>

#include "graph/lowering.h"
#include "graph/text.h"

namespace tacit::graph::lower {
namespace {

Status element_wise(const Lowering& node, const Activation& activation) {
  TACIT_TRY(const ActivationOperand* input, node.view(0));
  return node.emit_like(activation, *input);
}

Activation with(ActivationKind kind, double alpha, double beta = 0) {
  return {kind, static_cast<float>(alpha), static_cast<float>(beta)};
}

// A bound as an attribute before opset 11, as an input since; where it is infinite or missing, that of
// float32.
Result<float> bound(const Lowering& node, std::size_t input, const char* name, double none) {
  double value = node.opset() < 11 ? node.number(name, none) : none;
  if (node.opset() >= 11 && node.has(input)) {
    TACIT_TRY(const Constant* constant, node.floats(input, name));
    if (constant->size() != 1)
      return node.error(ErrorCode::kOnnxMalformed, std::string("its ") + name + " is not one number");
    value = constant->floats()[0];
  }
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(value, -kLargest, kLargest));
}

Status keep_within(const Lowering& node, const ActivationOperand& input, const Limits& limits) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  if (limits.low == -kLargest && limits.high == kLargest) return node.bind(input);
  return node.emit_like(within(limits), input);
}

// Max or Min of an activation and one number.
Status one_limit(const Lowering& node, bool is_low) {
  if (node.all_constant() || node.count() != 2 || (!node.is_constant(0) && !node.is_constant(1))) {
    return node.unsupported(
        "it compares two activations, or only constants; supported is an activation with one number, retrain "
        "with Relu, Silu or a square in its place");
  }
  const std::size_t which = node.is_constant(0) ? 0 : 1;
  TACIT_TRY(const Constant* number, node.floats(which, "bound"));
  TACIT_TRY(const ActivationOperand* input, node.view(1 - which));
  if (number->size() != 1 || number->dims.size() > input->dims.size()) {
    return node.unsupported("its bound " + dims_to_string(number->dims) +
                            " is not one number for all elements; retrain with Relu in its place");
  }
  constexpr float kLargest = std::numeric_limits<float>::max();
  const float value = number->floats()[0];
  return keep_within(node, *input, is_low ? Limits{value, kLargest} : Limits{-kLargest, value});
}

// Whether the axis attribute names all that one image has: everything from it on where it flattens, else the
// axis alone.
Result<std::size_t> whole_axis(const Lowering& node, const ActivationOperand& input, std::int64_t fallback,
                               bool flattens) {
  Result<std::size_t> axis = normal_axis(node.integer("axis", fallback), input.dims.size());
  if (!axis.ok()) return node.labelled(std::move(axis).error());
  std::int64_t size = 1;
  for (std::size_t i = *axis; i < input.dims.size(); ++i) {
    if (flattens || i == *axis) size *= input.dims[i];
  }
  if (size != node.shape_of(input).size()) {
    return node.unsupported("it works along one axis of " + dims_to_string(input.dims) +
                            ", but only one over all outputs is supported; end the network before it");
  }
  return axis;
}

// The client computes it after decryption, which it can only where it runs over all of the network's output.
Status final_function(const Lowering& node, OutputFunction function) {
  TACIT_TRY(const ActivationOperand* input, node.view(0));
  // Before opset 13 everything from `axis` on is one vector; since then it is that axis alone.
  const bool flattens = node.opset() < 13;
  TACIT_CHECK(whole_axis(node, *input, flattens ? 1 : -1, flattens));
  ActivationOperand result = *input;
  result.function = function;
  return node.bind(std::move(result));
}

}  // namespace

Status relu(const Lowering& node) { return element_wise(node, {ActivationKind::kRelu}); }
Status leaky_relu(const Lowering& node) {
  return element_wise(node, with(ActivationKind::kLeakyRelu, node.number("alpha", 0.01)));
}
Status prelu(const Lowering& node) {
  TACIT_TRY(const Constant* slope, node.floats(1, "slope"));
  const std::vector<float>& slopes = slope->floats();
  if (slopes.empty() || std::any_of(slopes.begin(), slopes.end(), [&](float x) { return x != slopes[0]; }))
    return node.unsupported("its slope " + dims_to_string(slope->dims) +
                            " differs between channels; retrain with one slope for all, as in LeakyRelu");
  return element_wise(node, with(ActivationKind::kLeakyRelu, slopes[0]));
}
Status sigmoid(const Lowering& node) { return element_wise(node, {ActivationKind::kSigmoid}); }
Status tanh(const Lowering& node) { return element_wise(node, {ActivationKind::kTanh}); }
Status erf(const Lowering& node) { return element_wise(node, {ActivationKind::kErf}); }
Status softplus(const Lowering& node) { return element_wise(node, {ActivationKind::kSoftplus}); }
Status hard_swish(const Lowering& node) { return element_wise(node, {ActivationKind::kHardSwish}); }
Status hard_sigmoid(const Lowering& node) {
  return element_wise(
      node, with(ActivationKind::kHardSigmoid, node.number("alpha", 0.2), node.number("beta", 0.5)));
}
Status elu(const Lowering& node) {
  return element_wise(node, with(ActivationKind::kElu, node.number("alpha", 1)));
}
Status selu(const Lowering& node) {
  // ONNX's defaults, from G. Klambauer et al., "Self-Normalizing Neural Networks" (NIPS 2017).
  return element_wise(node, with(ActivationKind::kSelu, node.number("alpha", 1.67326319217681884765625),
                                 node.number("gamma", 1.05070102214813232421875)));
}

Status clip(const Lowering& node) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  TACIT_TRY(const ActivationOperand* input, node.view(0));
  Limits limits{};
  TACIT_TRY(limits.low, bound(node, 1, "min", -kLargest));
  TACIT_TRY(limits.high, bound(node, 2, "max", kLargest));
  return keep_within(node, *input, limits);
}
Status max(const Lowering& node) { return one_limit(node, true); }
Status min(const Lowering& node) { return one_limit(node, false); }

Status softmax(const Lowering& node) { return final_function(node, OutputFunction::kSoftmax); }
Status log_softmax(const Lowering& node) { return final_function(node, OutputFunction::kLogSoftmax); }

Status arg_max(const Lowering& node) {
  const Operand& operand = node.operand(0);
  // The largest probability belongs to the largest of what the softmax takes.
  ActivationOperand input = operand.activation;
  if (operand.constant != nullptr || input.function == OutputFunction::kArgMax) { TACIT_CHECK(node.view(0)); }
  if (node.integer("select_last_index", 0) != 0) {
    return node.error(
        ErrorCode::kOnnxUnsupportedAttribute,
        "select_last_index = 1 is not supported: the first of several largest is taken; leave it out");
  }
  TACIT_TRY(const std::size_t axis, whole_axis(node, input, 0, false));
  TACIT_TRY(ActivationOperand result, node.in_order(input));
  result.function = OutputFunction::kArgMax;
  result.dims[axis] = 1;
  if (node.integer("keepdims", 1) == 0)
    result.dims.erase(result.dims.begin() + static_cast<std::ptrdiff_t>(axis));
  return node.bind(std::move(result));
}

}  // namespace tacit::graph::lower
