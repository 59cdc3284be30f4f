// SPDX-License-Identifier: Apache-2.0
// Add, Sub, Mul, Div, Neg and Pow: on constants, between an activation and a constant, between two
// activations.
#include <algorithm>
#include <optional>

#include "graph/lowering.h"
#include "graph/text.h"

namespace tacit::graph::lower {
namespace {

// A constant beside an activation, expanded: one number per channel where it varies over channels alone.
struct Factors {
  bool per_channel = true;
  std::vector<float> values;
};

Result<Factors> expand(const Lowering& node, const ActivationOperand& input, const Constant& constant) {
  if (!constant.is_float()) {
    return node.error(ErrorCode::kOnnxMalformed,
                      "it combines an activation with integers; cast them to float32");
  }
  // Constants say nothing about a batch axis that is not the first.
  if (input.dims.size() >= 2 && input.dims[0] != node.batch()) return node.in_order(input).error();
  Shape shape = node.shape_of(input);
  // The image's axes alone: what stands before them in the constant must be 1, for it would count images.
  std::size_t batch_axes = input.dims.size() >= 2 ? 1 : 0;
  Dims dims(input.dims.begin() + static_cast<std::ptrdiff_t>(batch_axes), input.dims.end());
  Dims own = constant.dims;
  while (own.size() > dims.size() && own.size() <= input.dims.size() && own.front() == 1)
    own.erase(own.begin());
  Result<Dims> joint = broadcast_dims(own, dims);
  if (!joint.ok() || *joint != dims) {
    return node.error(ErrorCode::kOnnxShape,
                      "its activation " + dims_to_string(input.dims) + " and its constant " +
                          dims_to_string(constant.dims) +
                          " cannot be combined without changing the activation's shape");
  }
  bool channels_alone = true;  // every axis of the constant but the channels' is 1
  for (std::size_t i = 0; i < own.size(); ++i) {
    bool channel_axis = own.size() == dims.size() && i == 0;
    channels_alone = channels_alone && (channel_axis || own[i] == 1);
  }
  // The first axis is the channels' only where the value has the shape that the dimensions say.
  bool is_image = input.order.empty() && image_shape(input.dims, node.batch()) == shape;
  Factors factors;
  factors.per_channel = constant.size() == 1 || (channels_alone && is_image);
  Dims target = dims;
  if (factors.per_channel) {
    std::fill(target.begin(), target.end(), 1);
    target[0] = shape.channels;
  }
  TACIT_CHECK(node.charge(2 * (factors.per_channel ? shape.channels : shape.size())));
  Constant data{own, constant.floats()};
  Result<Constant> full = broadcast(data, target);
  if (!full.ok()) return node.labelled(std::move(full).error());
  factors.values = std::move(*std::get_if<0>(&full->data));
  if (!factors.per_channel && !input.order.empty()) {
    std::optional<std::vector<float>> ordered = in_value_order(input, node.batch(), factors.values);
    if (!ordered) return node.in_order(input).error();
    factors.values = std::move(*ordered);
  }
  return factors;
}

Status emit_affine(const Lowering& node, const ActivationOperand& input, bool per_channel,
                   std::vector<float> scale, std::vector<float> shift) {
  if (per_channel) return node.emit_like(ChannelAffine{std::move(scale), std::move(shift)}, input);
  return node.emit_like(ElementAffine{std::move(scale), std::move(shift)}, input);
}

// sign * input + factor_of_constant * constant.
Status emit_sum(const Lowering& node, const ActivationOperand& input, const Constant& constant, float sign,
                float factor) {
  TACIT_TRY(Factors factors, expand(node, input, constant));
  std::vector<float> scale(factors.values.size(), sign);
  for (float& value : factors.values) value *= factor;
  return emit_affine(node, input, factors.per_channel, std::move(scale), std::move(factors.values));
}

// input * constant, or input / constant.
Status emit_product(const Lowering& node, const ActivationOperand& input, const Constant& constant,
                    bool divide) {
  TACIT_TRY(Factors factors, expand(node, input, constant));
  if (divide) {
    for (float& value : factors.values) value = static_cast<float>(1.0 / value);
  }
  std::vector<float> shift(factors.values.size(), 0.0f);
  return emit_affine(node, input, factors.per_channel, std::move(factors.values), std::move(shift));
}

// The two activations of a binary node, which must have one shape; in one order of elements.
struct Pair {
  ActivationOperand first, second;
};

Result<Pair> same_activations(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* first, node.view(0));
  TACIT_TRY(const ActivationOperand* second, node.view(1));
  if (first->dims != second->dims) {
    return node.error(ErrorCode::kOnnxShape,
                      "its inputs " + dims_to_string(first->dims) + " and " + dims_to_string(second->dims) +
                          " both depend on the image and must have the same shape; "
                          "retrain without it (as in squeeze-and-excitation blocks), or "
                          "end the network before it");
  }
  if (first->order == second->order && node.shape_of(*first) == node.shape_of(*second))
    return Pair{*first, *second};
  TACIT_TRY(ActivationOperand left, node.in_order(*first));
  TACIT_TRY(ActivationOperand right, node.in_order(*second));
  return Pair{std::move(left), std::move(right)};
}

Result<ValueId> scaled(const Lowering& node, const ActivationOperand& input, float factor) {
  auto channels = static_cast<std::size_t>(node.shape_of(input).channels);
  TACIT_CHECK(node.charge(2 * static_cast<std::int64_t>(channels)));
  return node.append(ChannelAffine{std::vector<float>(channels, factor), std::vector<float>(channels, 0.0f)},
                     {input.value});
}

// What the operand stands for is now in `value`.
Status bind_as(const Lowering& node, ActivationOperand operand, ValueId value) {
  operand.value = value;
  return node.bind(std::move(operand));
}

Status add_or_subtract(const Lowering& node, Arithmetic operation) {
  bool subtract = operation == Arithmetic::kSubtract;
  if (node.all_constant()) {
    return node.bind(compute(operation, *node.operand(0).constant, *node.operand(1).constant));
  }
  if (node.is_constant(0)) {
    TACIT_TRY(const ActivationOperand* input, node.view(1));
    return emit_sum(node, *input, *node.operand(0).constant, subtract ? -1 : 1, 1);
  }
  if (node.is_constant(1)) {
    TACIT_TRY(const ActivationOperand* input, node.view(0));
    return emit_sum(node, *input, *node.operand(1).constant, 1, subtract ? -1 : 1);
  }
  TACIT_TRY(Pair pair, same_activations(node));
  if (pair.first.value == pair.second.value) {
    TACIT_TRY(ValueId value, scaled(node, pair.first, subtract ? 0 : 2));
    return bind_as(node, std::move(pair.first), value);
  }
  ValueId second = pair.second.value;
  if (subtract) { TACIT_TRY(second, scaled(node, pair.second, -1)); }
  TACIT_TRY(ValueId value, node.append(Add{}, {pair.first.value, second}));
  return bind_as(node, std::move(pair.first), value);
}

}  // namespace

