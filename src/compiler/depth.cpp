// SPDX-License-Identifier: Apache-2.0
#include "compiler/depth.h"

#include <algorithm>

namespace tacit::compiler {

namespace {

// What a node leaves of the deepest of its inputs. `function_levels`: those of an Activation.
Depth depth_after(const graph::Node& node, Depth before, int function_levels) {
  const int linear_levels = before.levels + (before.linear ? 0 : 1);
  if (std::holds_alternative<Activation>(node.operation)) return {before.levels + function_levels, false};
  if (graph::is_one_of<graph::Square, graph::Multiply>(node.operation)) return {before.levels + 1, false};
  // Twice the same is a factor.
  if (std::holds_alternative<graph::Add>(node.operation) && node.inputs[0] != node.inputs[1])
    return {before.levels, false};
  if (std::holds_alternative<graph::MaxPool>(node.operation)) return {before.levels, false};
  // Each part is put in its place by a linear layer, and the parts are added up.
  if (std::holds_alternative<graph::Concat>(node.operation)) return {linear_levels, false};
  if (std::holds_alternative<graph::Reshape>(node.operation)) return before;
  return {linear_levels, true};
}

}  // namespace

graph::ValueId deepest_input(const graph::Node& node, std::span<const Depth> depths) {
  return *std::ranges::max_element(node.inputs, [&](graph::ValueId a, graph::ValueId b) {
    if (depths[a].levels != depths[b].levels) return depths[a].levels < depths[b].levels;
    return depths[a].linear && !depths[b].linear;
  });
}

std::vector<Depth> depths_of(const graph::Graph& graph, std::span<const int> function_levels,
                             const std::vector<bool>& client) {
  std::vector<Depth> depths(graph.values.size());
  const std::vector<int> uses = graph::count_uses(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    if (i < client.size() && client[i]) continue;
    Depth& depth = depths[node.output];
    depth = depth_after(node, depths[deepest_input(node, depths)], function_levels[i]);
    // What several nodes read is a layer of its own, which none of them joins.
    if (uses[node.output] > 1) depth.linear = false;
  }
  return depths;
}

int graph_depth(const graph::Graph& graph, std::span<const int> function_levels,
                const std::vector<bool>& client) {
  return std::ranges::max(depths_of(graph, function_levels, client), {}, &Depth::levels).levels;
}

}  // namespace tacit::compiler
