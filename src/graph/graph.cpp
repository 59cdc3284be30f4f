// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <algorithm>

#include "graph/text.h"

namespace tacit::graph {
namespace {

Error invalid(std::string message) { return Error{ErrorCode::kGraphInvalid, std::move(message)}; }

std::string label(const Node& node) {
  return "node " + in_quotes(node.name) + " (" + std::string(name_of(node.operation)) + ")";
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::int64_t dims[] = {shape.channels, shape.height, shape.width};
  return dims_to_string(dims);
}

std::string_view name_of(const Operation& operation) {
  struct Namer {
    std::string_view operator()(const Conv&) const { return "Conv"; }
    std::string_view operator()(const AveragePool&) const { return "AveragePool"; }
    std::string_view operator()(const Dense&) const { return "Dense"; }
    std::string_view operator()(const ChannelAffine&) const { return "ChannelAffine"; }
    std::string_view operator()(const ElementAffine&) const { return "ElementAffine"; }
    std::string_view operator()(const Square&) const { return "Square"; }
    std::string_view operator()(const Activation& activation) const { return name_of(activation.kind); }
    std::string_view operator()(const Add&) const { return "Add"; }
    std::string_view operator()(const Multiply&) const { return "Multiply"; }
    std::string_view operator()(const Reshape&) const { return "Reshape"; }
    std::string_view operator()(const Pad&) const { return "Pad"; }
    std::string_view operator()(const MaxPool&) const { return "MaxPool"; }
    std::string_view operator()(const Permute&) const { return "Permute"; }
    std::string_view operator()(const Concat&) const { return "Concat"; }
  };
  return std::visit(Namer{}, operation);
}

Graph make_graph(const Shape& input, std::string input_name) {
  Graph graph;
  graph.input_name = input_name;
  graph.output_name = input_name;
  graph.values.push_back({std::move(input_name), input});
  return graph;
}

Result<ValueId> append(Graph& graph, Operation operation, std::string name, std::vector<ValueId> inputs) {
  Node node{std::move(operation), std::move(name), std::move(inputs),
            static_cast<ValueId>(graph.values.size())};
  std::vector<Shape> shapes;
  for (ValueId input : node.inputs) {
    if (input >= graph.values.size()) return invalid(label(node) + " reads a value that does not exist");
    shapes.push_back(graph.shape_of(input));
  }
  Result<Shape> shape = infer_shape(node.operation, shapes);
  if (!shape.ok()) return std::move(shape).error().within(label(node));
  graph.values.push_back({node.name, *shape});
  graph.output = node.output;
  graph.output_name = node.name;
  graph.nodes.push_back(std::move(node));
  return graph.output;
}

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.values.size(), 0);
  for (const Node& node : graph.nodes) {
    for (ValueId input : node.inputs) ++uses[input];
  }
  ++uses[graph.output];
  return uses;
}

Status validate(const Graph& graph) {
  if (graph.values.empty()) return invalid("the graph has no input");
  if (graph.output >= graph.values.size()) return invalid("the graph's output does not exist");
  if (graph.values.size() != graph.nodes.size() + 1) {
    return invalid("the graph has " + std::to_string(graph.nodes.size()) + " nodes but " +
                   std::to_string(graph.values.size()) + " values");
  }
  const Shape& input = graph.input_shape();
  for (std::int64_t dim : {input.channels, input.height, input.width}) {
    if (dim < 1 || dim > kMaxElements)
      return invalid("the input's shape " + to_string(input) + " is not possible");
  }
  if (input.channels * input.height > kMaxElements || input.size() > kMaxElements) {
    return invalid("the input's shape " + to_string(input) + " is too large");
  }

  std::vector<bool> known(graph.values.size(), false);
  known[Graph::kInput] = true;
  for (const Node& node : graph.nodes) {
    std::vector<Shape> shapes;
    for (ValueId value : node.inputs) {
      if (value >= graph.values.size() || !known[value]) {
        return invalid(label(node) + " reads a value that is not computed before it");
      }
      shapes.push_back(graph.shape_of(value));
    }
    if (node.output >= graph.values.size() || known[node.output]) {
      return invalid(label(node) + " writes a value that does not exist or that it may not write");
    }
    Result<Shape> shape = infer_shape(node.operation, shapes);
    if (!shape.ok()) return invalid(label(node) + ": " + shape.error().message);
    if (*shape != graph.shape_of(node.output)) {
      return invalid(label(node) + " computes " + to_string(*shape) + " but its value is declared " +
                     to_string(graph.shape_of(node.output)));
    }
    if (!weights_finite(node.operation)) return invalid(label(node) + " has a weight that is not finite");
    known[node.output] = true;
  }
  return {};
}

}  // namespace tacit::graph
