// SPDX-License-Identifier: Apache-2.0
#include "compiler/levels.h"

#include <algorithm>

#include "compiler/chain.h"
#include "graph/text.h"

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
  for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer)
    for (ValueIndex input : layer->inputs) {
      needed[input] = std::max(needed[input], needed[layer->output] + depth_of(layer->operation));
      if (needed[input] > max_depth() && first_beyond == nullptr) first_beyond = &*layer;
    }
  const int depth = needed[network.input];
  if (first_beyond != nullptr)
    return Error{
        ErrorCode::kCompileTooDeep,
        "the network takes " + std::to_string(depth) + " levels and the largest secure ring has " +
            std::to_string(max_depth()) + "; they run out at node " + graph::in_quotes(first_beyond->name) +
            " counted from the output; use fewer layers, squares in place of activations, or a lower degree"};
  std::vector<int> levels(network.values.size(), 0);
  levels[network.input] = depth;
  for (const Layer& layer : network.layers) {
    int level = levels[layer.inputs[0]];
    for (ValueIndex input : layer.inputs) level = std::min(level, levels[input]);
    levels[layer.output] = level - depth_of(layer.operation);
  }
  return levels;
}

}  // namespace tacit::compiler
