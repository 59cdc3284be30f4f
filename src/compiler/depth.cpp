// SPDX-License-Identifier: Apache-2.0
#include "compiler/depth.h"

#include <algorithm>

namespace tacit::compiler {

Depth depth_after(const graph::Operation& operation, Depth before, int function_levels) {
  if (std::holds_alternative<Activation>(operation)) return {before.levels + function_levels, false};
  if (std::holds_alternative<graph::Square>(operation) || std::holds_alternative<graph::Multiply>(operation))
    return {before.levels + 1, false};
  if (std::holds_alternative<graph::Add>(operation) || std::holds_alternative<graph::MaxPool>(operation))
    return {before.levels, false};
  if (std::holds_alternative<graph::Reshape>(operation)) return before;
  return {before.levels + (before.linear ? 0 : 1), true};
}

Depth deepest(const graph::Node& node, std::span<const Depth> values) {
  Depth result;
  for (graph::ValueId input : node.inputs)
    if (values[input].levels >= result.levels) result = values[input];
  return result;
}

int graph_depth(const graph::Graph& graph, std::span<const int> function_levels,
                const std::vector<bool>& client) {
  std::vector<Depth> values(graph.values.size());
  int greatest = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    const bool fresh = i < client.size() && client[i];
    values[node.output] =
        fresh ? Depth{} : depth_after(node.operation, deepest(node, values), function_levels[i]);
    greatest = std::max(greatest, values[node.output].levels);
  }
  return greatest;
}

}  // namespace tacit::compiler
