// SPDX-License-Identifier: Apache-2.0
// What an operator's row in the table is given to work with: one ONNX node, its attributes and operands, and
// the ways to say what it becomes. Only the importer's own files include this.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "graph/graph.h"
#include "graph/onnx_tensor.h"
#include "graph/operators.h"
#include "graph/view.h"

namespace tacit::graph {

// How messages name a node: `node "conv1" (Conv)`, or `node #3 (Conv)`, counted from 0, where it has no name.
std::string node_label(const onnx::NodeProto& node, int index);

// What the name of a tensor stands for.
struct Operand {
  std::shared_ptr<const Constant> constant;  // null for an activation
  ActivationOperand activation;
};

// Which of the input's axes the first operator that works on images takes for its channels.
enum class ChannelAxis { kUnknown, kSecond, kLast };

// The state of an import: the graph so far and what every name stands for.
struct ImportState {
  Graph graph;
  std::int64_t opset = 0;
  std::int64_t batch = 1;  // the size of every activation's first axis
  Dims input_dims;         // of the model's input, as it declares them
  ChannelAxis channel_axis = ChannelAxis::kUnknown;
  std::unordered_map<std::string, Operand> operands;
  std::int64_t budget = kMaxConstantElements;  // elements that folding and lowering may still make
};

class Lowering {
 public:
  Lowering(ImportState& state, const onnx::NodeProto& node, int index, const Operator& row)
      : state_(state), node_(node), index_(index), row_(row) {}

  // Checks what every operator has in common: the number of inputs, and the attributes against the row.
  Status check() const;

  std::int64_t opset() const { return state_.opset; }
  std::int64_t batch() const { return state_.batch; }

  std::string label() const { return node_label(node_, index_); }
  // An error whose message begins with the label.
  Error error(ErrorCode code, const std::string& message) const;
  Error unsupported(const std::string& message) const {
    return error(ErrorCode::kOnnxUnsupportedOperator, message);
  }
  // Puts the label before a message that names no node.
  Error labelled(Error error) const { return std::move(error).within(label()); }

  // Attributes, which check() found in the row and of the right type; `fallback` where the node has none.
  bool has_attribute(std::string_view name) const { return find(name) != nullptr; }
  std::int64_t integer(std::string_view name, std::int64_t fallback) const;
  double number(std::string_view name, double fallback) const;
  std::string text(std::string_view name, std::string_view fallback) const;
  Dims integers(std::string_view name) const;
  std::vector<float> numbers(std::string_view name) const;
  const onnx::TensorProto* tensor(std::string_view name) const;
  // One positive integer for each of the image's axes: height and width, or the width alone.
  Result<Extent> extent(std::string_view name, std::size_t axes, Extent fallback) const;

  // Operands by position; optional ones at the end may be missing.
  std::size_t count() const;
  bool has(std::size_t i) const;
  const Operand& operand(std::size_t i) const;
  bool is_constant(std::size_t i) const { return has(i) && operand(i).constant != nullptr; }
  bool all_constant() const;
  // The operand as a constant; onnx.unsupported-operator saying that `role` must be one.
  Result<const Constant*> constant(std::size_t i, std::string_view role) const;
  Result<const Constant*> floats(std::size_t i, std::string_view role) const;
  Result<std::vector<std::int64_t>> integer_values(std::size_t i, std::string_view role) const;
  // The operand as an activation on which the graph may go on; not a constant, nothing after a Softmax. Its
  // elements may stand in another order than its dimensions say.
  Result<const ActivationOperand*> view(std::size_t i) const;
  // The same with its elements in order: the value's shape is that of the dimensions.
  Result<ActivationOperand> activation(std::size_t i) const;
  // An activation [batch, channels, height, width] or [batch, channels, width], in order; by position, or a
  // view.
  Result<ActivationOperand> image(std::size_t i) const;
  Result<ActivationOperand> as_image(const ActivationOperand& view) const;
  // A value of the graph as ONNX's dimensions of an image with `axes` axes, 1 or 2.
  ActivationOperand image_operand(ValueId value, std::size_t axes) const;
  const Shape& shape_of(const ActivationOperand& operand) const {
    return state_.graph.shape_of(operand.value);
  }
  // The operand with its elements in order. onnx.shape where it has no batch axis in front or too many
  // others; onnx.unsupported-operator where the batch axis has been moved.
  Result<ActivationOperand> in_order(const ActivationOperand& operand) const;

  // What the node's first output stands for. emit() appends to the graph; a graph value's name is its ONNX
  // tensor's.
  Result<ValueId> append(Operation operation, std::vector<ValueId> inputs) const;
  Status emit(Operation operation, std::vector<ValueId> inputs, Dims dims) const;
  // Of an operation that works element by element on the operand: in the same view.
  Status emit_like(Operation operation, const ActivationOperand& operand) const;
  Status bind(ActivationOperand operand) const;
  Status bind(std::shared_ptr<const Constant> constant) const;
  Status bind(Constant constant) const;
  Status bind(Result<Constant> constant) const;
  // The operand's elements under other dimensions, in the row-major order of both.
  Status bind_reshaped(const ActivationOperand& operand, const Dims& dims) const;
  // The operand's axes permuted, as a view where elements would move.
  Status bind_transposed(const ActivationOperand& operand, std::span<const std::int64_t> permutation) const;
  // Brings what the first output stands for in order, because it is the network's output.
  Status settle_output() const;

  // Takes `elements` from the import's budget; onnx.too-large when it is used up.
  Status charge(std::int64_t elements) const;

 private:
  const onnx::AttributeProto* find(std::string_view name) const;
  std::string name() const;
  Result<ValueId> append_as(std::string name, Operation operation, std::vector<ValueId> inputs) const;
  // `operand` as a vector or image of this shape, its elements moved.
  Result<ValueId> move_elements(const ActivationOperand& operand, const Shape& shape) const;
  // Learns from an image where the model's input has its channels; an error where that makes the import begin
  // again.
  Status learn_channel_axis(const ActivationOperand& image) const;
  ImportState& state_;
  const onnx::NodeProto& node_;
  int index_;
  const Operator& row_;
};

}  // namespace tacit::graph
