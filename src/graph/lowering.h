// SPDX-License-Identifier: Apache-2.0
// What an operator's row in the table is given to work with: one ONNX node, its attributes and operands, and
// the ways to say what it becomes. Only the importer's own files include this.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "graph/graph.h"
#include "graph/onnx_tensor.h"
#include "graph/operators.h"

namespace tacit::graph {

// How messages name a node: `node "conv1" (Conv)`, or `node #3 (Conv)`, counted from 0, where it has no name.
std::string node_label(const onnx::NodeProto& node, int index);

// A value of the graph as ONNX sees it: with its batch axis, and with the rank that ONNX's rules go by.
struct ActivationOperand {
  ValueId value = 0;
  Dims dims;
  OutputFunction function = OutputFunction::kIdentity;  // already applied by the model, not by the graph
};

// What the name of a tensor stands for.
struct Operand {
  std::shared_ptr<const Constant> constant;  // null for an activation
  ActivationOperand activation;
};

// The state of an import: the graph so far and what every name stands for.
struct ImportState {
  Graph graph;
  std::int64_t opset = 0;
  std::int64_t batch = 1;  // the size of every activation's first axis
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
  // Two positive integers: height and width.
  Result<Extent> extent(std::string_view name, Extent fallback) const;

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
  // The operand as an activation on which the graph may go on; not a constant, nothing after a Softmax.
  Result<const ActivationOperand*> activation(std::size_t i) const;
  // An activation [batch, channels, height, width].
  Result<const ActivationOperand*> image(std::size_t i) const;
  // A value of the graph as [batch, channels, height, width].
  ActivationOperand image_operand(ValueId value) const;
  const Shape& shape_of(const ActivationOperand& operand) const {
    return state_.graph.shape_of(operand.value);
  }

  // What the node's first output stands for. emit() appends to the graph; a graph value's name is its ONNX
  // tensor's.
  Result<ValueId> append(Operation operation, std::vector<ValueId> inputs) const;
  Status emit(Operation operation, std::vector<ValueId> inputs, Dims dims) const;
  Status bind(ActivationOperand operand) const;
  Status bind(std::shared_ptr<const Constant> constant) const;
  Status bind(Constant constant) const;
  Status bind(Result<Constant> constant) const;
  // The same elements in the same order as `operand` under other dimensions.
  Status bind_reshaped(const ActivationOperand& operand, const Dims& dims) const;

  // Takes `elements` from the import's budget; onnx.too-large when it is used up.
  Status charge(std::int64_t elements) const;

 private:
  const onnx::AttributeProto* find(std::string_view name) const;
  ImportState& state_;
  const onnx::NodeProto& node_;
  int index_;
  const Operator& row_;
};

// An activation's shape from ONNX dimensions [batch, channels, ...]; nothing for ranks above 4 and for a
// first axis that is not the batch. A vector without a batch axis stands for the channels where the batch
// is 1.
std::optional<Shape> image_shape(const Dims& dims, std::int64_t batch);

}  // namespace tacit::graph
