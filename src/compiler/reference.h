// SPDX-License-Identifier: Apache-2.0
// The network as it will be computed: the graph, node by node in double precision, with polynomials in place
// of its activations. Calibration measures it and the finished plan is checked against it; it shares no code
// with the plan.
#pragma once

#include <span>
#include <vector>

#include "compiler/approximation.h"
#include "graph/graph.h"

namespace tacit::compiler {

// One value's elements, row-major.
using Elements = std::vector<double>;

// The node's result on one image; inputs[i] holds the node's i-th input. The graph must be valid.
Elements evaluate_node(const graph::Graph& graph, std::size_t node, std::span<const Elements* const> inputs,
                       const std::optional<Approximation>& approximation);

// The graph's output on one image of the input's shape.
Elements evaluate_graph(const graph::Graph& graph, const Approximations& approximations,
                        const Elements& input);

// Every value of the graph on one image. Where `base` has the values of another run and `from` is a node, only what depends on
// that node; the others are empty.
std::vector<Elements> evaluate_values(const graph::Graph& graph, const Approximations& approximations,
                                      const Elements& input, const std::vector<Elements>* base = nullptr,
                                      std::size_t from = 0);

// The last node that reads each value; nodes.size() for the output.
std::vector<std::size_t> last_uses(const graph::Graph& graph);

}  // namespace tacit::compiler
