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

// What a node leaves of the deepest of its inputs. `function_levels`: those of an Activation.
Depth depth_after(const graph::Operation& operation, Depth before, int function_levels);

// The deepest of a node's inputs.
Depth deepest(const graph::Node& node, std::span<const Depth> values);

// The greatest depth of any value; by node, `function_levels` of its Activation, and whether the client computes it.
int graph_depth(const graph::Graph& graph, std::span<const int> function_levels,
                const std::vector<bool>& client);

}  // namespace tacit::compiler
