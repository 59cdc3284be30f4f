// SPDX-License-Identifier: Apache-2.0
// Graph to layers: everything linear between two non-linearities becomes one LinearLayer.
#pragma once

#include "compiler/network.h"
#include "compiler/pieces.h"
#include "compiler/reference.h"

namespace tacit::compiler {

// `graph` is valid and simplified; `approximations` has a polynomial for every activation. A polynomial of
// degree 1 becomes part of a linear layer, one of degree 2 is completed to a square where its vertex is not
// far outside of the range (|shift| <= kMaxVertex range), all others become PolynomialLayers.
// compile.unsupported, naming the node, for products of two values, for maxima, and for reshapes and
// permutations that would need matrices beyond kMaxMatrix weights; compile.too-wide where a layer is more
// than a plan holds.
Result<Network> lower(const graph::Graph& graph, const Approximations& approximations);

inline constexpr double kMaxVertex = 8;

}  // namespace tacit::compiler