Status add(const Lowering& node) { return add_or_subtract(node, Arithmetic::kAdd); }
Status sub(const Lowering& node) { return add_or_subtract(node, Arithmetic::kSubtract); }

Status mul(const Lowering& node) {
  if (node.all_constant()) {
    return node.bind(compute(Arithmetic::kMultiply, *node.operand(0).constant, *node.operand(1).constant));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    if (!node.is_constant(i)) continue;
    TACIT_TRY(const ActivationOperand* input, node.view(1 - i));
    return emit_product(node, *input, *node.operand(i).constant, false);
  }
  TACIT_TRY(Pair pair, same_activations(node));
  if (pair.first.value == pair.second.value) return node.emit_like(Square{}, pair.first);
  TACIT_TRY(ValueId value, node.append(Multiply{}, {pair.first.value, pair.second.value}));
  return bind_as(node, std::move(pair.first), value);
}

Status div(const Lowering& node) {
  if (node.all_constant()) {
    return node.bind(compute(Arithmetic::kDivide, *node.operand(0).constant, *node.operand(1).constant));
  }
  if (!node.is_constant(1)) {
    return node.unsupported(
        "it divides by what depends on the image; retrain without that division, for instance "
        "with batch normalisation in place of layer normalisation");
  }
  TACIT_TRY(const ActivationOperand* input, node.view(0));
  return emit_product(node, *input, *node.operand(1).constant, true);
}

Status neg(const Lowering& node) {
  if (node.all_constant()) {
    const Constant& constant = *node.operand(0).constant;
    Constant minus_one = constant.is_float() ? make_floats({}, {-1.0f}) : make_integers({}, {-1});
    return node.bind(compute(Arithmetic::kMultiply, constant, minus_one));
  }
  TACIT_TRY(const ActivationOperand* input, node.view(0));
  TACIT_TRY(ValueId value, scaled(node, *input, -1));
  return bind_as(node, *input, value);
}

namespace {

// Functions that are computed at import.
Status of_constant(const Lowering& node, UnaryFunction function) {
  if (node.is_constant(0)) return node.bind(compute(function, *node.operand(0).constant));
  return node.unsupported(
      "it is supported only on constants, not on what depends on the image; retrain with Relu, Silu or a "
      "square in "
      "its place");
}

}  // namespace

Status abs(const Lowering& node) { return of_constant(node, UnaryFunction::kAbs); }
Status ceil(const Lowering& node) { return of_constant(node, UnaryFunction::kCeil); }
Status exp(const Lowering& node) { return of_constant(node, UnaryFunction::kExp); }
Status floor(const Lowering& node) { return of_constant(node, UnaryFunction::kFloor); }
Status reciprocal(const Lowering& node) { return of_constant(node, UnaryFunction::kReciprocal); }
Status sqrt(const Lowering& node) { return of_constant(node, UnaryFunction::kSqrt); }

Status pow(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* input, node.view(0));
  TACIT_TRY(const Constant* exponent, node.constant(1, "exponent"));
  double power = exponent->size() != 1  ? 0
                 : exponent->is_float() ? exponent->floats()[0]
                                        : static_cast<double>(exponent->integers()[0]);
  bool scalar = exponent->dims.size() <= input->dims.size();
  if (!scalar || (power != 1 && power != 2 && power != 3)) {
    return node.unsupported(
        "only the powers 2 and 3 are supported; write higher ones as products of squares");
  }
  if (power == 1) return node.bind(*input);
  if (power == 2) return node.emit_like(Square{}, *input);
  TACIT_TRY(ValueId square, node.append(Square{}, {input->value}));
  TACIT_TRY(ValueId cube, node.append(Multiply{}, {input->value, square}));
  return bind_as(node, *input, cube);
}

}  // namespace tacit::graph::lower
