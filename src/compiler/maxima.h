// SPDX-License-Identifier: Apache-2.0
// Maxima on ciphertexts: max(a, b) = (a + b) / 2 + |a - b| / 2, as a tree over the window.
#pragma once

#include "base/result.h"
#include "compiler/partition.h"
#include "graph/graph.h"

namespace tacit::compiler {

struct WithoutMaxima {
  graph::Graph graph;
  ClientNodes client;  // by node of `graph`
};

// The same graph with every MaxPool that is not the client's written as convolutions, which take halves of sums and differences
// of a window's elements, activations |x|, and sums: first along the rows, then along the columns, in pairs, so that k elements
// take ceil(log2 k) activations one after the other. A Relu that only a MaxPool reads goes behind it, and linear nodes that only
// a MaxPool reads are there twice, so that its first convolutions join them and take no level of their own.
// compile.unsupported, naming the node, for a padded pool whose input may be negative, since its padding is zeros.
Result<WithoutMaxima> replace_maxima(const graph::Graph& graph, const ClientNodes& client);

// |x|, as an activation.
Activation absolute_value();
bool is_absolute_value(const Activation& activation);

}  // namespace tacit::compiler
