// SPDX-License-Identifier: Apache-2.0
#include "compiler/partition.h"

#include <algorithm>
#include <charconv>

#include "compiler/depth.h"
#include "graph/simplify.h"
#include "graph/text.h"

namespace tacit::compiler {

namespace {

// Reshapes move nothing and are not counted as layers.
std::vector<std::size_t> layers_of(const graph::Graph& graph) {
  std::vector<std::size_t> layers;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (!std::holds_alternative<graph::Reshape>(graph.nodes[i].operation)) layers.push_back(i);
  return layers;
}

Error no_such_layers(const graph::Graph& graph, std::string_view range, const std::string& trouble) {
  std::string list;
  for (const std::string& line : layer_lines(graph)) list += (list.empty() ? "" : ", ") + line;
  return Error{ErrorCode::kInvalidArgument, "the layers " + graph::in_quotes(std::string(range)) + " " +
                                                trouble + "; write FIRST:LAST by number or name: " + list};
}

// The node that one side of a range names.
std::optional<std::size_t> find_layer(const graph::Graph& graph, const std::vector<std::size_t>& layers,
                                      std::string_view side) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(side.data(), side.data() + side.size(), number);
  if (error == std::errc() && end == side.data() + side.size()) {
    if (number < 1 || number > layers.size()) return std::nullopt;
    return layers[number - 1];
  }
  for (std::size_t i : layers)
    if (graph.nodes[i].name == side) return i;
  return std::nullopt;
}

// What the client takes to cut a chain: the server keeps the weights.
bool may_cut(const graph::Operation& operation) {
  return graph::is_one_of<graph::Square, graph::Add, graph::Concat>(operation);
}

// A node at which the levels since the last client step exceed the limit, and the last one on the deepest way to it that may cut.
struct Excess {
  std::size_t node = 0, cut = 0;
};

// The first in the graph that a cut helps; past the end where there is none.
Excess first_excess(const graph::Graph& graph, const ClientNodes& client) {
  const std::vector<Depth> depths = depths_of(graph, std::vector<int>(graph.nodes.size(), 0), client);
  std::vector<std::size_t> makers(graph.values.size(), graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) makers[graph.nodes[i].output] = i;
  for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
    if (depths[graph.nodes[node].output].levels <= kRefreshLevels) continue;
    for (std::size_t i = node; i < graph.nodes.size() && !client[i];
         i = makers[deepest_input(graph.nodes[i], depths)])
      if (may_cut(graph.nodes[i].operation)) return {node, i};
  }
  return {graph.nodes.size(), graph.nodes.size()};
}

// Has the client take nodes until no chain is longer than the limit.
void cut_long_chains(const graph::Graph& graph, ClientNodes& client) {
  std::optional<std::size_t> before;
  for (Excess excess = first_excess(graph, client); excess.node < graph.nodes.size();) {
    client[excess.cut] = true;
    Excess next = first_excess(graph, client);
    // A cut of one of the ways to a sum is needless once the sum is cut.
    if (before && next.node > excess.node) {
      client[*before] = false;
      const Excess without = first_excess(graph, client);
      if (without.node > excess.node)
        next = without;
      else
        client[*before] = true;
    }
    before = excess.cut;
    excess = next;
  }
}

}  // namespace

std::vector<std::string> layer_lines(const graph::Graph& graph) {
  std::vector<std::string> lines;
  for (std::size_t i : layers_of(graph)) {
    const graph::Node& node = graph.nodes[i];
    lines.push_back(std::to_string(lines.size() + 1) + " " + printable(node.name) + " (" +
                    std::string(graph::name_of(node.operation)) + ", " +
                    graph::to_string(graph.shape_of(node.output)) + ")");
  }
  return lines;
}

Result<LayerRange> find_layers(const graph::Graph& graph, std::string_view range) {
  const std::vector<std::size_t> layers = layers_of(graph);
  if (layers.empty()) return Error{ErrorCode::kInvalidArgument, "the network has no layers to choose from"};
  const std::size_t colon = range.rfind(':');
  if (colon == std::string_view::npos) return no_such_layers(graph, range, "have no ':'");
  const std::string_view first = range.substr(0, colon), last = range.substr(colon + 1);
  const auto from = first.empty() ? std::optional(layers.front()) : find_layer(graph, layers, first);
  const auto to = last.empty() ? std::optional(layers.back()) : find_layer(graph, layers, last);
  if (!from || !to)
    return no_such_layers(graph, range,
                          "name no layer " + graph::in_quotes(std::string(!from ? first : last)));
  if (*from > *to) return no_such_layers(graph, range, "end before they begin");
  return LayerRange{*from, *to};
}

graph::Graph cut_after(const graph::Graph& graph, std::size_t node) {
  graph::Graph cut = graph::make_graph(graph.input_shape(), graph.input_name);
  std::vector<bool> needed(graph.values.size(), false);
  needed[graph.nodes[node].output] = true;
  for (std::size_t i = node + 1; i-- > 0;)
    if (needed[graph.nodes[i].output])
      for (graph::ValueId input : graph.nodes[i].inputs) needed[input] = true;
  std::vector<graph::ValueId> ids(graph.values.size(), graph::Graph::kInput);
  for (std::size_t i = 0; i <= node; ++i) {
    const graph::Node& copied = graph.nodes[i];
    if (!needed[copied.output]) continue;
    const auto id = static_cast<graph::ValueId>(cut.values.size());
    ids[copied.output] = id;
    cut.values.push_back(graph.values[copied.output]);
    graph::Node& made = cut.nodes.emplace_back(copied);
    for (graph::ValueId& input : made.inputs) input = ids[input];
    made.output = id;
  }
  cut.output = ids[graph.nodes[node].output];
  cut.output_name = graph.values[graph.nodes[node].output].name;
  return cut;
}

ClientNodes choose_client_nodes(const graph::Graph& graph, const PartitionOptions& options) {
  ClientNodes client(graph.nodes.size(), false);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Operation& operation = graph.nodes[i].operation;
    if (options.layers) client[i] = i < options.layers->first || i > options.layers->last;
    if (options.refresh &&
        (std::holds_alternative<Activation>(operation) || std::holds_alternative<graph::MaxPool>(operation)))
      client[i] = true;
  }
  if (options.refresh) cut_long_chains(graph, client);
  return client;
}

}  // namespace tacit::compiler
