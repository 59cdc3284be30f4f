// SPDX-License-Identifier: Apache-2.0
// Conv, Gemm, MatMul and BatchNormalization.
#include <cmath>

#include "graph/lowering.h"
#include "graph/text.h"
#include "graph/windows.h"

namespace tacit::graph::lower {
namespace {

// Gemm's C or its absence as one number for each output, times beta.
Result<std::vector<float>> gemm_bias(const Lowering& node, std::int64_t out) {
  std::vector<float> bias(static_cast<std::size_t>(out), 0.0f);
  if (!node.has(2)) return bias;
  TACIT_TRY(const Constant* c, node.floats(2, "bias"));
  Result<Constant> full = broadcast(*c, {1, out});
  if (!full.ok()) return node.labelled(std::move(full).error());
  double beta = node.number("beta", 1);
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(beta * full->floats()[i]);
  return bias;
}

Error dense_mismatch(const Lowering& node, const Dims& input, const Dims& weights) {
  return node.error(ErrorCode::kOnnxShape, "its input " + dims_to_string(input) + " and its weights " +
                                               dims_to_string(weights) + " do not fit together");
}

}  // namespace

Status conv(const Lowering& node) {
  TACIT_TRY(const ActivationOperand input, node.image(0));
  TACIT_TRY(const Constant* weights, node.floats(1, "weights"));
  const Dims& dims = weights->dims;
  const std::size_t axes = axes_of(input);
  if (dims.size() != axes + 2 || weights->size() == 0) {
    return node.error(ErrorCode::kOnnxShape, "its weights " + dims_to_string(dims) + " for the input " +
                                                 dims_to_string(input.dims) + " are not those of a " +
                                                 std::to_string(axes) + "-D convolution");
  }
  Conv conv;
  conv.groups = node.integer("group", 1);
  conv.out_channels = dims[0];
  if (conv.groups < 1 || __builtin_mul_overflow(dims[1], conv.groups, &conv.in_channels)) {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute, "its group must be at least 1");
  }
  conv.kernel = {axes == 1 ? 1 : dims[2], dims.back()};
  TACIT_TRY(Extent kernel, node.extent("kernel_shape", axes, conv.kernel));
  if (kernel != conv.kernel) {
    return node.error(ErrorCode::kOnnxShape, "its kernel_shape is " +
                                                 dims_to_string(node.integers("kernel_shape")) +
                                                 " but its weights are " + dims_to_string(dims));
  }
  TACIT_TRY(Windows windows, read_windows(node, axes, conv.kernel, node.shape_of(input)));
  conv.stride = windows.stride;
  conv.dilation = windows.dilation;
  conv.pads = windows.pads;
  TACIT_CHECK(node.charge(weights->size()));
  conv.weights = weights->floats();
  if (node.has(2)) {
    TACIT_TRY(const Constant* bias, node.floats(2, "bias"));
    if (bias->dims != Dims{conv.out_channels}) {
      return node.error(ErrorCode::kOnnxShape, "its bias " + dims_to_string(bias->dims) +
                                                   " does not fit its weights " + dims_to_string(dims));
    }
    conv.bias = bias->floats();
  } else {
    conv.bias.assign(static_cast<std::size_t>(conv.out_channels), 0.0f);
  }
  TACIT_TRY(ValueId value, node.append(std::move(conv), {input.value}));
  return node.bind(node.image_operand(value, axes));
}

