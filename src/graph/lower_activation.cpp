// SPDX-License-Identifier: Apache-2.0
// Element-wise functions, and the softmax at a network's end.
#include "graph/lowering.h"
#include "graph/text.h"

namespace tacit::graph::lower {
namespace {

Status element_wise(const Lowering& node, ActivationKind kind, double alpha) {
  TACIT_TRY(const ActivationOperand* input, node.activation(0));
  return node.emit(Activation{kind, static_cast<float>(alpha)}, {input->value}, input->dims);
}

// The client computes it after decryption, which it can only where it runs over all of the network's output.
Status final_function(const Lowering& node, OutputFunction function) {
  TACIT_TRY(const ActivationOperand* input, node.activation(0));
  // Before opset 13 everything from `axis` on is one vector; since then it is that axis alone.
  bool flattens = node.opset() < 13;
  Result<std::size_t> axis = normal_axis(node.integer("axis", flattens ? 1 : -1), input->dims.size());
  if (!axis.ok()) return node.labelled(std::move(axis).error());
  std::int64_t size = 1;
  for (std::size_t i = *axis; i < input->dims.size(); ++i) {
    if (flattens || i == *axis) size *= input->dims[i];
  }
  if (size != node.shape_of(*input).size()) {
    return node.unsupported("it works along one axis of " + dims_to_string(input->dims) +
                            ", but only one over all outputs is supported");
  }
  return node.bind(ActivationOperand{input->value, input->dims, function});
}

}  // namespace

Status relu(const Lowering& node) { return element_wise(node, ActivationKind::kRelu, 0); }
Status leaky_relu(const Lowering& node) {
  return element_wise(node, ActivationKind::kLeakyRelu, node.number("alpha", 0.01));
}
Status sigmoid(const Lowering& node) { return element_wise(node, ActivationKind::kSigmoid, 0); }
Status tanh(const Lowering& node) { return element_wise(node, ActivationKind::kTanh, 0); }
Status softmax(const Lowering& node) { return final_function(node, OutputFunction::kSoftmax); }
Status log_softmax(const Lowering& node) { return final_function(node, OutputFunction::kLogSoftmax); }

}  // namespace tacit::graph::lower
