// SPDX-License-Identifier: Apache-2.0
#include "compiler/levels.h"

#include <algorithm>

#include "compiler/chain.h"
#include "graph/text.h"
#include "plan/plan.h"

namespace tacit::compiler {

int max_depth() {
  static const int depth = [] {
    int longest = -1;
    for (int bits = kMinScaleBits; bits <= kMaxScaleBits; ++bits)
      longest = std::max(longest, longest_chain(ckks::kMaxLogDegree, bits));
    return longest;
  }();
  return depth;
}

Result<std::vector<int>> assign_levels(const Network& network) {
  std::vector<int> needed(network.values.size(), 0);
  const Layer* first_beyond = nullptr;
  for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer) {
    if (std::holds_alternative<ClientLayer>(layer->operation)) continue;
    for (ValueIndex input : layer->inputs) {
      needed[input] = std::max(needed[input], needed[layer->output] + depth_of(layer->operation));
      if (needed[input] > max_depth() && first_beyond == nullptr) first_beyond = &*layer;
    }
  }
  if (first_beyond != nullptr)
    return Error{ErrorCode::kCompileTooDeep,
                 "the network takes " + std::to_string(*std::ranges::max_element(needed)) +
                     " levels and the largest secure ring has " + std::to_string(max_depth()) +
                     "; they run out at node " + graph::in_quotes(first_beyond->name) +
                     " counted from the end; let the client refresh ciphertexts between layers (--refresh), "
                     "or use fewer layers, squares in place of activations, or a lower degree"};
  const std::vector<bool> by_client = made_by_client(network);
  std::vector<bool> read_by_server(network.values.size(), false);
  for (const Layer& layer : network.layers)
    if (!std::holds_alternative<ClientLayer>(layer.operation))
      for (ValueIndex input : layer.inputs) read_by_server[input] = true;
  std::vector<int> levels(network.values.size(), 0);
  for (ValueIndex v = 0; v < network.values.size(); ++v)
    if (by_client[v]) levels[v] = read_by_server[v] ? needed[v] : plan::kClear;
  for (const Layer& layer : network.layers) {
    if (std::holds_alternative<ClientLayer>(layer.operation)) continue;
    int level = levels[layer.inputs[0]];
    for (ValueIndex input : layer.inputs) level = std::min(level, levels[input]);
    levels[layer.output] = level - depth_of(layer.operation);
  }
  return levels;
}

}  // namespace tacit::compiler
