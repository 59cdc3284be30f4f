// SPDX-License-Identifier: Apache-2.0
// How many levels a graph will take, before it is a network of layers.
#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace tacit::compiler {

// Levels below the last fresh ciphertext.
struct Depth {
  int levels = 0;
  bool linear = false;  // the last level is a linear layer, which the next linear node joins
};

// By value; by node, `function_levels` of its Activation, and whether the client computes it.
std::vector<Depth> depths_of(const graph::Graph& graph, std::span<const int> function_levels,
                             const std::vector<bool>& client);

// The one of a node's inputs after which the node leaves the most levels.
graph::ValueId deepest_input(const graph::Node& node, std::span<const Depth> depths);

// The greatest depth of any value.
int graph_depth(const graph::Graph& graph, std::span<const int> function_levels,
                const std::vector<bool>& client);

}  // namespace tacit::compiler
