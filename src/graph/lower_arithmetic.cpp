// SPDX-License-Identifier: Apache-2.0
// Add, Sub, Mul, Div, Neg and Pow: on constants, between an activation and a constant, between two
// activations.
#include <algorithm>

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
  Factors factors;
  bool channels_alone = true;  // every axis of the constant but the channels' is 1
  for (std::size_t i = 0; i < own.size(); ++i) {
    bool channel_axis = own.size() == dims.size() && i == 0;
    channels_alone = channels_alone && (channel_axis || own[i] == 1);
  }
  factors.per_channel = channels_alone;
  Dims target = dims;
  if (channels_alone) std::fill(target.begin() + 1, target.end(), 1);
  std::int64_t count = channels_alone ? shape.channels : shape.size();
  TACIT_CHECK(node.charge(2 * count));
  Constant data{own, constant.floats()};
  Result<Constant> full = broadcast(data, target);
  if (!full.ok()) return node.labelled(std::move(full).error());
  factors.values = std::move(*std::get_if<0>(&full->data));
  return factors;
}

Status emit_affine(const Lowering& node, const ActivationOperand& input, bool per_channel,
                   std::vector<float> scale, std::vector<float> shift) {
  if (per_channel) {
    return node.emit(ChannelAffine{std::move(scale), std::move(shift)}, {input.value}, input.dims);
  }
  return node.emit(ElementAffine{std::move(scale), std::move(shift)}, {input.value}, input.dims);
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

// The two activations of a binary node, which must have one shape.
struct Pair {
  const ActivationOperand* first;
  const ActivationOperand* second;
};

Result<Pair> same_activations(const Lowering& node) {
  Pair pair{};
  TACIT_TRY(pair.first, node.activation(0));
  TACIT_TRY(pair.second, node.activation(1));
  if (pair.first->dims != pair.second->dims) {
    return node.error(ErrorCode::kOnnxShape, "its inputs " + dims_to_string(pair.first->dims) + " and " +
                                                 dims_to_string(pair.second->dims) +
                                                 " both depend on the image and must have the same shape");
  }
  return pair;
}

Result<ValueId> scaled(const Lowering& node, const ActivationOperand& input, float factor) {
  auto channels = static_cast<std::size_t>(node.shape_of(input).channels);
  TACIT_CHECK(node.charge(2 * static_cast<std::int64_t>(channels)));
  return node.append(ChannelAffine{std::vector<float>(channels, factor), std::vector<float>(channels, 0.0f)},
                     {input.value});
}

Status sum(const Lowering& node, Arithmetic operation) {
  bool subtract = operation == Arithmetic::kSubtract;
  if (node.all_constant()) {
    return node.bind(compute(operation, *node.operand(0).constant, *node.operand(1).constant));
  }
  if (node.is_constant(0)) {
    TACIT_TRY(const ActivationOperand* input, node.activation(1));
    return emit_sum(node, *input, *node.operand(0).constant, subtract ? -1 : 1, 1);
  }
  if (node.is_constant(1)) {
    TACIT_TRY(const ActivationOperand* input, node.activation(0));
    return emit_sum(node, *input, *node.operand(1).constant, 1, subtract ? -1 : 1);
  }
  TACIT_TRY(Pair pair, same_activations(node));
  Dims dims = pair.first->dims;
  if (pair.first->value == pair.second->value) {
    TACIT_TRY(ValueId value, scaled(node, *pair.first, subtract ? 0 : 2));
    return node.bind(ActivationOperand{value, std::move(dims)});
  }
  ValueId second = pair.second->value;
  if (subtract) { TACIT_TRY(second, scaled(node, *pair.second, -1)); }
  return node.emit(Add{}, {pair.first->value, second}, std::move(dims));
}

}  // namespace

Status add(const Lowering& node) { return sum(node, Arithmetic::kAdd); }
Status sub(const Lowering& node) { return sum(node, Arithmetic::kSubtract); }

Status mul(const Lowering& node) {
  if (node.all_constant()) {
    return node.bind(compute(Arithmetic::kMultiply, *node.operand(0).constant, *node.operand(1).constant));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    if (!node.is_constant(i)) continue;
    TACIT_TRY(const ActivationOperand* input, node.activation(1 - i));
    return emit_product(node, *input, *node.operand(i).constant, false);
  }
  TACIT_TRY(Pair pair, same_activations(node));
  Dims dims = pair.first->dims;
  if (pair.first->value == pair.second->value)
    return node.emit(Square{}, {pair.first->value}, std::move(dims));
  return node.emit(Multiply{}, {pair.first->value, pair.second->value}, std::move(dims));
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
  TACIT_TRY(const ActivationOperand* input, node.activation(0));
  return emit_product(node, *input, *node.operand(1).constant, true);
}

Status neg(const Lowering& node) {
  if (node.all_constant()) {
    const Constant& constant = *node.operand(0).constant;
    Constant minus_one = constant.is_float() ? make_floats({}, {-1.0f}) : make_integers({}, {-1});
    return node.bind(compute(Arithmetic::kMultiply, constant, minus_one));
  }
  TACIT_TRY(const ActivationOperand* input, node.activation(0));
  Dims dims = input->dims;
  TACIT_TRY(ValueId value, scaled(node, *input, -1));
  return node.bind(ActivationOperand{value, std::move(dims)});
}

Status pow(const Lowering& node) {
  TACIT_TRY(const ActivationOperand* input, node.activation(0));
  TACIT_TRY(const Constant* exponent, node.constant(1, "exponent"));
  double power = exponent->size() != 1  ? 0
                 : exponent->is_float() ? exponent->floats()[0]
                                        : static_cast<double>(exponent->integers()[0]);
  bool scalar = exponent->dims.size() <= input->dims.size();
  if (!scalar || (power != 1 && power != 2)) {
    return node.unsupported("only the power 2 is supported; write higher powers as products of squares");
  }
  if (power == 1) return node.bind(*input);
  return node.emit(Square{}, {input->value}, input->dims);
}

}  // namespace tacit::graph::lower
