// SPDX-License-Identifier: Apache-2.0
// Who computes what: the client takes a network's first layers, those after the encrypted ones, and what encryption cannot do
// or lasts too long for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace tacit::compiler {

// By node of a graph: whether the client computes it, exactly.
using ClientNodes = std::vector<bool>;

// A range of layers as people write it, "2:5", "conv1:fc2", ":3" or "4:": the first and the last that are encrypted, each by
// its number, counted from 1 in the order of layer_lines, or by its node's name. An empty side is the network's end.
struct LayerRange {
  std::size_t first = 0, last = 0;  // nodes of the graph, inclusive
};
// argument.invalid, with the list of layers, for a range that is not one.
Result<LayerRange> find_layers(const graph::Graph& graph, std::string_view range);
// One line for each layer: number, name, kind and shape of the result.
std::vector<std::string> layer_lines(const graph::Graph& graph);

// The graph up to a node, whose result is then its output, without an output function.
graph::Graph cut_after(const graph::Graph& graph, std::size_t node);

struct PartitionOptions {
  std::optional<LayerRange> layers;  // the client computes what comes before and after
  bool refresh =
      false;  // the client computes activations and maxima, and some squares, sums and joins of long chains
};
ClientNodes choose_client_nodes(const graph::Graph& graph, const PartitionOptions& options);

// Between two client steps of a refreshed network there are at most so many levels: few enough for a small ring, whose
// operations cost much less than those of a large one.
inline constexpr int kRefreshLevels = 8;

}  // namespace tacit::compiler