Status gemm(const Lowering& node) {
  TACIT_TRY(const ActivationOperand input, node.activation(0));
  TACIT_TRY(const Constant* weights, node.floats(1, "weights"));
  if (node.integer("transA", 0) != 0) {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                      "transA = 1 would transpose the image; transpose the weights (transB) instead");
  }
  if (input.dims.size() != 2 || weights->dims.size() != 2)
    return dense_mismatch(node, input.dims, weights->dims);
  bool transposed = node.integer("transB", 0) != 0;  // then the weights are [out, in] already
  Dense dense;
  dense.out = weights->dims[transposed ? 0 : 1];
  dense.in = weights->dims[transposed ? 1 : 0];
  if (dense.in != input.dims[1] || dense.out < 1) return dense_mismatch(node, input.dims, weights->dims);
  TACIT_CHECK(node.charge(weights->size()));
  if (transposed) {
    dense.weights = weights->floats();
  } else {
    std::int64_t swap[] = {1, 0};
    TACIT_TRY(Constant turned, transpose(*weights, swap));
    dense.weights = std::move(*std::get_if<0>(&turned.data));
  }
  double alpha = node.number("alpha", 1);
  if (alpha != 1) {
    for (float& weight : dense.weights) weight = static_cast<float>(alpha * weight);
  }
  TACIT_TRY(dense.bias, gemm_bias(node, dense.out));
  Dims dims = {node.batch(), dense.out};
  return node.emit(std::move(dense), {input.value}, std::move(dims));
}

Status matmul(const Lowering& node) {
  TACIT_TRY(const ActivationOperand input, node.activation(0));
  TACIT_TRY(const Constant* weights, node.floats(1, "second factor"));
  // Between the batch and the last axis there may be ones alone, or it would be many products and not one.
  if (input.dims.size() < 2 || input.dims.back() != node.shape_of(input).size()) {
    return node.unsupported(
        "its input " + dims_to_string(input.dims) +
        " is not one vector; only [N, features] times a matrix is supported, flatten before it");
  }
  if (weights->dims.size() != 2 || weights->dims[0] != input.dims.back() || weights->dims[1] < 1) {
    return dense_mismatch(node, input.dims, weights->dims);
  }
  TACIT_CHECK(node.charge(weights->size()));
  std::int64_t swap[] = {1, 0};
  TACIT_TRY(Constant turned, transpose(*weights, swap));
  Dense dense;
  dense.in = weights->dims[0];
  dense.out = weights->dims[1];
  dense.weights = std::move(*std::get_if<0>(&turned.data));
  dense.bias.assign(static_cast<std::size_t>(dense.out), 0.0f);
  Dims dims = input.dims;
  dims.back() = dense.out;
  TACIT_TRY(ValueId value, node.append(std::move(dense), {input.value}));
  return node.bind_reshaped({value, {node.batch(), weights->dims[1]}}, dims);
}

Status batch_normalization(const Lowering& node) {
  TACIT_TRY(const ActivationOperand input, node.activation(0));
  if (node.integer("training_mode", 0) != 0) {
    return node.error(ErrorCode::kOnnxUnsupportedAttribute,
                      "it is in training mode; call model.eval() before exporting");
  }
  std::int64_t channels = node.shape_of(input).channels;
  const char* roles[] = {"scale", "bias", "mean", "variance"};
  const Constant* parts[4];
  for (std::size_t i = 0; i < 4; ++i) {
    TACIT_TRY(parts[i], node.floats(i + 1, roles[i]));
    if (parts[i]->dims != Dims{channels}) {
      return node.error(ErrorCode::kOnnxShape, std::string("its ") + roles[i] + " " +
                                                   dims_to_string(parts[i]->dims) +
                                                   " does not fit its input " + dims_to_string(input.dims));
    }
  }
  double epsilon = node.number("epsilon", 1e-5);
  ChannelAffine affine;
  TACIT_CHECK(node.charge(2 * channels));
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    double scale = parts[0]->floats()[c] / std::sqrt(double{parts[3]->floats()[c]} + epsilon);
    affine.scale.push_back(static_cast<float>(scale));
    affine.shift.push_back(static_cast<float>(parts[1]->floats()[c] - scale * parts[2]->floats()[c]));
  }
  return node.emit(std::move(affine), {input.value}, input.dims);
}

}  // namespace tacit::graph::lower
