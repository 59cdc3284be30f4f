// SPDX-License-Identifier: Apache-2.0
// Products whose factors are functions of one value, such as x * sigmoid(x) and what exporters write for
// Gelu.
#pragma once

#include <optional>
#include <span>

#include "graph/graph.h"

namespace tacit::graph {

struct Composed {
  ValueId source = 0;
  Activation activation;
};

// The product of two different values as one function of the nearest value that both are computed from
// element by element. `producers` has for each value its node, null for the input; nodes that stand later
// have higher addresses. Nothing where the factors have no such value in common, or the function would have
// too many steps.
std::optional<Composed> compose_product(const Node& product, std::span<Node* const> producers);

// `function` followed by `affine` where that does the same to all elements; nothing otherwise.
std::optional<Activation> compose_affine(const Activation& function, const Operation& affine);

}  // namespace tacit::graph
